"""`fssbench plot`: figures of runs for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.options import Root
from fssbench.cli.paths import check_file, given_path
from fssbench.errors import UsageError


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(
            parser=given_path,
            help="Run folders of the same episodes; with --kind history folders of trainings.",
            metavar="RUN...",
        ),
    ],
    kind: Annotated[
        Literal["fold", "class", "size", "scatter", "histogram", "errors", "history", "references"],
        typer.Option(
            "--kind",
            metavar="KIND",
            help="fold, class, size, scatter, histogram, errors, history (of a training) or references.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", parser=given_path, help="The figure: .pdf, .svg, .eps or .png.")] = Path(
        "figure.pdf"
    ),
    width: Annotated[float, typer.Option("--width", help="Inches; a column of a two-column paper has 3.25.")] = 3.25,
    column: Annotated[
        str, typer.Option("--column", help="With --kind history: loss, validation, learning_rate, ...")
    ] = "loss",
    root: Root = None,
) -> None:
    """Draw runs as a figure for a paper: a vector with its fonts, as wide as a column.

    Examples:
        fssbench plot runs/hsnet runs/asnet --kind class --out classes.pdf
        fssbench plot runs/train-hsnet --kind history --column validation --out course.svg
    """
    from fssbench.figures import save
    from fssbench.figures.saving import format_of
    from fssbench.reports import plot as figure_of

    check_file("--out", out)
    format_of(out)
    if not 1 <= width <= 40:
        raise UsageError(f"--width is 1 to 40 inches, not {width:g}")
    save(figure_of(runs, kind, width=width, column=column, root=root), out)
    say(f"{out}: {kind}, {width:g} inches wide")
