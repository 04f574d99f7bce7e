"""`fssbench compare`: methods against a reference on the same episodes, with intervals and p-values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fssbench.cli.options import OutFile
from fssbench.cli.paths import check_file, given_path
from fssbench.errors import UsageError


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            parser=given_path,
            help="Run folders; the first is the reference.",
            metavar="RUN_A RUN_B [RUN_C ...]",
        ),
    ],
    form: Annotated[
        Literal["terminal", "markdown", "csv", "json"], typer.Option("--format", help="How to show it.")
    ] = "terminal",
    out: OutFile = None,
) -> None:
    """Compare runs episode by episode: differences per fold and in the mean, intervals, p-values, episodes won.

    Examples:
        fssbench compare runs/first runs/second
        fssbench compare runs/reference runs/a runs/b --format markdown

    The runs must have the same episodes and count alike; otherwise what differs is named.
    """
    from fssbench.comparison import compare as compare_runs
    from fssbench.comparison.render import render
    from fssbench.results import load_run

    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more", "fssbench compare RUN_A RUN_B")
    check_file("--out", out)
    text = render(compare_runs([load_run(folder) for folder in runs]), form)
    if out is None:
        typer.echo(text, nl=False)
        return
    from fssbench.files import write_text

    try:
        write_text(out, text)
    except OSError as error:
        raise UsageError(f"can't write {out}: {error.strerror}", "give another --out") from error
