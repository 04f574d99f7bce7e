"""Files and folders of Google Drive, by gdown: its page of large files is confirmed, its refusals are recognised."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from fssbench.downloads.responses import TIMEOUT, PageError, reason_of, refuse_page
from fssbench.downloads.shown import Shown
from fssbench.downloads.space import check_space, full_disk_explained
from fssbench.errors import BrokenFileError, MissingError

_RANDOM = 8
"""Characters between the name of a file and the ending of the part that gdown keeps of it."""

RETRIES = 4
"""Further attempts where a connection breaks off."""

HOST = "drive.google.com"
MOST = 64 << 30
"""Bytes that a file may have whose size nobody states."""

_INSTALL = "pip install 'fssbench[drive]'"
_FILE = re.compile(r"https://drive\.google\.com/(?:file/d/|open\?id=)([\w-]+)(?:/view)?")
_FOLDER = re.compile(r"https://drive\.google\.com/drive/folders/([\w-]+)")
_FIRST = 1 << 12
"""Bytes of a file that are looked at to see whether it is a web page."""


def file_id(url: str) -> str:
    """Return the id of a file by its page on Google Drive; empty if the address is no such page."""
    found = _FILE.fullmatch(url)
    return found[1] if found else ""


def folder_id(url: str) -> str:
    """Return the id of a folder by its page on Google Drive; empty if the address is no such page."""
    found = _FOLDER.fullmatch(url)
    return found[1] if found else ""


def arrived(target: Path) -> int:
    """Return how many bytes of a file are here: all of them, or the part that gdown keeps next to it, or 0."""
    parts = [target, *target.parent.glob(f"{glob.escape(target.name)}{'?' * _RANDOM}.part")]
    return max((path.stat().st_size for path in parts if path.is_file()), default=0)


def require_gdown(what: str, instead: str) -> None:
    """Refuse what is on Google Drive if gdown is not installed.

    Raises:
        MissingError: With the command that installs it.
    """
    try:
        import gdown  # noqa: F401 - whether it is there
    except ImportError as error:
        raise MissingError(
            f"{what} is on Google Drive, which takes the package gdown", f"{_INSTALL}; or {instead}"
        ) from error


def folder_files(url: str, instead: str) -> list[tuple[str, str]]:
    """Return the files of a folder and its subfolders: path and id; two may have the same path. It is listed once.

    Raises:
        PageError: If the folder is not shown to everybody.
        MissingError: If it can't be listed.
    """
    with _explained(url, instead):
        found = _listing(url)
    if not found:
        raise PageError(f"{url} shows no files: it is empty, or asks for a login", instead)
    return found


@cache
def _listing(url: str) -> list[tuple[str, str]]:
    import gdown

    found = gdown.download_folder(url, quiet=True, skip_download=True, use_cookies=False, timeout=TIMEOUT)
    return [(file.path, file.id) for file in found if not isinstance(file, str)]


def download_file(file_id: str, target: Path, what: str, most: int, instead: str, shown: Shown) -> Path:
    """Download a file, or the rest of it, and return its path.

    Args:
        file_id: Its id on Google Drive.
        target: Where it goes.
        what: What it is called while it arrives.
        most: A larger file is refused; bytes.
        instead: What a person can do if it can't be had.
        shown: Where the progress goes.

    Raises:
        PageError: If the host shows a page: a quota, a login.
        MissingError: If it can't be had, or the disk is full. What has arrived is kept.
        BrokenFileError: If it is too large.
    """
    import gdown

    before: int | None = None

    def advance(done: int, total: int | None) -> None:
        nonlocal before
        if max(done, total or 0) > most:
            raise BrokenFileError(f"{what} is not what it should be: its host sends more than {most} bytes", instead)
        if before is None:
            check_space(target.parent, max((total or done) - done, 0), what)
            shown.begin(what, 0, total)
            before = 0
        shown.advance(done - before)
        before = done

    target.parent.mkdir(parents=True, exist_ok=True)
    with _explained(f"https://drive.google.com/file/d/{file_id}", instead), full_disk_explained(target.parent, what):
        gdown.download(
            id=file_id,
            output=str(target),
            quiet=True,
            use_cookies=False,
            resume=True,
            progress=advance,
            timeout=TIMEOUT,
            retries=RETRIES,
        )
    with target.open("rb") as file:
        first = file.read(_FIRST)
    try:
        refuse_page("", first, f"https://drive.google.com/file/d/{file_id}", instead)
    except PageError:
        target.unlink()  # a page that gdown does not know: else it would be taken for the file the next time
        raise
    return target


@contextmanager
def _explained(url: str, instead: str) -> Iterator[None]:
    """Explain gdown's errors.

    Raises:
        PageError: If the host shows a page that says no.
        MissingError: If it can't be reached, or breaks off.
    """
    import requests
    from gdown.exceptions import DownloadError, FileURLRetrievalError

    try:
        yield
    except FileURLRetrievalError as error:
        reason = reason_of(str(error))
        raise PageError(f"{url} shows a web page, not the file{f': {reason}' if reason else ''}", instead) from error
    except DownloadError as error:
        first = str(error).strip().partition("\n")[0]
        raise MissingError(f"{url} can't be had: {first}", instead) from error
    except (requests.RequestException, KeyError) as error:
        raise MissingError(f"{url} can't be had: its host can't be reached, or breaks off", instead) from error
