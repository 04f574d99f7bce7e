"""The tolerances of checks, by tier (tolerances.toml): how far a measured number may be from the expected one."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fssbench.checking.verdict import Tolerance
from fssbench.errors import BrokenFileError, UsageError

TierName = Literal["exact", "versions", "same", "drawn", "trained"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Tier(_Data):
    """One tier. tolerances.toml explains the fields; they are in percentage points."""

    title: str
    source: str
    fold: float | None = None
    mean: float | None = None
    er_fold: float | None = None
    er_mean: float | None = None
    low_side: float = 0.0
    rounding: float = 0.0
    sigmas: float = 0.0
    s_1shot: float = 0.0
    s_5shot: float = 0.0


class Printed(_Data):
    """The episodes behind the printed numbers of a protocol.

    Attributes:
        fixed: Whether the released code always evaluates the same episodes.
        thousands: Thousands of episodes per fold, by data set.
        release: The protocol of a method's release, by method, if it is another one of the family.
    """

    fixed: bool = False
    thousands: dict[str, float]
    release: dict[str, str] = Field(default_factory=dict)


class Without(_Data):
    """Printed numbers whose weights or protocol were not released."""

    method: str
    tier: Literal["trained", "none"]
    reason: str
    backbone: str | None = None
    dataset: str | None = None


class Tolerances(_Data):
    """The content of tolerances.toml."""

    fb_factor: float = Field(gt=0)
    widest: float = Field(gt=0)
    exact: Tier
    versions: Tier
    same: Tier
    drawn: Tier
    trained: Tier
    printed: dict[str, Printed]
    without: list[Without]

    def unreleased(self, method: str, backbone: str, dataset: str) -> Without | None:
        """Return the entry that says what was not released for a printed row; None if there is no such entry."""
        for entry in self.without:
            wanted = (entry.method, entry.backbone or backbone, entry.dataset or dataset)
            if wanted == (method, backbone, dataset):
                return entry
        return None


@cache
def tolerances() -> Tolerances:
    """Read tolerances.toml.

    Raises:
        BrokenFileError: If it is damaged.
    """
    path = Path(__file__).parent / "tolerances.toml"
    try:
        with path.open("rb") as file:
            return Tolerances.model_validate(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BrokenFileError(f"{path.name} can't be read: {error}", "reinstall fssbench, or mend the file") from error


def stated_tolerance(points: float, source: str = "given with --tolerance") -> Tolerance:
    """Return a tolerance that the caller states, in percentage points.

    Raises:
        UsageError: If it is not between 0 and 100.
    """
    if not (math.isfinite(points) and 0.0 <= points <= 100.0):
        raise UsageError(f"a tolerance is 0 to 100 percentage points, not {points}", "e.g. --tolerance 0.4")
    return Tolerance(points, points, "stated", source)


def tolerance_of(
    name: TierName,
    measure: str,
    *,
    mean: bool,
    shot: int = 1,
    thousands: tuple[float, float] | None = None,
) -> Tolerance | None:
    """Return the tolerance of a number; None if the tier has none for it.

    Args:
        name: The tier.
        measure: "miou", "fb_iou" or "exact_ratio".
        mean: Whether the number is the mean over the folds.
        shot: K. With more shots, the draw of the episodes changes the number less.
        thousands: For "drawn", thousands of episodes per fold of the printed and of the measured number.
    """
    known = tolerances()
    tier: Tier = getattr(known, name)
    if measure == "exact_ratio":
        half_width, low_side = tier.er_mean if mean and tier.er_mean is not None else tier.er_fold, 0.0
    else:
        half_width, low_side = _half_width(tier, mean, shot, thousands), tier.low_side
    if half_width is None:
        return None
    factor = known.fb_factor if measure == "fb_iou" else 1.0
    return Tolerance(factor * (half_width + low_side), factor * half_width, tier.title, tier.source)


def _half_width(tier: Tier, mean: bool, shot: int, thousands: tuple[float, float] | None) -> float | None:
    if not tier.sigmas:
        return tier.mean if mean and tier.mean is not None else tier.fold
    if thousands is None:
        return None
    deviation = tier.s_1shot if shot < 5 else tier.s_5shot
    fold = tier.rounding + tier.sigmas * deviation * math.sqrt(1.0 / thousands[0] + 1.0 / thousands[1])
    return fold / 2.0 if mean else fold
