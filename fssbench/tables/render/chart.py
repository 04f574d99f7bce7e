"""The IoU of each class as a bar chart, for papers: a vector (SVG, PDF) or an image (PNG)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.escape import plain
from fssbench.extras import imported_extra

if TYPE_CHECKING:
    from fssbench.tables.per_class import ClassTable

CHARTS = (".svg", ".pdf", ".png")
"""The endings of files that are charts."""

_INCHES_PER_BAR = 0.16
_HEIGHT = 3.2
_LONGEST = 40
_COLUMN = 3.4
"""Width of a column of a paper in inches, the least of a chart."""


def draw_chart(tables: Sequence[ClassTable], file: Path) -> bytes:
    """Return a bar chart of a table by class: a bar per class and measurement, with its 95 % interval.

    A class whose interval can't be given for a measurement has a star.

    Args:
        tables: The table, as the only one.
        file: What it is for: its ending is one of `CHARTS`, the first two of which are vectors.

    Raises:
        UsageError: If there are several tables, or the ending is none of these.
        MissingError: If matplotlib is not installed.
    """
    if len(tables) != 1:
        titles = "; ".join(table.table.title for table in tables)
        raise UsageError(f"a chart is of one table, not of {len(tables)}: {titles}", "name --dataset and --shots")
    if file.suffix.lower() not in CHARTS:
        raise UsageError(f"a chart is a file with one of the endings {', '.join(CHARTS)}, not {file}", "--out iou.svg")
    why = "charts are drawn with matplotlib, which can't be imported"
    matplotlib = imported_extra("matplotlib", why, "report")
    figures = imported_extra("matplotlib.figure", why, "report")
    numbers = tables[0].numbers
    names = list(dict.fromkeys(number.name for number in numbers))
    classes = list(dict.fromkeys((number.fold, number.class_id, number.class_name) for number in numbers))
    out = io.BytesIO()
    # Two drawings of the same numbers are the same file.
    with matplotlib.rc_context(
        {"font.size": 8, "svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "fssbench"}
    ):
        width = max(_COLUMN, _INCHES_PER_BAR * len(classes) * (len(names) + 1))
        figure = figures.Figure(figsize=(width, _HEIGHT), layout="constrained")
        axes = figure.subplots()
        bar = 0.8 / len(names)
        for place, name in enumerate(names):
            own = {(n.fold, n.class_id, n.class_name): n for n in numbers if n.name == name}
            shown = [(x, own[key]) for x, key in enumerate(classes) if key in own]
            axes.bar(
                [x + (place - (len(names) - 1) / 2) * bar for x, _ in shown],
                [number.iou for _, number in shown],
                bar,
                yerr=[
                    [nan if n.low is None else max(0.0, n.iou - n.low) for _, n in shown],
                    [nan if n.high is None else max(0.0, n.high - n.iou) for _, n in shown],
                ],
                error_kw={"linewidth": 0.6, "ecolor": "0.35"},
                label=_text(name),
            )
        unknown = {(n.fold, n.class_id, n.class_name) for n in numbers if n.low is None}
        names_of = [f"{_text(key[2])}*" if key in unknown else _text(key[2]) for key in classes]
        axes.set_xticks(range(len(classes)), names_of, rotation=60, ha="right")
        axes.set_xlabel("* no 95 % interval can be given" if unknown else "")
        for left, right in zip(range(len(classes)), range(1, len(classes)), strict=False):
            if classes[left][0] != classes[right][0]:
                axes.axvline(right - 0.5, color="0.8", linewidth=0.6)
        axes.set(ylabel="IoU (%)", ylim=(0, 100), xlim=(-0.6, len(classes) - 0.4), title=_text(tables[0].table.title))
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", frameon=False, ncols=min(len(names), 4))
        dated = {"Date": None} if file.suffix.lower() == ".svg" else {"CreationDate": None}
        metadata = {} if file.suffix.lower() == ".png" else dated
        figure.savefig(out, format=file.suffix.lower()[1:], dpi=200, metadata=metadata)
    return out.getvalue()


def _text(name: str) -> str:
    """Return a name of at most 40 letters, without what matplotlib takes for a formula or leaves out of its legend."""
    flat = plain(name)
    flat = flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
    flat = flat.replace("$", r"\$")
    return f" {flat}" if flat.startswith("_") else flat
