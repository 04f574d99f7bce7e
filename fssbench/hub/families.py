"""The families of networks that a model of the hub may have (families.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD

Form = Literal["tokens", "grid", "stages", "merging stages"]
Statistics = tuple[float, float, float]
"""One number for each of red, green and blue, for pixels in 0..1."""


@dataclass(frozen=True)
class Family:
    """A family of networks; the file says what each field is."""

    name: str
    form: Form
    depth: str
    default: int
    positions: bool = False
    within: str = ""
    mean: Statistics = IMAGENET_MEAN
    std: Statistics = IMAGENET_STD
    unused: tuple[str, ...] = ()

    @property
    def hierarchical(self) -> bool:
        """Whether its maps are of stages, each smaller than the one before."""
        return self.form in ("stages", "merging stages")

    def default_layers(self, depth: int) -> tuple[int, ...]:
        """Return the layers that are used if none are named: blocks at 1/2, 3/4 and the last, or the last stages."""
        if self.hierarchical:
            return tuple(range(max(1, depth - 2), depth + 1))
        return tuple(max(1, part) for part in (depth // 2, depth * 3 // 4, depth))


@cache
def families() -> dict[str, Family]:
    """Return all families by name."""
    with Path(__file__).with_name("families.toml").open("rb") as file:
        raw = tomllib.load(file)
    return {name: _family(name, fields) for name, fields in raw.items()}


def _family(name: str, fields: Mapping[str, Any]) -> Family:
    read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return Family(**read, name=name)
