"""What charts are drawn from, and their legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_LETTER, _MARK = 0.055, 0.4
STAR = "* no 95 % interval can be given"


@dataclass(frozen=True)
class Series:
    """The numbers of one method.

    Attributes:
        name: Its name in the legend.
        values: One for each label of the axis; NaN where there is none.
        low: Lower ends of the intervals; empty for none, NaN where one can't be given.
        high: Upper ends.
    """

    name: str
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def errors(self) -> list[list[float]] | None:
        """Return the distances to the ends of the intervals, below and above; None without intervals.

        One that can't be given is NaN, so that nothing is drawn: a bar of no length would look sure.
        """
        if not len(self.low):
            return None
        values = np.asarray(self.values, dtype=np.float64)
        below = np.maximum(values - np.asarray(self.low, dtype=np.float64), 0.0)
        above = np.maximum(np.asarray(self.high, dtype=np.float64) - values, 0.0)
        return [below.tolist(), above.tolist()]


def starred(series: Sequence[Series], labels: Sequence[str]) -> list[str]:
    """Return the labels of an axis, with a star where a method has a value whose interval can't be given."""
    return [
        f"{label}*"
        if any(len(one.low) and np.isnan(one.low[n]) and not np.isnan(one.values[n]) for one in series)
        else label
        for n, label in enumerate(labels)
    ]


def legend(figure: Figure, axes: Axes, count: int) -> None:
    """Show the names of the methods above the axes; one method alone needs no legend."""
    if count > 1:
        handles, labels = axes.get_legend_handles_labels()
        # About the width of a letter and of a mark in inches: a legend wider than its figure would be cut off.
        widest = _MARK + _LETTER * max(map(len, labels))
        columns = max(1, min(count, int(figure.get_figwidth() / widest)))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1, handlelength=1.5)
