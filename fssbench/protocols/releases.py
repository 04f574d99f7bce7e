"""What is known of the evaluation of each release, also of those that no protocol here repeats: releases.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from fssbench.protocols.rules import protocol

TOPICS = {
    "episodes": "episodes of a fold",
    "seeds": "seeds",
    "generator": "random numbers",
    "queries": "queries",
    "supports": "supports",
    "lists": "lists of photos",
    "small": "small objects dropped",
    "input": "input size",
    "resize": "resizing",
    "scored": "pixels are counted at",
    "ignore": "pixels labelled 255",
    "shots": "K shots",
    "average": "mIoU is the mean of",
    "folds": "classes of a fold",
    "training": "training photos with novel classes",
    "note": "also",
}
"""The facts of an evaluation, in the order in which they are shown, each in words."""

DERIVED = ("episodes", "seeds", "input", "resize", "scored", "ignore")
"""The facts that protocols.toml has for a release that a protocol here repeats."""

NAMED = ("coco20i", "pascal5i")
"""The data sets for which a fact can differ."""


@dataclass(frozen=True)
class ReleaseFact:
    """One fact of a release's evaluation.

    Attributes:
        file: The files of the release in which it was read, with commas between.
        all: What holds on every data set; empty if that is not stated.
        coco20i: What holds on COCO-20i, if that differs or is all that is known.
        pascal5i: The same for PASCAL-5i.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    file: str
    all: str = ""
    coco20i: str = ""
    pascal5i: str = ""

    def on(self, dataset: str) -> str:
        """Return what holds on a data set; empty if it is not stated."""
        own: str = getattr(self, dataset) if dataset in NAMED else ""
        return own or self.all


@dataclass(frozen=True)
class Release:
    """The evaluation of one release.

    Attributes:
        name: Name in releases.toml.
        title: Its name in text.
        repository: owner/name.
        commit: Where everything was read.
        facts: By topic (`TOPICS`); without `DERIVED` where `protocol` has them.
        methods: Its names in benchmarks/published.
        rows: Protocols of its printed rows, besides its name and its protocol.
        protocol: The protocol here that repeats it; empty if it is not runnable here.
        method: The method here whose rule for K shots it is; empty if a fact states the rule.
        questions: Releases with the same letter ask the same episodes of COCO-20i; empty if it has none.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    title: str
    repository: str
    commit: str
    facts: Mapping[str, ReleaseFact] = field(hash=False)
    methods: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    protocol: str = ""
    method: str = ""
    questions: str = ""

    @property
    def place(self) -> str:
        """Repository and commit: "owner/name@commit"."""
        return f"{self.repository}@{self.commit}"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets on which its evaluation is known."""
        if self.protocol:
            return protocol(self.protocol).datasets
        return tuple(name for name in NAMED if self.facts["episodes"].on(name))


@cache
def releases() -> dict[str, Release]:
    """Return what is known of each release, by name, in the order of releases.toml."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(dict[str, Release])
    with Path(__file__).with_name("releases.toml").open("rb") as file:
        raw = tomllib.load(file)
    return schema.validate_python({name: {"name": name, **fields} for name, fields in raw.items()})


def release_of_protocol(name: str) -> Release | None:
    """Return the release that a protocol here repeats: the one of its name, or the first that names it."""
    base = name.partition("@")[0]
    found = [one for one in releases().values() if one.protocol == base]
    return next((one for one in found if one.name == base), found[0] if found else None)


def release_of_method(method: str) -> Release | None:
    """Return the release of a method of benchmarks/published; None if none was read."""
    return next((one for one in releases().values() if method in one.methods), None)
