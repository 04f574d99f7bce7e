"""Making text from other people's files safe to print: it must not control the terminal, nor break a line or a cell."""

from __future__ import annotations

import html
import json
import re


def printable(text: str) -> str:
    """Return text with "?" for each character that is not printable: controls, line ends, direction marks."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def plain(text: str) -> str:
    """Return text on one line: white space is reduced to single spaces, the rest is as in `printable`."""
    return printable(" ".join(text.split()))


def in_path(name: str) -> str:
    """Return a name as part of a file name, with a hyphen for all but letters, digits, ".", "_" and "-"."""
    return re.sub(r"[^\w.-]+", "-", name)


def escaped(text: str, keep: str = "") -> str:
    r"""Return text with \u escapes, as in JSON and TOML, for characters that are not printable.

    Args:
        text: A JSON document, or the content of a quoted string.
        keep: Characters that are kept although they are not printable, e.g. the line ends of a document.
    """
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def json_text(value: object) -> str:
    """Return a value as a JSON document with a line end, in which no text can drive a terminal.

    Raises:
        ValueError: If a number in it is NaN or infinite.
    """
    return escaped(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), keep="\n") + "\n"


def _escape(char: str) -> str:
    # In JSON an escape has four digits: characters beyond them are surrogate pairs.
    halves = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{halves[start : start + 4]}" for start in range(0, len(halves), 4))


_FORMULA = ("=", "+", "-", "@")


def harmless(text: str) -> str:
    """Return text on one line that a spreadsheet does not take for a formula."""
    # White space is reduced first: a tab may precede a formula, and csv does not quote a carriage return.
    flat = plain(text)
    return f"'{flat}" if flat.startswith(_FORMULA) else flat


def markdown_escaped(text: str) -> str:
    """Return text on one line, escaped for a cell of a Markdown table."""
    flat = html.escape(plain(text), quote=False)
    # "-" is not escaped, as it stands for a missing value.
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", flat)
