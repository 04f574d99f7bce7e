"""A host on this machine that serves files as the official ones do, and misbehaves as told."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Host:
    """What the host serves and how; a test changes it while it runs.

    Attributes:
        address: http://127.0.0.1:PORT
        files: The files by path, "/a/b.zip".
        find: Returns a file that is not among them; None for no such file.
        redirects: From a path to an address.
        codes: Codes that are sent in place of a file, one after the other.
        pages: Paths that show a web page with status 200.
        texts: The text of such a page, by path.
        headers: Sent with each file.
        breaks: Of a path the bytes after which the connection breaks off, one for each request.
        ranges: Whether requests of ranges are understood.
        tagged: Whether files have an ETag.
        lengths: Whether it says how long a file is.
        pause: Seconds before each 64 kB.
        requests: What was asked for: path and range.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    find: Callable[[str], bytes | None] = lambda _: None
    redirects: dict[str, str] = field(default_factory=dict)
    codes: dict[str, list[int]] = field(default_factory=dict)
    pages: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    breaks: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    tagged: bool = True
    lengths: bool = True
    pause: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)

    def ranges_of(self, path: str) -> list[str]:
        """Return the ranges that were asked for of a file; "" for the whole."""
        return [span for asked, span in self.requests if asked == path]


def handler_of(host: Host) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def handle(self) -> None:
            with suppress(ConnectionResetError):  # the other side was killed
                super().handle()

        def do_GET(self) -> None:
            path, span = self.path, self.headers.get("Range", "")
            host.requests.append((path, span))
            if host.codes.get(path):
                self.answer(host.codes[path].pop(0), b"")
            elif path in host.redirects:
                self.answer(302, b"", {"Location": host.redirects[path]})
            elif path in host.pages:
                self.answer(200, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html"})
            elif path in host.texts:
                self.answer(200, host.texts[path].encode(), {"Content-Type": "text/html; charset=utf-8"})
            elif (content := host.files.get(path) or host.find(path)) is None:
                self.answer(404, b"")
            else:
                self.send(path, content, span)

        def send(self, path: str, content: bytes, span: str) -> None:
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            headers = host.headers | ({"ETag": tag} if host.tagged else {})
            same = self.headers.get("If-Range", tag) == tag
            found = re.fullmatch(r"bytes=(\d+)-", span)
            if found is None or not host.ranges or not same:
                self.answer(200, content, headers, path)
                return
            first = int(found[1])
            if first >= len(content):
                self.answer(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
                return
            headers |= {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
            self.answer(206, content[first:], headers, path)

        def answer(self, code: int, content: bytes, headers: dict[str, str] | None = None, path: str = "") -> None:
            self.send_response(code)
            for name, value in {"Content-Type": "application/zip", **(headers or {})}.items():
                self.send_header(name, value)
            if host.lengths:
                self.send_header("Content-Length", str(len(content)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            breaks = host.breaks.get(path)
            most = breaks.pop(0) if breaks else len(content)
            for first in range(0, min(most, len(content)), 1 << 16):
                time.sleep(host.pause)
                try:
                    self.wfile.write(content[first : min(first + (1 << 16), most)])
                    self.wfile.flush()
                except OSError:
                    break  # the other side has left
            if most < len(content):
                self.close_connection = True

    return Handler


@contextmanager
def serving() -> Iterator[Host]:
    """Serve in threads of this process."""
    host = Host()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(host))
    server.daemon_threads = True
    host.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
