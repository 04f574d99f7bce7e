"""Charts of single episodes: distributions, one method against another, IoU against what an episode has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fssbench.figures.palette import GREY, hex_of, series_colour, series_marker
from fssbench.figures.saving import shown_name
from fssbench.figures.series import Series, legend
from fssbench.figures.style import COLUMN, INK, PAPER, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = Sequence[float] | npt.NDArray[np.float64]

_RASTER_ABOVE = 1500
"""More points than this are pixels within the vectors: a paper's reader need not wait for each of them."""


def histogram(
    series: Sequence[Series], *, x: str, y: str, bins: int = 20, width: float = COLUMN, height: float = 2
) -> Figure:
    """Return the distribution of the values of each method, from 0 to 100, as an outline."""
    with styled():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        edges = np.linspace(0, 100, bins + 1)
        for number, one in enumerate(series):
            counts, _ = np.histogram(np.clip(one.values, 0, 100), edges)
            axes.stairs(
                counts,
                edges,
                color=series_colour(number),
                linestyle=("-", "--", ":", "-.")[number % 4],
                linewidth=1.3,
                label=shown_name(one.name),
            )
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        legend(figure, axes, len(series))
        return figure


def match(one: Series, other: Series, *, numbers: tuple[int, int] = (0, 1), width: float = COLUMN) -> Figure:
    """Return the values of two methods against each other, a point for each episode; equal ones are on the line.

    Args:
        one: The method of the horizontal axis.
        other: The method of the vertical axis.
        numbers: Their places among the methods of a report.
        width: Inches; the height is the same.
    """
    with styled():
        figure = new_figure(width, width)
        axes = figure.add_subplot()
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.6, linestyle="--")
        x, y = np.asarray(one.values), np.asarray(other.values)
        equal = np.isclose(x, y)
        for chosen, colour, marker in (
            (x > y, series_colour(numbers[0]), series_marker(numbers[0])),
            (y > x, series_colour(numbers[1]), series_marker(numbers[1])),
            (equal, hex_of(GREY), "."),
        ):
            kept = chosen & (equal == (marker == "."))
            axes.scatter(
                x[kept],
                y[kept],
                s=7,
                c=colour,
                marker=marker,
                alpha=0.6,
                linewidths=0,
                rasterized=len(x) > _RASTER_ABOVE,
            )
        axes.set_xlim(-2, 102)
        axes.set_ylim(-2, 102)
        axes.set_aspect("equal")
        axes.set_xlabel(f"IoU of {shown_name(one.name)}")
        axes.set_ylabel(f"IoU of {shown_name(other.name)}")
        return figure


def trend(
    x: Sequence[float],
    series: Sequence[Series],
    edges: Sequence[float],
    *,
    label: str,
    logarithmic: bool = False,
    width: float = COLUMN,
    height: float = 2,
) -> Figure:
    """Return points and the mean of each bin: IoU against something that an episode has.

    Args:
        x: What the episode has.
        series: The methods, with a value for each of x.
        edges: The bins; a bin without values has no mean.
        label: The name of the horizontal axis.
        logarithmic: Whether the horizontal axis is.
        width: Inches.
        height: Inches.
    """
    with styled():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        at = np.asarray(x, dtype=np.float64)
        if logarithmic:
            from matplotlib.ticker import NullFormatter, StrMethodFormatter

            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        for number, one in enumerate(series):
            colour, values = series_colour(number), np.asarray(one.values, dtype=np.float64)
            many = len(at) * len(series) > _RASTER_ABOVE
            axes.scatter(at, values, s=3, c=colour, alpha=0.25, linewidths=0, rasterized=many)
            bins = bin_means(at, values, edges)
            axes.errorbar(
                [one_bin.centre for one_bin in bins],
                [one_bin.mean for one_bin in bins],
                yerr=[one_bin.margin for one_bin in bins],
                marker=series_marker(number),
                color=colour,
                markeredgecolor=PAPER,
                markeredgewidth=0.5,
                markersize=5,
                elinewidth=0.8,
                label=shown_name(one.name),
            )
        axes.set_ylim(-2, 102)
        axes.set_xlabel(shown_name(label))
        axes.set_ylabel("IoU of an episode")
        legend(figure, axes, len(series))
        return figure


@dataclass(frozen=True)
class Bin:
    """The values of a bin: where its middle value of x is, their mean, half of its 95 % interval, their number."""

    low: float
    high: float
    centre: float
    mean: float
    margin: float
    count: int


def bin_means(x: Numbers, values: Numbers, edges: Sequence[float]) -> list[Bin]:
    """Return the mean of the values in each bin that has any, with its interval mean ± 1.96 s / sqrt(n).

    The last bin includes its upper end. The interval takes episodes for independent; those of one query are not. Of a
    single value, or of equal ones, it can't be given: the margin is NaN.
    """
    at, y = np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64)
    found = []
    for place, (low, high) in enumerate(pairwise(edges)):
        inside = (at >= low) & ((at < high) | ((at <= high) if place == len(edges) - 2 else False)) & ~np.isnan(y)
        count = int(inside.sum())
        if count:
            chosen = y[inside]
            spread = float(chosen.std(ddof=1)) if count > 1 and np.ptp(chosen) > 0 else float("nan")
            margin = 1.96 * spread / count**0.5
            found.append(Bin(low, high, float(np.median(at[inside])), float(chosen.mean()), margin, count))
    return found
