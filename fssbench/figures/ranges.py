"""A chart of ranges: from the lowest to the highest value of each item, with its mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fssbench.figures.palette import GREY, hex_of, series_colour
from fssbench.figures.saving import shown_name
from fssbench.figures.series import Series
from fssbench.figures.style import COLUMN, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RASTER_ABOVE = 1500
"""More items than this are pixels within the vectors."""


def ranges(series: Sequence[Series], *, x: str, y: str, width: float = COLUMN, height: float = 1.7) -> Figure:
    """Return for each method a line for each item from its low to its high, and a dot at its value; sorted by value.

    Args:
        series: The methods, one below the other; each with `low` and `high`.
        x: The name of the horizontal axis.
        y: The name of the vertical axes.
        width: Inches.
        height: Inches for each method.
    """
    with styled():
        figure = new_figure(width, height * len(series) + 0.2)
        rows = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
        for number, (axes, one) in enumerate(zip(rows, series, strict=True)):
            order = np.argsort(np.asarray(one.values), kind="stable")
            places = np.arange(1, len(order) + 1)
            values, low, high = (np.asarray(part)[order] for part in (one.values, one.low, one.high))
            many = len(order) > _RASTER_ABOVE
            axes.vlines(places, low, high, color=hex_of(GREY), linewidth=0.8, rasterized=many)
            axes.scatter(places, values, s=5, c=series_colour(number), linewidths=0, zorder=3, rasterized=many)
            axes.set_ylim(-2, 102)
            axes.set_ylabel(y)
            if len(series) > 1:
                axes.set_title(shown_name(one.name), loc="left", fontsize="medium")
        rows[-1].set_xlabel(x)
        return figure
