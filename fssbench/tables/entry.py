"""What a comparison table is made of: one result, printed or measured, with all that a reader must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Origin = Literal["published", "measured"]
Kind = Literal["variant", "source", "mean", "also", "caution", "measured", "printed", "differs"]

NO_BACKBONE = "-"
"""Backbone of a method that has none; an empty one was not printed."""


@dataclass(frozen=True)
class Remark:
    """Something that a footnote must say of a row.

    Attributes:
        kind: Remarks of one kind about one row become one footnote.
        text: Without a full stop.
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Entry:
    """One result: a method on one data set with one way and one shot.

    Attributes:
        origin: Printed somewhere, or measured by fssbench.
        method: Key of the method, e.g. "hsnet".
        label: What the row is called, e.g. "HSNet".
        venue: e.g. "ICCV 2021"; empty if there is none.
        backbone: e.g. "resnet50"; "-" if the method has none, empty if it was not printed.
        dataset: e.g. "pascal5i".
        task: "fss", "fscs" or "cross-domain".
        protocol: Name of the protocol, empty if not known.
        way: N, None if not printed.
        shot: K, None if not printed.
        line: Entries of one line stand in one row, side by side by shot.
        numbers: Text by column (`fssbench.publications.rows.NUMBERS`): as printed, or with four decimals if measured.
        source: Short form of where it was printed; for a measured one, the run folders.
        location: Table or figure within the source.
        competes: Whether it takes part in best and second best.
        other_folds: Whether its folds hold other classes than those of other rows, so that only its mean competes.
        remarks: For footnotes.
        note: What the source's row says besides, for the formats that print entries.
        variant: Which form of the method: as printed, or the `--variant` that was measured; empty for its usual one.
        reach: Of a measured result, by column: half the width of the 95 % interval.
        fold_count: How many folds its data set has, where its files say it; None where its name does.
        all_classes: Of a measured result whose lists leave out classes of a fold, by column: mIoU with these as 0, as
            releases count them.
        beside: Of a measured result, by column: what was printed of the same method, data, way, shot and backbone.
    """

    origin: Origin
    method: str
    label: str
    venue: str
    backbone: str
    dataset: str
    task: str
    protocol: str
    way: int | None
    shot: int | None
    line: str
    numbers: Mapping[str, str]
    source: str
    location: str = ""
    competes: bool = True
    other_folds: bool = False
    remarks: tuple[Remark, ...] = ()
    note: str = ""
    variant: str = ""
    half_width: Mapping[str, str] = field(default_factory=dict)
    fold_count: int | None = None
    printed: Mapping[str, str] = field(default_factory=dict)
    all_classes: Mapping[str, str] = field(default_factory=dict)


def rounded(number: str) -> str:
    """Return a printed number with one decimal, as the papers' tables have it; half a last digit is rounded up."""
    return str(Decimal(number).quantize(Decimal("0.1"), ROUND_HALF_UP))


def parameters(millions: str) -> str:
    """Return a parameter count in millions with one decimal, or with two where one would leave nothing."""
    if Decimal(millions) == 0:
        return "0"
    step = Decimal("0.1") if Decimal(millions) >= 1 else Decimal("0.01")
    return str(Decimal(millions).quantize(step, ROUND_HALF_UP))
