"""What is printed of a run: numbers, caveats, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.cli.console import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from fssbench.engine.profiling.profile import Profile
    from fssbench.episode import EpisodeList
    from fssbench.metrics.summary import FoldSummary, Summary
    from fssbench.results.record import ProtocolRecord
    from fssbench.results.run_reader import Results


def report(results: Results, lists: Sequence[EpisodeList], remarks: Sequence[str] = ()) -> None:
    """Print the numbers of a run, their caveats, and where the rows are.

    Args:
        results: The run.
        lists: Its episode lists.
        remarks: What the data set has to say of itself (`Dataset.remarks`).
    """
    from fssbench.results.caveats import caveats

    summary = results.summary()
    output = console()
    output.print(_table(summary, results.run.protocol))
    for note in (*caveats(results, summary, lists), *remarks):
        output.print(note, soft_wrap=True)
    output.print(f"rows: {results.folder}", soft_wrap=True)


def _table(summary: Summary, protocol: ProtocolRecord) -> Table:
    from rich.table import Table

    second = ("exact_ratio", "ER") if protocol.task == "fscs" else ("fb_iou", "FB-IoU")
    measures = dict([("miou", "mIoU"), second])
    if protocol.base is not None and protocol.base.asked == "together":
        measures = {"miou": "novel mIoU", "base_miou": "base mIoU", "total_miou": "all mIoU"} | dict([second])
    elif summary.base_miou is not None:
        measures["base_miou"] = "base mIoU"
    table = Table(box=None, pad_edge=False)
    table.add_column("fold")
    table.add_column("episodes", justify="right")
    for title in measures.values():
        table.add_column(title, justify="right")
        table.add_column("95 %", justify="right")
        if summary.runs:
            table.add_column("std", justify="right")
    for fold in summary.folds:
        table.add_row(str(fold.fold), str(fold.episodes), *_cells(fold, measures))
    if len(summary.folds) > 1:
        table.add_section()
        table.add_row("mean", str(summary.episodes), *_cells(summary, measures))
    return table


def _cells(summary: Summary | FoldSummary, measures: Mapping[str, str]) -> list[str]:
    from fssbench.metrics.runs import spread_of

    cells = []
    for name in measures:
        interval = summary.intervals[name]
        cells += [f"{getattr(summary, name):.2f}", f"{interval.low:.1f} to {interval.high:.1f}"]
        if summary.runs:
            spread = spread_of(summary, name)
            cells.append("-" if spread is None else f"{spread.std:.2f}")
    return cells


def print_profile(profile: Profile) -> None:
    """Print where the time of an evaluation went."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for title in ("seconds", "share", "ms/episode", "GFLOP/episode", "GFLOP/s", "of peak"):
        table.add_column(title, justify="right")
    for line in profile.lines:
        computes = line.flops > 0
        table.add_row(
            line.stage,
            f"{line.seconds:.2f}",
            f"{line.share:.0%}",
            f"{1000 * line.seconds / profile.episodes:.1f}",
            f"{line.flops / profile.episodes / 1e9:.1f}" if computes else "-",
            f"{line.flops / line.seconds / 1e9:.0f}" if computes else "-",
            f"{line.flops / line.seconds / profile.peak_flops:.0%}" if computes else "-",
        )
    output = console()
    output.print(table)
    for text in profile.sentences:
        output.print(text, soft_wrap=True)
