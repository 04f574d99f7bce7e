"""What cross-domain evaluation knows of classes: which are the same thing in two data sets, and which a test asks."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OWN = ("unseen", "all", "own")
"""Choices of test classes that every pair of data sets has: see `fssbench.datasets.transfer.view`."""


@dataclass(frozen=True)
class Table:
    """Which class of one data set is which of another.

    Attributes:
        train: The data set whose names these are.
        test: The data set whose label values 1, 2, ... they are given for.
        classes: For each label value the name.
        source: Who says so.
        flaw: What is wrong with it, in words; empty for a table that holds.
    """

    train: str
    test: str
    classes: tuple[str, ...]
    source: str
    flaw: str = ""


@dataclass(frozen=True)
class CrossDomainFacts:
    """What cross_domain.toml says.

    Attributes:
        spellings: Further spellings of a name, all as `plain` gives them.
        tables: Tables that hold.
        choices: By name, tables by which a release chose its test classes although they do not hold.
    """

    spellings: Mapping[str, str]
    tables: tuple[Table, ...]
    choices: Mapping[str, Table]


@cache
def facts() -> CrossDomainFacts:
    """Return the facts of cross_domain.toml."""
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


def plain(name: str) -> str:
    """Return a class name without case, spaces, hyphens and underscores, in one of its spellings."""
    letters = _letters(name)
    return facts().spellings.get(letters, letters)


def choices_for(train: str, test: str) -> tuple[str, ...]:
    """Return the names of the choices of test classes that a pair of data sets has."""
    known = facts().choices.items()
    return (*OWN, *(name for name, table in known if (table.train, table.test) == (train, test)))


def counterparts(train: str, test: str, classes: Mapping[int, str]) -> dict[int, str]:
    """Return for each label value of `test` the plain name of what it is in `train`.

    Args:
        train: Name of the data set that weights were trained on.
        test: Name of the data set that is asked.
        classes: The names of its label values.
    """
    for table in facts().tables:
        if (table.train, table.test) == (train, test):
            return {value: plain(name) for value, name in enumerate(table.classes, 1)}
    return {value: plain(name) for value, name in classes.items()}


def supposed(choice: str) -> dict[int, str]:
    """Return what a release took each label value for, as plain names."""
    return {value: plain(name) for value, name in enumerate(facts().choices[choice].classes, 1)}


def seen(values: Iterable[int], meaning: Mapping[int, str], training: Iterable[str]) -> tuple[int, ...]:
    """Return the label values that mean something that training has seen.

    Args:
        values: Label values.
        meaning: What each of them is, as plain names.
        training: The names of the classes seen.
    """
    known = {plain(name) for name in training}
    return tuple(value for value in values if meaning.get(value) in known)
