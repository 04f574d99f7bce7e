"""Results over the years: a point for each, and the best so far as steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fssbench.figures.palette import series_colour, series_marker
from fssbench.figures.saving import shown_name
from fssbench.figures.series import Series, legend
from fssbench.figures.style import COLUMN, PAPER, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def years(
    series: Sequence[tuple[Series, Sequence[int]]], *, y: str, width: float = COLUMN * 2, height: float = 2.6
) -> Figure:
    """Return results by year.

    Args:
        series: The results of each group, with the year of each; within a year they are drawn a little apart.
        y: The name of the vertical axis.
        width: Inches.
        height: Inches.
    """
    with styled():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        for number, (one, when) in enumerate(series):
            at, values = np.asarray(when, dtype=np.int64), np.asarray(one.values, dtype=np.float64)
            colour = series_colour(number)
            shift = (number - (len(series) - 1) / 2) * 0.12
            axes.scatter(
                at + shift, values, s=14, c=colour, marker=series_marker(number), edgecolors=PAPER, linewidths=0.4
            )
            known = sorted(set(at.tolist()))
            best = np.maximum.accumulate([values[at == year].max() for year in known])
            axes.step(
                np.asarray(known) + shift, best, where="post", color=colour, linewidth=1.1, label=shown_name(one.name)
            )
        every = sorted({year for _, when in series for year in when})
        if every:
            axes.set_xticks(range(every[0], every[-1] + 1))
        axes.set_xlabel("year of the method; the line is the best so far")
        axes.set_ylabel(y)
        legend(figure, axes, len(series))
        return figure
