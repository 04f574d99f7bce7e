"""The classes of cross-domain evaluation: which classes of two data sets are the same, and which are tested."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

OWN = ("unseen", "all", "own")
"""Choices of test classes that every pair of data sets has: see `fssbench.datasets.transfer.view`."""


@dataclass(frozen=True)
class Table:
    """A mapping of the classes of one data set to those of another.

    Attributes:
        train: The data set that the class names belong to.
        test: The data set that the label values 1, 2, ... belong to.
        classes: The class name for each label value.
        source: The source of the mapping.
        flaw: What is wrong with the mapping; empty if it is right.
    """

    train: str
    test: str
    classes: tuple[str, ...]
    source: str
    flaw: str = ""


@dataclass(frozen=True)
class CrossDomainFacts:
    """The content of classes.toml.

    Attributes:
        spellings: The normalised name for each further spelling, both as `plain` returns them.
        tables: Mappings that are right.
        choices: Wrong mappings by which a release chose its test classes, by name.
    """

    spellings: Mapping[str, str]
    tables: tuple[Table, ...]
    choices: Mapping[str, Table]


@cache
def facts() -> CrossDomainFacts:
    """Read classes.toml."""
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        raw = tomllib.load(file)
    return CrossDomainFacts(
        spellings={_letters(other): _letters(name) for name, others in raw["spellings"].items() for other in others},
        tables=tuple(_table(table) for table in raw["tables"]),
        choices={name: _table(table) for name, table in raw["choices"].items()},
    )


def _table(raw: Mapping[str, object]) -> Table:
    from pydantic import TypeAdapter

    return TypeAdapter(Table).validate_python(raw)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter not in " -_")


@lru_cache(maxsize=1 << 14)
def plain(name: str) -> str:
    """Return the normalised form of a class name: without case, spaces, hyphens and underscores, in one spelling."""
    letters = _letters(name)
    return facts().spellings.get(letters, letters)


def choices_for(train: str, test: str) -> tuple[str, ...]:
    """Return the possible choices of test classes for a pair of data sets."""
    known = facts().choices.items()
    return (*OWN, *(name for name, table in known if (table.train, table.test) == (train, test)))


def counterparts(train: str, test: str, classes: Mapping[int, str]) -> dict[int, str]:
    """Return the normalised name of the class of `train` for each label value of `test`.

    Args:
        train: Name of the training data set.
        test: Name of the test data set.
        classes: The names of the label values of `test`.
    """
    for table in facts().tables:
        if (table.train, table.test) == (train, test):
            return {value: plain(name) for value, name in enumerate(table.classes, 1)}
    return {value: plain(name) for value, name in classes.items()}


def supposed(choice: str) -> dict[int, str]:
    """Return the class that a release took each label value for, as normalised names."""
    return {value: plain(name) for value, name in enumerate(facts().choices[choice].classes, 1)}


def seen(values: Iterable[int], meaning: Mapping[int, str], training: Iterable[str]) -> tuple[int, ...]:
    """Return the label values whose class the training has seen.

    Args:
        values: Label values.
        meaning: The normalised class name of each label value.
        training: The names of the training classes.
    """
    known = {plain(name) for name in training}
    return tuple(value for value in values if meaning.get(value) in known)
