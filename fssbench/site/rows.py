"""The rows of a site's tables: what is shown of a result, and by what it is filtered and sorted."""

from __future__ import annotations

from dataclasses import dataclass

from fssbench.escape import plain
from fssbench.publications.rows import FOLDS
from fssbench.site.gather import Result
from fssbench.tables.entry import NO_BACKBONE, shown_number

FILTERS = {
    "dataset": "data set",
    "task": "task",
    "way": "ways",
    "shot": "shots",
    "backbone": "backbone",
    "protocol": "protocol",
    "origin": "origin",
    "seen": "test classes seen",
    "year": "year",
}
"""What rows are filtered by, with its title."""

NUMBERS = (*FOLDS, "mean", "fb_iou", "er_mean", "learnable_params")
"""The numbers of a row, in the order of its columns."""

UNKNOWN = "not stated"


@dataclass(frozen=True)
class Line:
    """A row.

    Attributes:
        result: The result.
        data: What it is filtered by, of `FILTERS`.
        numbers: The text of each number of `NUMBERS`; empty where there is none.
        intervals: The 95 % interval of each number as text; empty where there is none.
        source: Where the number is from.
        href: The address of that; empty if it is not known. An address that is no web page is a path from the folder of
            the site.
        notes: The footnotes.
    """

    result: Result
    data: dict[str, str]
    numbers: dict[str, str]
    intervals: dict[str, str]
    source: str
    href: str
    notes: tuple[str, ...]

    @property
    def outside(self) -> bool:
        """Whether the address is another site's."""
        return self.href.startswith("https://")


def line_of(result: Result) -> Line:
    """Return a result as a row."""
    entry = result.entry
    measured = entry.origin == "measured"
    data = {
        "dataset": entry.data_title,
        "task": {"fss": "FSS", "fscs": "FS-CS"}.get(entry.task, entry.task),
        "way": UNKNOWN if entry.way is None else str(entry.way),
        "shot": UNKNOWN if entry.shot is None else str(entry.shot),
        "backbone": "none" if entry.backbone == NO_BACKBONE else entry.backbone or UNKNOWN,
        "protocol": entry.protocol or UNKNOWN,
        "origin": "measured" if measured else "printed",
        "seen": result.seen,
        "year": UNKNOWN if result.year is None else str(result.year),
    }
    numbers = {name: shown_number(entry, name) if name in entry.numbers else "" for name in NUMBERS}
    intervals = {name: f"{low:.1f} to {high:.1f}" for name, (low, high) in entry.intervals.items() if name in NUMBERS}
    source = "run record" if measured else ", ".join(part for part in (entry.source, entry.location) if part)
    href = f"records/{result.id}.json" if measured else entry.url if entry.url.startswith("https://") else ""
    # Paths of runs are of the machine on which the site was made.
    notes = [remark.text for remark in entry.remarks if remark.kind not in ("detail", "repeated")]
    if entry.note and entry.note not in notes:
        notes.append(entry.note)
    shown = {name: plain(text) for name, text in data.items()}
    return Line(result, shown, numbers, intervals, plain(source), href, tuple(dict.fromkeys(map(plain, notes))))
