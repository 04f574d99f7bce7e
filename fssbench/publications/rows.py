"""What a printed number is: its paper, source, protocol and row."""

from __future__ import annotations

from dataclasses import dataclass

FOLDS = ("fold0", "fold1", "fold2", "fold3")


ER_FOLDS = ("er_fold0", "er_fold1", "er_fold2", "er_fold3")


PERCENT = (*FOLDS, "mean", "fb_iou", *ER_FOLDS, "er_mean", "precision")


NUMBERS = (*PERCENT, "learnable_params")


ROLES = ("result", "ablation", "rerun", "oracle", "unresolved")


TASKS = ("fss", "fscs", "cross-domain")


CONFIDENCES = ("printed", "recovered", "uncertain")


KINDS = ("paper", "readme", "page", "survey")


CSV_COLUMNS = (
    *("method", "variant", "role", "source", "location", "dataset", "task", "protocol", "way", "shot", "backbone"),
    *(*NUMBERS, "confidence", "note"),
)


FRAME_COLUMNS = (
    *("method", "name", "variant", "role", "venue", "title"),
    *("source", "source_title", "source_venue", "source_kind", "source_place", "location"),
    *("dataset", "task", "protocol", "way", "shot", "backbone", *NUMBERS, "confidence", "note"),
)
"""The columns of `published()`."""


@dataclass(frozen=True)
class Paper:
    """A method of the printed tables.

    Attributes:
        name: As the tables print it, e.g. "HSNet".
        title: The paper's.
        venue: e.g. "ICCV 2021"; empty if unknown.
        code: The official repository, owner/name; empty if there is none.
        unread: True if title or venue were not read at a listed source.
        missing: Of a method that is not implemented here: what its paper leaves open; empty if nobody has looked.
    """

    name: str
    title: str
    venue: str
    code: str = ""
    unread: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Source:
    """Where numbers were read.

    Attributes:
        title: Of the paper.
        venue: Where it appeared.
        kind: One of `KINDS`.
        place: repository@commit, or in words.
        cite: The short form for footnotes.
        own: Methods whose authors are the source's.
        superseded: Whether the same authors replaced these numbers later.
    """

    title: str
    venue: str
    kind: str
    place: str
    cite: str
    own: tuple[str, ...]
    superseded: bool = False


@dataclass(frozen=True)
class ProtocolNote:
    """How a release evaluates, in words.

    Attributes:
        title: The rule.
        other_folds: The data sets on which its folds hold other classes than those of the other protocols.
    """

    title: str
    other_folds: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrintedRow:
    """One printed result.

    Attributes:
        numbers: The printed numbers by column (`NUMBERS`), exactly as printed; a column that was not printed is absent.
            Percent; `learnable_params` in millions.
        way: N, None where not printed.
        shot: K, None where not printed.

    The others are the columns that benchmarks/published/README.md describes.
    """

    method: str
    variant: str
    role: str
    source: str
    location: str
    dataset: str
    task: str
    protocol: str
    way: int | None
    shot: int | None
    backbone: str
    numbers: dict[str, str]
    confidence: str
    note: str

    def mean_of_folds(self) -> float | None:
        """Return the mean of the four printed folds in percent, None unless all four are printed."""
        if any(fold not in self.numbers for fold in FOLDS):
            return None
        return sum(float(self.numbers[fold]) for fold in FOLDS) / len(FOLDS)

    def mean_disagrees(self) -> bool:
        """Return whether the printed mean is not the mean of the printed folds, beyond rounding."""
        mean = self.mean_of_folds()
        if mean is None or "mean" not in self.numbers:
            return False
        # A second decimal that is 0 in all of them is padding.
        decimals = [self.numbers[column].partition(".")[2].rstrip("0") for column in (*FOLDS, "mean")]
        digits = max(1, *map(len, decimals))
        # Each fold and the mean may be half a last digit off: together one last digit.
        return abs(mean - float(self.numbers["mean"])) > 10.0**-digits + 1e-9


@dataclass(frozen=True)
class Publications:
    """Everything in benchmarks/published.

    Attributes:
        rows: All printed results; by source in the order of sources.toml, within one as printed.
        methods: Papers by the key that rows use.
        sources: Sources by the key that rows use, the preferred first.
        protocols: Rules by the key that rows use.
    """

    rows: tuple[PrintedRow, ...]
    methods: dict[str, Paper]
    sources: dict[str, Source]
    protocols: dict[str, ProtocolNote]
