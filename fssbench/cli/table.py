"""`fssbench table`: printed and measured results side by side, as in the papers."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.options import OutFile, numbers, words
from fssbench.cli.paths import check_file, given_path
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from fssbench.tables import Comparison
    from fssbench.tables.table import Table

DEFAULT_RUNS = Path("runs")

FormatName = Literal["terminal", "markdown", "latex", "csv", "html", "json"]


def table(
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            help="Methods ('hsnet', 'as*', 'hsnet:*' for variants) and run folders (./hsnet). Default: all.",
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Data sets, e.g. pascal5i,coco20i (the default).")
    ] = None,
    shots: Annotated[str, typer.Option("--shots", help="Supports per class, e.g. 1,5. Default: all there are.")] = "",
    ways: Annotated[str, typer.Option("--ways", help="Classes per episode. Default: 1; all with --layout fscs.")] = "",
    backbone: Annotated[
        list[str] | None, typer.Option("--backbone", help="Backbones, e.g. resnet50 or 'resnet*'. Default: all.")
    ] = None,
    source: Annotated[
        Literal["published", "measured", "both"], typer.Option("--source", help="Which numbers to show.")
    ] = "both",
    layout: Annotated[
        Literal["fss", "fscs"] | None,
        typer.Option(
            "--layout",
            help="Segmentation, or classification and segmentation.",
            show_default="fss; fscs where --ways has more than 1, or the run folders are of it",
        ),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option("--runs", parser=given_path, help="Folder of runs, or one run. Default: ./runs if it is there."),
    ] = None,
    all_sources: Annotated[
        bool, typer.Option("--all-sources", help="A row for each source that prints a result, not for the best one.")
    ] = False,
    ablation: Annotated[
        str | None,
        typer.Option("--ablation", help="The ablation table of a method, with what was measured of its variants."),
    ] = None,
    form: Annotated[FormatName, typer.Option("--format", help="How to draw it.")] = "terminal",
    out: OutFile = None,
) -> None:
    """Compare methods, or the forms of one, in a table as in the papers; works without data, weights or runs.

    Every printed number has its source in a footnote. Best in bold, second best underlined, within a backbone.
    """
    from fssbench.tables import Comparison, render
    from fssbench.tables import compare as compare_tables
    from fssbench.tables.compare import method_names
    from fssbench.tables.render.terminal import WIDTH, render_terminal
    from fssbench.tables.runs import choose_layout, parse_compare

    check_file("--out", out)
    chosen_ways = numbers("--ways", ways)
    named = parse_compare(words(compare), method_names() if compare else ())
    for folder in named.hidden:
        say(f"note: {folder} is the method here; --compare ./{folder} is the folder of that name", err=True)
    leave_out = _LeaveOut({*named.named, *(() if runs is None else (runs,))})
    runs = runs if runs is not None or not DEFAULT_RUNS.is_dir() else DEFAULT_RUNS
    chosen = Comparison(
        methods=named.methods,
        datasets=tuple(word.lower() for word in words(dataset)),
        shots=numbers("--shots", shots),
        ways=chosen_ways,
        backbones=words(backbone),
        source=source,
        layout=layout or choose_layout(named.folders, chosen_ways, leave_out),
        runs=runs,
        all_sources=all_sources,
        folders=named.folders,
        # Of intervals, comma separated values have that of the mean alone.
        interval_columns=("mean",) if form == "csv" else (),
    )
    if ablation is not None:
        others = {"--compare": compare, "--layout": layout, "--all-sources": all_sources}
        if other := next((option for option, given in others.items() if given), None):
            raise UsageError(
                f"--ablation shows the table of one method; {other} has no place there", f"without {other}"
            )
    try:
        tables = compare_tables(chosen, leave_out) if ablation is None else _ablation(ablation, chosen, leave_out)
    finally:
        leave_out.warn()
    if out is not None:
        from fssbench.files import write_text

        try:
            write_text(out, render(tables, form))
        except OSError as error:
            raise UsageError(f"can't write {out}: {error.strerror}", "give another --out") from error
        return
    if form == "terminal":
        # Bold and underline are no colours, but whoever turns colour off has a reason to want plain text.
        styled = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        typer.echo(render_terminal(tables, styled, width), nl=False, color=styled)
    else:
        typer.echo(render(tables, form), nl=False)


@dataclass
class _LeaveOut:
    """A run folder that can't be read costs no table, unless it is named itself.

    Attributes:
        named: The folders that are named.
        reasons: Why each of the others is left out.
    """

    named: set[Path]
    reasons: dict[Path, str] = field(default_factory=dict)

    def __call__(self, folder: Path, error: FSSBenchError) -> None:
        """Make a note of a folder.

        Raises:
            FSSBenchError: If it is named.
        """
        if folder in self.named:
            raise error
        self.reasons[folder] = error.message

    def warn(self) -> None:
        """Name what is left out on standard error: all of it, as no table says so."""
        for folder, reason in self.reasons.items():
            say(f"warning: {folder} is left out: {reason}", err=True)


def _ablation(method: str, chosen: Comparison, leave_out: _LeaveOut) -> list[Table]:
    from fssbench.tables.ablation import Ablation
    from fssbench.tables.ablation import ablation as ablation_tables

    request = Ablation(method, chosen.datasets, chosen.shots, chosen.ways, chosen.backbones, chosen.source, chosen.runs)
    return ablation_tables(request, leave_out)
