"""How a table is drawn: its columns, digits, order of rows, and what LaTeX needs besides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fssbench.errors import UsageError, unknown_name
from fssbench.publications.rows import NUMBERS

OrderName = Literal["year", "mean", "name", "given"]
Span = Literal["column", "page"]

VENUE = "venue"
COLUMNS = (VENUE, "folds", "fold-0", "mean", "fb-iou", "miou", "exact-ratio", "params")
"""What `Style.columns` may hold; "fold-0" stands for each fold by its number."""

MOST_DECIMALS = 4

_PATTERNS = {
    "folds": r"(er_)?fold\d+",
    "mean": r"(er_)?mean",
    "fb-iou": "fb_iou",
    "miou": r"fold\d+|mean",
    "exact-ratio": r"er_(fold\d+|mean)",
    "params": "learnable_params",
}


@dataclass(frozen=True)
class Style:
    r"""How tables are drawn.

    Attributes:
        columns: Names of `COLUMNS`, in the order of the table; empty for all that have a number.
        intervals: Whether the line with the 95 % interval stands below a measured row.
        footnotes: Whether rows and numbers have marks, and the table footnotes.
        decimals: Decimals of measured numbers. A printed number has no more than were printed, but at least one.
        order: Rows of a group by the year of their venue, with own methods last; by their mean; by name; or as they
            were named, methods before runs.
        details: Whether footnotes name the options of a method and the order of the image lists.
        deviation: Whether a number of several runs has their standard deviation next to it. Runs that differ in
            nothing but seed and weights are then one row.
        caption: The caption, instead of title and legend; in LaTeX as it is, with its commands.
        key: The key of LaTeX's `\label`; of several tables the second one is KEY-2.
        cite: Whether names of methods and sources have LaTeX's `\cite`.
        span: In LaTeX, whether a table is as wide as a column of the text or as the page.
    """

    columns: tuple[str, ...] = ()
    intervals: bool = True
    footnotes: bool = True
    decimals: int = 1
    order: OrderName = "year"
    details: bool = False
    deviation: bool = False
    caption: str = ""
    key: str = ""
    cite: bool = False
    span: Span = "page"

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in COLUMNS and not re.fullmatch(r"fold-\d{1,3}", name):
                raise unknown_name("column", name, COLUMNS, f"--columns {','.join(COLUMNS[1:2] + COLUMNS[3:5])}")
        if not 0 <= self.decimals <= MOST_DECIMALS:
            raise UsageError(f"--decimals is 0 to {MOST_DECIMALS}, not {self.decimals}")
        if not re.fullmatch(r"[A-Za-z0-9:._/+-]*", self.key):
            raise UsageError(
                f"'{self.key}' is no key of LaTeX: letters, digits and :._/+- are", "--latex-label tab:fss"
            )

    @property
    def venue(self) -> bool:
        """Whether there is a column with venues: by default on a page, as a column of the text has no room for it."""
        return VENUE in self.columns or (not self.columns and self.span == "page")

    def chosen(self, numbers: Sequence[str]) -> tuple[str, ...]:
        """Return the numbers of a block (`fssbench.publications.rows.NUMBERS`) that are shown, in their order."""
        if not self.columns:
            return tuple(numbers)
        found = [number for name in self.columns for number in numbers if _names(name, number)]
        return tuple(dict.fromkeys(found))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of numbers that are shown, among those of printed rows."""
        return tuple(number for number in NUMBERS if number in self.chosen(NUMBERS))


def _names(column: str, number: str) -> bool:
    pattern = _PATTERNS.get(column, "")
    if column.startswith("fold-"):
        pattern = f"(er_)?fold{int(column.removeprefix('fold-'))}"
    return re.fullmatch(pattern, number) is not None
