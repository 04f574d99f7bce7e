"""Text out of other people's files, made safe to show: it must not drive the terminal, nor break a line or a cell."""

from __future__ import annotations

import html
import re


def printable(text: str) -> str:
    """Return text with "?" for each character that is not printed: controls, line ends, marks of direction."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def plain(text: str) -> str:
    """Return text on one line: each stretch of white space is one space, the rest as in `printable`."""
    return printable(" ".join(text.split()))


def in_path(name: str) -> str:
    """Return a name as a part of a file's name: a hyphen for what is not letters, digits, ".", "_" or "-"."""
    return re.sub(r"[^\w.-]+", "-", name)


def escaped(text: str, keep: str = "") -> str:
    r"""Return text with \u escapes, as JSON and TOML know them, for characters that are not printed.

    Args:
        text: A JSON document, or what stands in a quoted string of one.
        keep: Characters left as they are though they are not printed, e.g. the line ends of a document.
    """
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def _escape(char: str) -> str:
    # JSON knows four digits alone: characters beyond them are two halves.
    halves = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{halves[start : start + 4]}" for start in range(0, len(halves), 4))


_FORMULA = ("=", "+", "-", "@")


def harmless(text: str) -> str:
    """Return text on one line that no spreadsheet takes for a formula."""
    # White space first: a formula may hide behind a tab, and csv leaves a carriage return unquoted.
    flat = plain(text)
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def markdown_escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line and in one cell of a table."""
    flat = html.escape(plain(text), quote=False)
    # A lone "-" is a missing value; within words these characters would be markup.
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", flat)
