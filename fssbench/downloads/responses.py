"""What a host sends instead of a file: error codes, web pages, other files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError, MissingError

if TYPE_CHECKING:
    import requests

HEADERS = {"Accept-Encoding": "identity", "User-Agent": "fssbench"}
"""Sent with each request: a range is one of the file's own bytes, not of compressed ones."""

TIMEOUT = (15.0, 30.0)
"""Seconds to connect, and between two pieces of a file."""

_LATER = (408, 425, 429, 500, 502, 503, 504)
"""Codes that mean: try again."""

_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")

_READ = 1 << 18
"""Bytes of a page that are looked at for its reason."""

_REASONS = (
    (r"quota|too many users|too many requests", "too many people have fetched it lately; try again after a day"),
    (r"virus", "it asks to confirm that the file was not scanned for viruses"),
    (r"has been (?:deleted|removed)|no longer (?:exists|available)|not found|has expired", "it may have been removed"),
    (r"sign[ -]?in|log[ -]?in|password|access denied|anyone with the link|permission", "it asks for a login"),
)
"""What pages in place of a file contain, and what that means; the first that fits counts."""


class TryAgainError(Exception):
    """The host could not send the file this time."""


class PageError(MissingError):
    """The host shows a web page in place of the file."""


def refuse_page(kind: str, first: bytes, url: str, instead: str) -> None:
    """Refuse a web page that a host shows in place of a file, with a code that means success.

    Args:
        kind: The header Content-Type.
        first: The first bytes.
        url: The address.
        instead: What a person can do.

    Raises:
        PageError: If it is a page, with its reason if it is one of the usual ones.
    """
    if is_page(kind) or first.lstrip().lower().startswith(_PAGE):
        reason = reason_of(first[:_READ].decode("utf-8", "replace"))
        raise PageError(f"{url} shows a web page, not the file{f': {reason}' if reason else ''}", instead)


def is_page(kind: str) -> bool:
    """Return whether a header Content-Type is that of a web page."""
    return kind.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")


def reason_of(text: str) -> str:
    """Return why a host does not send a file, judged by the text of its page; empty if it is not known."""
    return next((reason for pattern, reason in _REASONS if re.search(pattern, text, re.IGNORECASE)), "")


def check_status(response: requests.Response, url: str, instead: str) -> None:
    """Refuse a code that is no success, and an https address that leads to an unencrypted one.

    Raises:
        TryAgainError: If the host may send the file later.
        MissingError: If it will not.
    """
    if url.startswith("https://") and (response.url or url).startswith("http://"):
        raise MissingError(f"{url} leads to an address without encryption, {response.url}", instead)
    code = response.status_code
    if code in _LATER:
        raise TryAgainError(f"{code} {response.reason}")
    if code not in (200, 206):
        reason = f"{code} {response.reason}".strip()
        raise MissingError(f"{url} can't be had: its host says {reason}", instead)


def explained(error: Exception, url: str, instead: str) -> FSSBenchError:
    """Return the error for a request that failed for good."""
    import requests

    if isinstance(error, requests.TooManyRedirects):
        return MissingError(f"{url} leads from one address to the next without end", instead)
    if isinstance(error, TryAgainError):
        return MissingError(f"{url} can't be had: its host says {error}, several times", instead)
    if isinstance(error, requests.Timeout) or "timed out" in str(error):  # while a file comes, it is a ConnectionError
        return MissingError(f"{url} can't be had: its host does not send anything", instead)
    if isinstance(error, requests.ConnectionError):
        return MissingError(f"{url} can't be had: its host can't be reached, or breaks off", instead)
    return MissingError(f"{url} can't be had: {type(error).__name__}", instead)
