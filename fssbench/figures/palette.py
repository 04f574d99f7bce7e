"""Colours that readers with every kind of colour vision can tell apart (Okabe and Ito, 2008), as RGB and as hex."""

from __future__ import annotations

from fssbench.notebook.pictures import COLOURS as COLOURS
from fssbench.notebook.pictures import IGNORE_COLOUR

RGB = tuple[int, int, int]

VERMILION, BLUE, GREEN, YELLOW, PURPLE, SKY, ORANGE = COLOURS
GREY: RGB = IGNORE_COLOUR

SERIES: tuple[RGB, ...] = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
"""The methods of a chart. Yellow is too light for a line on white."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""The marks of the methods, so that colour is never the only difference."""

HIT, EXTRA, MISSED = BLUE, VERMILION, YELLOW
"""Pixels of a prediction: right, wrongly in it, missing from it."""


def hex_of(colour: RGB) -> str:
    """Return a colour as "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def series_colour(number: int) -> str:
    """Return the colour of the n-th method, from 0; after the last colour they begin again."""
    return hex_of(SERIES[number % len(SERIES)])


def series_marker(number: int) -> str:
    """Return the mark of the n-th method, from 0. Colours and marks repeat together, so it moves on after a round."""
    return MARKERS[(number + number // len(SERIES)) % len(MARKERS)]
