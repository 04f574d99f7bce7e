"""`fssbench table`: printed and measured results side by side, as in the papers."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fssbench.cli.console import say
from fssbench.cli.fields import with_fields
from fssbench.cli.paths import check_file
from fssbench.cli.table_options import ShownOptions, StyleOptions, TableOutput
from fssbench.cli.values import numbers, words, words_or_folders
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from fssbench.ledger.seen import Level
    from fssbench.tables import Comparison, Style
    from fssbench.tables.table import Table

DEFAULT_RUNS = Path("runs")


@with_fields
def table(shown: ShownOptions, style: StyleOptions, output: TableOutput) -> None:
    """Compare methods, or the forms of one, in a table as in the papers; works without data, weights or runs.

    With runs in ./runs, or in --runs DIR, they decide which tables there are: their data sets, shots and tasks.

    Examples:
        fssbench table --compare hsnet,ntrenet --dataset pascal5i --shots 1,5
        fssbench table --runs runs --label 'MyNet (ours)' --out table.tex

    Every printed number has its source in a footnote. Best in bold, second best underlined, within a backbone, among
    rows that may be compared.
    """
    from fssbench.tables import compare as compare_tables

    check_file("--out", output.out)
    _check_together(shown, style, output)
    drawn = _style(style)
    left_out = _LeftOut()
    chosen = _request(shown, style, output, left_out)
    try:
        if shown.per_class:
            _per_class(chosen, drawn, output, left_out)
            return
        if shown.ablation is not None:
            tables = _ablation(shown.ablation, chosen, drawn, left_out)
        else:
            tables = compare_tables(chosen, left_out, drawn, left_out.not_shown)
    finally:
        left_out.warn()
    _check_caption(tables, style.caption)
    if style.no_footnotes:
        _say_cautions(tables)
    if style.no_footnotes or output.format == "csv":
        for sentence in dict.fromkeys(one.left_out for one in tables if one.left_out):
            say(f"note: {sentence}", err=True)
    _write(tables, output)


def _check_together(shown: ShownOptions, style: StyleOptions, output: TableOutput) -> None:
    """Refuse options that exclude each other.

    Raises:
        UsageError: Naming the option that has no place.
    """
    from fssbench.tables.render.chart import CHARTS

    if shown.ablation is not None:
        others = {
            "--compare": shown.compare,
            "--layout": shown.layout,
            "--all-sources": shown.all_sources,
            "--strict": _level(shown) is not None,
            "--per-class": shown.per_class,
            "--label": style.label,
            "--label-backbone": style.label_backbone,
            "--columns": style.columns,
            "--order": style.order != "year",
            "--decimals": style.decimals != 1,
            "--deviation": style.deviation,
            "--cite": style.cite,
        }
        if other := next((option for option, given in others.items() if given), None):
            raise UsageError(
                f"--ablation shows the table of one method; {other} has no place there", f"without {other}"
            )
    if shown.per_class and _level(shown) is not None:
        raise UsageError(
            "--strict chooses rows, and --per-class has a column for each run", "--per-class without --strict"
        )
    if shown.per_class and shown.source == "published":
        raise UsageError("no source prints the IoU of each class in these tables", "--per-class with runs of your own")
    chart = output.out is not None and output.out.suffix.lower() in CHARTS
    if chart and (not shown.per_class or output.form is not None):
        raise UsageError(f"{output.out} would be a chart, which --per-class draws", "--per-class without --format")


def _check_caption(tables: list[Table], caption: str | None) -> None:
    if caption and len(tables) > 1:
        raise UsageError(
            f"--caption is for one table, and these are {len(tables)}: {'; '.join(one.title for one in tables)}",
            "choose one with --dataset, --shots, --ways or --layout",
        )


def _level(shown: ShownOptions) -> Level | None:
    """Return what counts as having seen a class; None without --strict."""
    return shown.strict_level or ("masks" if shown.strict else None)


def _style(style: StyleOptions) -> Style:
    from fssbench.tables import Style

    return Style(
        columns=tuple(word.lower() for word in words(style.columns)),
        intervals=not style.no_intervals,
        footnotes=not style.no_footnotes,
        decimals=style.decimals,
        order=style.order,
        details=style.details,
        deviation=style.deviation,
        caption=style.caption,
        key=style.latex_label,
        cite=style.cite,
        span=style.span,
    )


def _request(shown: ShownOptions, style: StyleOptions, output: TableOutput, left_out: _LeftOut) -> Comparison:
    """Return what is requested, and note which runs are named."""
    from fssbench.tables import Comparison
    from fssbench.tables.compare import method_names
    from fssbench.tables.runs import parse_compare

    named = parse_compare(words_or_folders(shown.compare), method_names() if shown.compare else ())
    for folder in named.hidden:
        say(f"note: {folder} is the method here; --compare ./{folder} is the folder of that name", err=True)
    left_out.named |= {*named.named, *([shown.runs] if shown.runs else [])}
    left_out.meant |= {*named.folders, *([shown.runs] if shown.runs else [])}
    left_out.folder = shown.runs
    runs = shown.runs if shown.runs is not None or not DEFAULT_RUNS.is_dir() else DEFAULT_RUNS
    return Comparison(
        methods=named.methods,
        datasets=tuple(word.lower() for word in words(shown.dataset)),
        shots=numbers("--shots", shown.shots),
        ways=numbers("--ways", shown.ways),
        backbones=words(shown.backbone),
        source=shown.source,
        layout=shown.layout,
        runs=runs,
        all_sources=shown.all_sources,
        folders=named.folders,
        order=named.order,
        labels=tuple(style.label or ()),
        label_backbones=tuple(style.label_backbone or ()),
        relative_to=output.out.parent if output.out is not None else None,
        strict=_level(shown),
    )


@dataclass
class _LeftOut:
    """The runs that a table does not show.

    Attributes:
        named: The folders that are named: one that can't be read is an error. Any other costs no table.
        meant: Those and the runs inside of them: one that does not fit the request is named with the reason.
        folder: The folder of runs that is named; what does not fit in there is counted.
        reasons: Why each run is left out.
        counted: How many runs of `folder` do not fit, by reason.
    """

    named: set[Path] = field(default_factory=set)
    meant: set[Path] = field(default_factory=set)
    folder: Path | None = None
    reasons: dict[Path, str] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    def __call__(self, folder: Path, error: FSSBenchError) -> None:
        """Make a note of a run that can't be read.

        Raises:
            FSSBenchError: If it is named.
        """
        if folder in self.named:
            raise error
        self.reasons[folder] = error.message

    def not_shown(self, folder: Path, reason: str) -> None:
        """Make a note of a run that the request does not show."""
        if folder in self.meant:
            self.reasons[folder] = reason
        elif self.folder is not None:
            self.counted[reason] += 1

    def warn(self) -> None:
        """Name what is left out on standard error: all of it, as no table says so."""
        for folder, reason in self.reasons.items():
            say(f"warning: {folder} is left out: {reason}", err=True)
        if self.counted:
            reasons = "; ".join(f"{reason} ({count})" for reason, count in self.counted.most_common())
            say(f"note: not shown of the runs in {self.folder}: {reasons}", err=True)


def _say_cautions(tables: list[Table]) -> None:
    """Say what the footnotes would have warned of: a number of the wrong thing is not to pass unnoticed."""
    found: dict[str, dict[str, None]] = {}
    for shown in tables:
        for row in (row for group in shown.groups for row in group.rows):
            for entry in (entry for entry in row.entries if entry.origin == "measured"):
                texts = [remark.text for remark in entry.remarks if remark.kind in ("caution", "differs")]
                texts += [f"mean over folds {', '.join(map(str, entry.mean_over))} alone"] if entry.mean_over else []
                found.setdefault(entry.label, {}).update(dict.fromkeys(texts))
    of_rows: dict[str, list[str]] = {}
    for label, cautions in found.items():
        of_rows.setdefault("; ".join(cautions), []).append(label)
    for text, labels in of_rows.items():
        if text:
            say(f"note: without footnotes nothing says of {', '.join(labels)}: {text}", err=True)


def _ablation(method: str, chosen: Comparison, drawn: Style, left_out: _LeftOut) -> list[Table]:
    from fssbench.tables.ablation import Ablation
    from fssbench.tables.ablation import ablation as ablation_tables

    request = Ablation(method, chosen.datasets, chosen.shots, chosen.ways, chosen.backbones, chosen.source, chosen.runs)
    return [
        replace(
            one,
            footnotes=one.footnotes if drawn.footnotes else (),
            caption=drawn.caption,
            key=drawn.key,
            span=drawn.span,
        )
        for one in ablation_tables(request, left_out)
    ]


def _per_class(chosen: Comparison, drawn: Style, output: TableOutput, left_out: _LeftOut) -> None:
    from fssbench.files import write_bytes
    from fssbench.tables.per_class import per_class
    from fssbench.tables.render.chart import CHARTS, draw_chart
    from fssbench.tables.render.per_class import render_per_class

    found = per_class(chosen, left_out, drawn, left_out.not_shown)
    _check_caption([one.table for one in found], drawn.caption)
    if output.out is not None and output.out.suffix.lower() in CHARTS:
        write_bytes(output.out, draw_chart(found, output.out))
    elif output.format in ("csv", "json"):
        _put(render_per_class(found, output.format), output)
    else:
        _write([one.table for one in found], output)


def _write(tables: list[Table], output: TableOutput) -> None:
    from fssbench.tables import render
    from fssbench.tables.render.terminal import WIDTH, render_terminal

    if output.out is not None or output.format != "terminal":
        _put(render(tables, output.format), output)
        return
    # Bold and underline are no colours, but whoever turns colour off has a reason to want plain text.
    styled = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    typer.echo(render_terminal(tables, styled, width), nl=False, color=styled)


def _put(text: str, output: TableOutput) -> None:
    """Write text to the file, or else to the terminal.

    Raises:
        UsageError: If the file can't be written.
    """
    from fssbench.files import write_text

    if output.out is None:
        typer.echo(text, nl=False)
        return
    try:
        write_text(output.out, text)
    except OSError as error:
        raise UsageError(f"can't write {output.out}: {error.strerror}", "give another --out") from error
