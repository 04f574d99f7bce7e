"""What a host sends instead of a file: error codes, web pages, other files."""

from __future__ import annotations

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


class TryAgainError(Exception):
    """The host could not send the file this time."""


def refuse_page(kind: str, first: bytes, url: str, instead: str) -> None:
    """Refuse a web page that a host shows in place of a file, with a code that means success.

    Args:
        kind: The header Content-Type.
        first: The first bytes.
        url: The address.
        instead: What a person can do.

    Raises:
        MissingError: If it is a page.
    """
    if kind.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml") or (
        first.lstrip().lower().startswith(_PAGE)
    ):
        raise MissingError(f"{url} shows a web page, not the file", instead)


def check_status(response: requests.Response, url: str, instead: str) -> None:
    """Refuse a code that is no success.

    Raises:
        TryAgainError: If the host may send the file later.
        MissingError: If it will not.
    """
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
