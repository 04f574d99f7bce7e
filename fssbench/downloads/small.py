"""Small files, such as photos: into memory, with a limit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fssbench.downloads import resumable
from fssbench.downloads.responses import HEADERS, TIMEOUT, check_status, refuse_page
from fssbench.errors import BrokenFileError

if TYPE_CHECKING:
    import requests

_LOCAL = threading.local()


def read_small(url: str, most: int, instead: str, stop: threading.Event | None = None) -> bytes:
    """Return the content of a small file on a host. Each thread keeps its connection for the next file.

    Args:
        url: The address.
        most: A larger file is refused; bytes.
        instead: What a person can do if the host does not send it.
        stop: If it is set, nothing is tried again.

    Raises:
        MissingError: If the host does not send the file, or shows a page in its place.
        BrokenFileError: If it is too large.
    """
    return resumable.persistently(lambda: _attempt(_session(), url, most, instead), url, instead, stop=stop)


def _attempt(session: requests.Session, url: str, most: int, instead: str) -> bytes:
    with session.get(url, headers=HEADERS, stream=True, timeout=TIMEOUT) as response:
        check_status(response, url, instead)
        content = bytearray()
        for chunk in response.iter_content(resumable.CHUNK):
            if not content:
                refuse_page(response.headers.get("Content-Type", ""), chunk, url, instead)
            content += chunk
            if len(content) > most:
                raise BrokenFileError(f"{url} has more than {most} bytes", instead)
        return bytes(content)


def _session() -> requests.Session:
    import requests

    session: requests.Session | None = getattr(_LOCAL, "session", None)
    if session is None:
        session = _LOCAL.session = requests.Session()
    return session
