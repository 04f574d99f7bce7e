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


@dataclass(frozen=True)
class Series:
    """The numbers of one method.

    Attributes:
        name: Its name in the legend.
        values: One for each label of the axis; NaN where there is none.
        low: Lower ends of the intervals; empty for none.
        high: Upper ends.
    """

    name: str
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def errors(self) -> list[list[float]] | None:
        """Return the distances to the ends of the intervals, below and above; None without intervals."""
        if not len(self.low):
            return None
        below = [max(0.0, value - low) for value, low in zip(self.values, self.low, strict=True)]
        above = [max(0.0, high - value) for value, high in zip(self.values, self.high, strict=True)]
        return [np.nan_to_num(below).tolist(), np.nan_to_num(above).tolist()]


def legend(figure: Figure, axes: Axes, count: int) -> None:
    """Show the names of the methods above the axes; one method alone needs no legend."""
    if count > 1:
        handles, labels = axes.get_legend_handles_labels()
        # About the width of a letter and of a mark in inches: a legend wider than its figure would be cut off.
        widest = _MARK + _LETTER * max(map(len, labels))
        columns = max(1, min(count, int(figure.get_figwidth() / widest)))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, columnspacing=1, handlelength=1.5)
