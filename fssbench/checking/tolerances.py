"""How far a measured number may be from the expected one, by the case that applies (tolerances.toml)."""

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
    """One case; the fields are those that tolerances.toml explains, in per cent points."""

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
        fixed: Whether the released code asks the same ones each time.
        thousands: Thousands of them per fold, by data set.
        release: By method, the protocol of its release, where that is another of the family.
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
    """Everything in tolerances.toml."""

    fb_factor: float = Field(gt=0)
    exact: Tier
    versions: Tier
    same: Tier
    drawn: Tier
    trained: Tier
    printed: dict[str, Printed]
    without: list[Without]

    def unreleased(self, method: str, backbone: str, dataset: str) -> Without | None:
        """Return what is not released of a printed row, None if nothing is known to be missing."""
        for entry in self.without:
            wanted = (entry.method, entry.backbone or backbone, entry.dataset or dataset)
            if wanted == (method, backbone, dataset):
                return entry
        return None


@cache
def tolerances() -> Tolerances:
    """Return what tolerances.toml says.

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
    """Return a tolerance that the caller states, in per cent points.

    Raises:
        UsageError: If it is no distance.
    """
    if not (math.isfinite(points) and 0.0 <= points <= 100.0):
        raise UsageError(f"a tolerance is 0 to 100 per cent points, not {points}", "e.g. --tolerance 0.4")
    return Tolerance(points, points, "stated", source)


def tolerance_of(
    name: TierName,
    measure: str,
    *,
    mean: bool,
    shot: int = 1,
    thousands: tuple[float, float] | None = None,
) -> Tolerance | None:
    """Return the tolerance of a number, None where no figure is known for it.

    Args:
        name: The case.
        measure: "miou", "fb_iou" or "exact_ratio".
        mean: Whether the number is the mean over the folds.
        shot: K; the draw moves numbers of more supports less.
        thousands: For "drawn", thousands of episodes per fold behind the printed and the measured number.
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
