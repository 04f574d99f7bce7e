"""How charts look, and the sizes of a paper."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fssbench.extras import imported_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN = 3.25
"""Inches of a column of CVPR's and IEEE's two-column papers (237 points)."""
INK, LINE, PAPER = "#010203", "#d4d5d6", "#fefefd"
"""Text and axes, grid lines, and the ground of a chart, as on paper. Nothing else has exactly these colours, so that a
page can put its own in their place (`saving.to_svg`)."""

_STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": LINE,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    # Names are text: a dollar sign in one begins no formula.
    "text.parse_math": False,
    "text.usetex": False,
    # Fonts are embedded as TrueType, which publishers accept; Type 3 they do not.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Hold the style of the charts; the settings of the caller come back.

    Raises:
        MissingError: If matplotlib is not installed, with the command that installs it.
    """
    matplotlib = imported_extra("matplotlib", "charts are drawn by matplotlib, which can't be imported", "report")
    with warnings.catch_warnings(), matplotlib.rc_context(_STYLE):
        # A name in another script is a box where the font lacks its letters; an SVG has it as text all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, independent of any window. Call it within `styled`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))
