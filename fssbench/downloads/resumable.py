"""Downloads that continue where they were broken off, by requests of ranges (RFC 9110, section 14).

What has arrived of a file is kept as NAME.part, with the address and the validator of the host (ETag or date of change)
next to it, so that the rest is of the same file. A part whose host states no validator is continued only if a hash is
known, which is checked in the end.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fssbench.downloads.remote import Remote, difference
from fssbench.downloads.responses import (
    HEADERS,
    TIMEOUT,
    TryAgainError,
    check_status,
    explained,
    is_page,
    refuse_page,
)
from fssbench.downloads.shown import Shown, Silent
from fssbench.downloads.space import check_space, full_disk_explained
from fssbench.errors import BrokenFileError
from fssbench.files import locked, write_text

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

TRIES = 5
"""Attempts without a new byte before a download is given up."""

PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""

CHUNK = 1 << 15
"""Bytes that are written at once; fewer are lost where a connection breaks off."""


@dataclass(frozen=True)
class _State:
    """What is known of a part: where it is from, and how the host recognises the same file."""

    url: str
    validator: str = ""


def part_of(target: Path) -> Path:
    """Return where the part of a file is kept while it arrives."""
    return target.with_name(f"{target.name}.part")


def arrived(target: Path) -> int:
    """Return how many bytes of a file are here: all of them, a part, or 0."""
    return next((path.stat().st_size for path in (target, part_of(target)) if path.is_file()), 0)


def download(remote: Remote, target: Path, instead: str, shown: Shown | None = None) -> Path:
    """Download a file, or the rest of it, and return its path. A file that is there and right is not downloaded.

    Two processes that download the same file wait for each other.

    Args:
        remote: The file on its host.
        target: Where it goes.
        instead: What a person can do if the host does not send it.
        shown: Where the progress goes.

    Raises:
        MissingError: If the host does not send the file, or the disk is full. What has arrived is kept.
        BrokenFileError: If it is another file than the recorded one; it is not kept.
    """
    shown = shown or Silent()
    with locked(target, lambda: shown.note(f"another process downloads {remote.name}; waiting for it")):
        if target.is_file() and not difference(target, remote):
            return target
        fresh = _transfer(remote, target, instead, shown)
        if (wrong := difference(part_of(target), remote)) and not fresh:
            shown.note(f"{remote.name} is damaged ({wrong}) and is downloaded again from its beginning")
            _discard(target)
            _transfer(remote, target, instead, shown)
            wrong = difference(part_of(target), remote)
        if wrong:
            _discard(target)
            raise BrokenFileError(f"{remote.url} is not the recorded file: {wrong}", instead)
        part_of(target).replace(target)
        _state_file(target).unlink(missing_ok=True)
    return target


def _transfer(remote: Remote, target: Path, instead: str, shown: Shown) -> bool:
    """Bring the whole part here, with as many attempts as it takes; return whether all came in this call."""
    import requests

    part = part_of(target)
    begun = arrived(part)

    def attempt() -> None:
        with requests.Session() as session, full_disk_explained(target.parent, remote.name):
            _attempt(session, remote, target, instead, shown)

    persistently(attempt, remote.url, instead, progress=lambda: arrived(part))
    return begun == 0


def persistently(
    attempt: Callable[[], T],
    url: str,
    instead: str,
    *,
    progress: Callable[[], int] = lambda: 0,
    stop: threading.Event | None = None,
) -> T:
    """Return the result of a request that is tried again if the host or the connection fails.

    Args:
        attempt: Makes the request.
        url: The address, for messages.
        instead: What a person can do if it fails for good.
        progress: How many bytes have arrived; after an attempt that brought some, the attempts are counted anew.
        stop: If it is set, nothing is tried again.

    Raises:
        MissingError: If it fails for good.
    """
    import requests

    failed, waiting = 0, stop or threading.Event()
    while True:
        before = progress()
        try:
            return attempt()
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason: Exception = error
        except TryAgainError as error:
            reason = error
        except requests.RequestException as error:
            raise explained(error, url, instead) from error
        failed = 0 if progress() > before else failed + 1
        if failed >= TRIES or waiting.wait(PAUSE * 2**failed):
            raise explained(reason, url, instead) from reason


def _attempt(session: requests.Session, remote: Remote, target: Path, instead: str, shown: Shown) -> None:
    """Ask for the file, or for the rest, and write what comes."""
    part = part_of(target)
    headers, begun = dict(HEADERS), arrived(part)
    state = _read_state(target)
    if begun and state.url == remote.url and (state.validator or remote.hashed):
        if begun == remote.size:
            return
        headers |= {"Range": f"bytes={begun}-"}
        headers |= {"If-Range": state.validator} if state.validator else {}
    with session.get(remote.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        first, total = _range_of(response)
        if response.status_code == 416:
            if total == begun:
                return
            _discard(target)
            raise TryAgainError("it has another length than before")
        check_status(response, remote.url, instead)
        if first not in (0, begun):
            _discard(target)
            raise TryAgainError("it sends another part than the one that is needed")
        begun = first  # 0 if the host sends the whole file: it has changed, or its host knows no ranges
        kind = response.headers.get("Content-Type", "")
        if is_page(kind):
            refuse_page(kind, next(response.iter_content(CHUNK), b""), remote.url, instead)
        if None not in (total, remote.size) and total != remote.size:
            raise BrokenFileError(
                f"{remote.url} is not the recorded file: it has {total} bytes, not {remote.size}", instead
            )
        _check_length(remote, total or 0, instead)
        check_space(target.parent, (total or begun) - begun, remote.name)
        write_text(_state_file(target), json.dumps({"url": remote.url, "validator": _validator(response)}))
        shown.begin(remote.name, begun, total)
        chunks = response.iter_content(CHUNK)
        with part.open("r+b" if begun else "wb") as file:
            file.seek(begun)
            for number, chunk in enumerate(chunks):
                if not number and not begun:
                    refuse_page(kind, chunk, remote.url, instead)
                _check_length(remote, file.tell() + len(chunk), instead)
                file.write(chunk)
                shown.advance(len(chunk))
    if total is not None and arrived(part) < total:
        raise TryAgainError("it ends too early")


def _check_length(remote: Remote, count: int, instead: str) -> None:
    if count > remote.limit:
        raise BrokenFileError(
            f"{remote.url} is not the file: its host sends more than {remote.limit} bytes of it", instead
        )


def _range_of(response: requests.Response) -> tuple[int, int | None]:
    """Return at which byte a response begins, and how many the whole file has; None if the host does not say."""
    if response.status_code in (206, 416):
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        first = span.partition("-")[0]
        if unit == "bytes" and total.isdecimal():
            return (int(first) if first.isdecimal() else -1), int(total)
        return (int(first) if unit == "bytes" and first.isdecimal() else -1), None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _validator(response: requests.Response) -> str:
    etag = response.headers.get("ETag", "")
    # A weak tag can't be used with If-Range.
    return response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag


def _state_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.part.json")


def _read_state(target: Path) -> _State:
    try:
        raw = json.loads(_state_file(target).read_text(encoding="utf-8"))
        return _State(str(raw["url"]), str(raw["validator"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _State("")


def _discard(target: Path) -> None:
    part_of(target).unlink(missing_ok=True)
    _state_file(target).unlink(missing_ok=True)
