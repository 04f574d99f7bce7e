"""One result of a comparison table, printed or measured, with everything that a reader must know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Literal

from fssbench.datasets.catalogue import dataset_title

if TYPE_CHECKING:
    from fssbench.ledger.facts import Facts
    from fssbench.ledger.seen import Seen

Origin = Literal["published", "measured"]
Kind = Literal[
    "variant",
    "source",
    "mean",
    "also",
    "caution",
    "ledger",
    "interval",
    "measured",
    "printed",
    "differs",
    "repeated",
    "detail",
]

NO_BACKBONE = "-"
"""The backbone of a method without one. An empty string means that the backbone was not printed."""


@dataclass(frozen=True)
class Remark:
    """A footnote of a row.

    Attributes:
        kind: Some kinds of remarks about one row are joined into one footnote; "detail" is shown on request only.
        text: The text, without a full stop.
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Entry:
    """One result: the numbers of a method on one data set, for one way and one shot.

    Attributes:
        origin: Printed somewhere, or measured by fssbench.
        method: Key of the method, e.g. "hsnet".
        label: Name of the row, e.g. "HSNet".
        venue: e.g. "ICCV 2021"; empty if there is none.
        backbone: e.g. "resnet50"; "-" if the method has none, empty if it was not printed.
        dataset: e.g. "pascal5i".
        own_data: The name of the data, if it is the user's own and has one.
        task: "fss", "fscs" or "cross-domain".
        protocol: Name of the protocol; empty if it is not known.
        way: N; None if it was not printed.
        shot: K; None if it was not printed.
        line: Entries with the same line are in the same row, in different columns by shot.
        numbers: Text by column (`fssbench.publications.rows.NUMBERS`): as printed, or with four decimals if measured.
        source: Short form of where it was printed; for a measured one, the run folders, separated by commas.
        location: Table or figure within the source.
        competes: Whether the result is ranked (best, second best).
        comparable: Whether a measured result has data, protocol and episodes of the other measured ones, so that it may
            be ranked among them.
        other_folds: Whether the folds have other classes than those of other rows, so that only the mean is ranked.
        remarks: The footnotes.
        note: A further note of the source, for the formats that print entries.
        variant: The variant: its printed name, or the measured `--variant`; empty for the default.
        half_width: For a measured result, half the width of the 95 % interval, by column.
        fold_count: Number of folds of the data set, if its files define it; None if its name does.
        printed: For a measured result, the printed numbers of the same method, data set, way, shot and backbone, by
            column.
        all_classes: For a measured result whose lists leave out classes of a fold, the mIoU where these count as 0, by
            column.
        mean_over: The folds that the means are over, if they are not all folds of the data set; empty if they are.
        intervals: For a measured result, both ends of the 95 % interval, by column.
        no_interval: For a measured result, why a number has no such interval, by column.
        deviation: For a measured result of several runs, their standard deviation, by column.
        own: Whether it is of a method of the user, whose row comes last.
        group: The title of its group of rows, if it is not that of the backbone.
        position: Its place in the order in which methods and runs were named.
        folders: For a measured result, its run folders, relative to where the table is written.
        url: Where a printed number can be read, if that is known; of a measured one its report or folder.
        cite: The BibTeX key of the method's paper; empty if there is none.
        source_cite: The BibTeX key of the paper that prints the number; empty if there is none.
        quoted: Whether the source of a printed number is by others than the authors of the method.
        facts: Its facts in the contamination ledger; None if it was not looked up.
        seen: Which test classes its training has seen; None if it was not looked up.
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
    own_data: str = ""
    comparable: bool = True
    mean_over: tuple[int, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    deviation: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    group: str = ""
    position: int = 0
    folders: tuple[str, ...] = ()
    url: str = ""
    cite: str = ""
    source_cite: str = ""
    quoted: bool = False
    no_interval: Mapping[str, str] = field(default_factory=dict)
    facts: Facts | None = None
    seen: Seen | None = None

    @property
    def data_title(self) -> str:
        """The name of the data set, or of the pair of data sets, as papers print it."""
        return dataset_title(self.dataset, self.own_data)


MEANS = ("mean", "fb_iou", "er_mean")
"""The columns that are means over folds."""


def rounded(number: str, decimals: int = 1) -> str:
    """Return a number with one decimal, as in the papers' tables, or with another number of them; halves go up."""
    return str(Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def shown_number(entry: Entry, column: str, decimals: int = 1) -> str:
    """Return a number of a result as a table shows it: a printed one with no more decimals than were printed."""
    number = entry.numbers[column]
    if column == "learnable_params":
        return parameters(number)
    if entry.origin == "published":
        decimals = min(decimals, max(1, len(number.partition(".")[2])))
    return rounded(number, decimals)


def parameters(millions: str) -> str:
    """Return a parameter count in millions with one decimal, or with two decimals if it is below 1."""
    if Decimal(millions) == 0:
        return "0"
    step = Decimal("0.1") if Decimal(millions) >= 1 else Decimal("0.01")
    return str(Decimal(millions).quantize(step, ROUND_HALF_UP))
