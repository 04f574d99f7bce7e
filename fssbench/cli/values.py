"""What stands in the text of options: lists with commas, counts, numbers, and what several options say together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.planning.request import Task
    from fssbench.results.run_reader import Existing


def task_of(text: str | None) -> Task | None:
    """Return the task that --task names: "fs-cs" and "fscs" are one."""
    tasks: dict[str, Task] = {"fss": "fss", "fs-cs": "fscs", "fscs": "fscs"}
    return None if text is None else tasks[text]


def existing_of(*, resume: bool, overwrite: bool) -> Existing:
    """Return what is done with a run that is in the folder already.

    Raises:
        UsageError: If both options were given.
    """
    from fssbench.results.run_reader import Existing

    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    return Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE


def words(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return words from options that may be repeated or hold several with commas between."""
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def words_or_folders(texts: Iterable[str] | None) -> tuple[str, ...]:
    """Return words as `words` does; a text that names a folder is one word, whatever commas are in its name."""
    return tuple(word for text in texts or () for word in ((text,) if Path(text).is_dir() else words([text])))


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


def names_of(option: str, text: str) -> list[str]:
    """Return names from an option that holds them with commas between, each once.

    Raises:
        UsageError: If one is empty or there twice.
    """
    found = [part.strip() for part in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise UsageError(f"{option} takes names with commas between them, each once, not '{text}'")
    return found


def whole_number(option: str, text: str) -> int:
    """Return a number from an option that may hold several; which numbers make sense is found out later.

    Raises:
        UsageError: If it is none.
    """
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise UsageError(f"{option} is a number or several with commas between them, not '{text}'", f"{option} 1")
    return int(text)
