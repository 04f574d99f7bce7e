"""The evaluation protocols, read from protocols.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Literal

from fssbench.errors import UsageError, unknown_name
from fssbench.resources import PACKAGE


@dataclass(frozen=True)
class Protocol:
    """The evaluation choices that make published numbers differ.

    Attributes:
        name: Name in protocols.toml.
        title: What it is, in words.
        source: The release whose code decides.
        task: "fss" or "fscs".
        sampler: Which function draws the episodes.
        seed: The seed the release fixes.
        episodes: How many episodes a fold is asked.
        input: (height, width) fed to the network; the aspect ratio is not kept.
        resize: How photos are brought to that size.
        score_at: Whether IoU is counted at the input size or at the query's own.
        ignore: Whether pixels labelled 255 leave every count or count as background.
        way: Smallest and largest N.
        datasets: The data sets it is defined for.
    """

    name: str
    title: str
    source: str
    task: Literal["fss", "fscs"]
    sampler: str
    seed: int
    episodes: int
    input: tuple[int, int]
    resize: Literal["pillow-bilinear"]
    score_at: Literal["input", "original"]
    ignore: Literal["leave-out", "background"]
    way: tuple[int, int]
    datasets: tuple[str, ...]

    def check(self, dataset: str, way: int, shot: int) -> None:
        """Refuse a data set, way or shot that the protocol does not define.

        Raises:
            UsageError: Naming what is allowed.
        """
        if dataset not in self.datasets:
            raise UsageError(f"protocol {self.name} is not defined for {dataset}; it is for {', '.join(self.datasets)}")
        if not self.way[0] <= way <= self.way[1]:
            raise UsageError(f"protocol {self.name} is defined for {self.way[0]} to {self.way[1]} ways, not {way}")
        if shot < 1:
            raise UsageError(f"an episode needs at least one support per class, not {shot}")


@cache
def _all() -> dict[str, Protocol]:
    with (PACKAGE / "protocols.toml").open("rb") as file:
        raw = tomllib.load(file)
    protocols = {}
    for name, fields in raw.items():
        pairs = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        protocols[name] = Protocol(name=name, **pairs)
    return protocols


def list_protocols() -> list[str]:
    """Return the names of all protocols, in the order of protocols.toml."""
    return list(_all())


def protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        UsageError: If there is none, with the nearest names.
    """
    if name not in _all():
        raise unknown_name("protocol", name, _all())
    return _all()[name]
