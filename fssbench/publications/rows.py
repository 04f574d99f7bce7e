"""The records of printed numbers: papers, sources, protocols and rows."""

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
        name: Printed name, e.g. "HSNet".
        title: Title of the paper.
        venue: E.g. "ICCV 2021"; empty if unknown.
        code: The official repository, owner/name; empty if there is none.
        unread: Whether title or venue could not be checked at a listed source.
        missing: For a method that is not implemented here: what its paper leaves open; empty if it was not examined.
        weights: Of a method without checkpoints in the registry: where its release has them, "none" if it has none;
            empty if nobody has looked.
        weights_note: Where this was read, and of what the weights are.
        authors: The authors, as the BibTeX entry in a README of the release prints them; empty if none was read.
        authors_read: The repository and commit of that README.
    """

    name: str
    title: str
    venue: str
    code: str = ""
    unread: bool = False
    missing: str = ""
    weights: str = ""
    weights_note: str = ""
    authors: tuple[str, ...] = ()
    authors_read: str = ""


@dataclass(frozen=True)
class Source:
    """A source of printed numbers.

    Attributes:
        title: Title of the paper.
        venue: Where it appeared.
        kind: One of `KINDS`, or "own" for what the user has added.
        place: repository@commit, or a description.
        cite: The short form for footnotes.
        own: The methods by the authors of the source.
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
    """The description of a release's protocol.

    Attributes:
        title: The description.
        other_folds: The data sets on which its folds have other classes than in the other protocols.
    """

    title: str
    other_folds: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrintedRow:
    """One printed result.

    Attributes:
        numbers: The printed numbers by column (`NUMBERS`), exactly as printed; a column that was not printed is absent.
            In percent; `learnable_params` in millions.
        way: N; None if it was not printed.
        shot: K; None if it was not printed.

    The others are the columns described in benchmarks/published/README.md.
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
        """Return the mean of the four printed folds in percent; None unless all four are printed."""
        if any(fold not in self.numbers for fold in FOLDS):
            return None
        return sum(float(self.numbers[fold]) for fold in FOLDS) / len(FOLDS)

    def mean_disagrees(self) -> bool:
        """Return whether the printed mean differs from the mean of the printed folds by more than rounding."""
        mean = self.mean_of_folds()
        if mean is None or "mean" not in self.numbers:
            return False
        # Trailing zeros are padding: they do not make a number more precise.
        decimals = [self.numbers[column].partition(".")[2].rstrip("0") for column in (*FOLDS, "mean")]
        digits = max(1, *map(len, decimals))
        # Rounding changes each fold and the mean by up to half of the last digit, together by one last digit.
        return abs(mean - float(self.numbers["mean"])) > 10.0**-digits + 1e-9


@dataclass(frozen=True)
class Publications:
    """The content of benchmarks/published.

    Attributes:
        rows: All printed results, in the order of sources.toml, and within a source in the order of its file.
        methods: Papers, by the keys in the rows.
        sources: Sources, by the keys in the rows; preferred ones first.
        protocols: Protocols, by the keys in the rows.
    """

    rows: tuple[PrintedRow, ...]
    methods: dict[str, Paper]
    sources: dict[str, Source]
    protocols: dict[str, ProtocolNote]
