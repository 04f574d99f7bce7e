"""Options that hold several words or numbers with commas between."""

from __future__ import annotations

from collections.abc import Iterable

from fssbench.errors import UsageError


def words(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return words from options that may be repeated or hold several with commas between."""
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Return counts from an option, e.g. "1,5".

    Raises:
        UsageError: If one of them is no count from 1.
    """
    found = words([text])
    for word in found:
        if not word.isdecimal() or int(word) < 1:
            raise UsageError(f"{option} takes counts from 1, with commas between, not '{word}'", f"{option} 1,5")
    return tuple(int(word) for word in found)
