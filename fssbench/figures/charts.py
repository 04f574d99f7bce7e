"""Charts of whole runs: folds, classes, shares, and the course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fssbench.figures.palette import COLOURS, GREY, hex_of, series_colour, series_marker
from fssbench.figures.saving import shown_name
from fssbench.figures.series import STAR, Series, legend, starred
from fssbench.figures.style import COLUMN, INK, PAPER, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")


def bars(
    series: Sequence[Series], labels: Sequence[str], *, y: str, width: float = COLUMN, height: float = 2
) -> Figure:
    """Return bars next to each other for each label, with intervals: the folds of a data set.

    Args:
        series: The methods.
        labels: What the groups of bars are of.
        y: The name of the vertical axis.
        width: Inches.
        height: Inches.
    """
    with styled():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        places = np.arange(len(labels))
        breadth = 0.8 / max(len(series), 1)
        for number, one in enumerate(series):
            axes.bar(
                places + (number - (len(series) - 1) / 2) * breadth,
                one.values,
                breadth * 0.92,
                yerr=one.errors(),
                label=shown_name(one.name),
                color=series_colour(number),
                hatch=_HATCHES[number // len(COLOURS) % len(_HATCHES)] or None,
                error_kw={"elinewidth": 0.7, "capsize": 1.5, "ecolor": INK},
            )
        marked = starred(series, labels)
        axes.set_xticks(places, [shown_name(label) for label in marked])
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(y)
        axes.set_xlabel(STAR if marked != list(labels) else "")
        axes.set_ylim(bottom=0)
        legend(figure, axes, len(series))
        return figure


def dots(
    series: Sequence[Series], labels: Sequence[str], *, x: str, width: float = COLUMN, height: float | None = None
) -> Figure:
    """Return a line for each label with a dot for each method and its interval: the classes of a data set.

    Args:
        series: The methods.
        labels: What the lines are of, from the top.
        x: The name of the horizontal axis.
        width: Inches.
        height: Inches; default by the number of lines.
    """
    with styled():
        step = 0.13 + 0.045 * max(len(series) - 1, 0)
        figure = new_figure(width, height or 0.75 + step * len(labels))
        axes = figure.add_subplot()
        places = np.arange(len(labels))[::-1]
        apart = 0.6 / max(len(series), 1)
        for number, one in enumerate(series):
            axes.errorbar(
                one.values,
                places - (number - (len(series) - 1) / 2) * apart,
                xerr=one.errors(),
                fmt=series_marker(number),
                markersize=3,
                color=series_colour(number),
                elinewidth=0.7,
                capsize=1.2,
                label=shown_name(one.name),
            )
        marked = starred(series, labels)
        axes.set_yticks(places, [shown_name(label) for label in marked])
        axes.set_ylim(-0.7, len(labels) - 0.3)
        axes.set_xlabel(f"{x}\n{STAR}" if marked != list(labels) else x)
        axes.set_xlim(left=0)
        legend(figure, axes, len(series))
        return figure


def shares(names: Sequence[str], parts: Mapping[str, Sequence[float]], *, width: float = COLUMN) -> Figure:
    """Return a bar for each method, divided into parts of 100 %: what kinds of errors it makes.

    Args:
        names: The methods, from the top.
        parts: The share of each part in per cent, one for each method.
        width: Inches.
    """
    from fssbench.figures.palette import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW

    colours = (GREEN, SKY, BLUE, YELLOW, ORANGE, VERMILION, PURPLE, GREY)
    with styled():
        figure = new_figure(width, 0.85 + 0.26 * len(names))
        axes = figure.add_subplot()
        left = np.zeros(len(names))
        places = np.arange(len(names))[::-1]
        for number, (part, values) in enumerate(parts.items()):
            axes.barh(
                places,
                values,
                0.72,
                left=left,
                label=part,
                color=hex_of(colours[number % len(colours)]),
                edgecolor=PAPER,
                linewidth=0.5,
            )
            left += np.asarray(values)
        axes.set_yticks(places, [shown_name(name) for name in names])
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the classes of episodes")
        figure.legend(loc="outside upper center", ncols=4 if width > COLUMN else 3, columnspacing=1, handlelength=1)
        return figure


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    width: float = COLUMN,
    height: float = 2,
) -> Figure:
    """Return a line for each name, through points (x, y): the course of a training."""
    with styled():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        for number, (name, (at, values)) in enumerate(series.items()):
            marker = series_marker(number) if len(at) <= 40 else ""
            axes.plot(at, values, color=series_colour(number), marker=marker, markersize=3, label=shown_name(name))
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        legend(figure, axes, len(series))
        return figure
