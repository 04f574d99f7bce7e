"""Charts from plain numbers, by matplotlib: for the report's page, for papers, and for tables.

Nothing here reads a run. Every function takes names and numbers and returns a `matplotlib.figure.Figure`; `saving.py`
writes it for a paper, or as SVG for a page that is light or dark.
"""

from __future__ import annotations

from fssbench.figures.charts import bars, dots, lines, shares
from fssbench.figures.points import histogram, match, trend
from fssbench.figures.ranges import ranges
from fssbench.figures.saving import save, to_svg
from fssbench.figures.series import Series
from fssbench.figures.years import years

__all__ = [
    "Series",
    "bars",
    "dots",
    "histogram",
    "lines",
    "match",
    "ranges",
    "save",
    "shares",
    "to_svg",
    "trend",
    "years",
]
