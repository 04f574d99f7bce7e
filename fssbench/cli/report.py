"""What is printed of a run: numbers, caveats, and where the time went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fssbench.cli.console import console
from fssbench.cli.help import NARROW
from fssbench.cli.studies_shown import print_studies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

    from fssbench.engine.profiling.profile import Profile
    from fssbench.episode import EpisodeList
    from fssbench.metrics.summary import FoldSummary, Summary
    from fssbench.results.record import ProtocolRecord
    from fssbench.results.run_reader import Results


def report(results: Results, lists: Sequence[EpisodeList], remarks: Sequence[str] = ()) -> None:
    """Print the numbers of a run by fold, their caveats, and where the rows are.

    Args:
        results: The run.
        lists: Its episode lists.
        remarks: What the data set has to say of itself (`Dataset.remarks`).
    """
    from fssbench.results.caveats import caveats

    summary = results.summary()
    output = console()
    output.print(_folds(summary, results.run.protocol))
    print_studies([results.run.method.name], [results])
    for note in (*caveats(results, summary, lists), *remarks):
        output.print(note, soft_wrap=True)
    output.print(f"rows: {results.folder}", soft_wrap=True)


@dataclass(frozen=True)
class Evaluated:
    """One of several runs that were evaluated together.

    Attributes:
        name: What its row in the table is called.
        results: The run.
        lists: Its episode lists.
    """

    name: str
    results: Results
    lists: Sequence[EpisodeList]


def report_together(runs: Sequence[Evaluated], remarks: Sequence[str] = ()) -> None:
    """Print a table of several runs, then the caveats, those of a single run with its name, and where the rows are.

    Args:
        runs: The runs.
        remarks: What the data sets have to say of themselves (`Dataset.remarks`).
    """
    output = console()
    summaries = [run.results.summary() for run in runs]
    for table in tables_of(runs, summaries):
        output.print(table)
    print_studies(_titles(runs), [run.results for run in runs])
    for note in (*remarks, *notes_of(runs, summaries)):
        output.print(note, soft_wrap=True)
    for folder, names in _folders(runs).items():
        output.print(f"rows: {folder}{': ' if names else ''}{', '.join(names)}", soft_wrap=True)


def notes_of(runs: Sequence[Evaluated], summaries: Sequence[Summary]) -> list[str]:
    """Return the caveats of several runs: those of some of them first, with their names, then those of all."""
    from fssbench.results.caveats import caveats

    titles = _titles(runs)
    found = [caveats(run.results, one, run.lists) for run, one in zip(runs, summaries, strict=True)]
    named = {
        note: [titles[place] for place, told in enumerate(found) if note in told] for told in found for note in told
    }
    some = [f"{'; '.join(names)}: {note}" for note, names in named.items() if len(names) < len(runs)]
    if len({run.results.run.protocol.name for run in runs}) > 1:
        some.append("the protocols differ, so these numbers can't be compared; --protocol NAME is one for all")
    return some + [note for note, names in named.items() if len(names) == len(runs)]


def tables_of(runs: Sequence[Evaluated], summaries: Sequence[Summary]) -> list[Table]:
    """Return a table with a row for each run; a further one for each task that has other measures."""
    measures = [_measures(one, run.results.run.protocol) for run, one in zip(runs, summaries, strict=True)]
    found = []
    for kind in [one for place, one in enumerate(measures) if one not in measures[:place]]:
        chosen = [place for place, one in enumerate(measures) if one == kind]
        spread = any(summaries[place].runs for place in chosen)
        table = _table()
        table.add_column("method", overflow="fold")
        columns = {title: cells for title, cells in _settings(runs).items() if len(set(cells)) > 1}
        for title in columns:
            table.add_column(title, justify="left" if title == "protocol" else "right")
        table.add_column("episodes", justify="right")
        _add_measures(table, kind, spread=spread)
        for place in chosen:
            settings = [cells[place] for cells in columns.values()]
            episodes = str(summaries[place].episodes)
            table.add_row(runs[place].name, *settings, episodes, *_cells(summaries[place], kind, spread=spread))
        found.append(table)
    return found


def _settings(runs: Sequence[Evaluated]) -> dict[str, list[str]]:
    """Return in what runs may differ besides the method, by the heading of its column."""
    records = [run.results.run for run in runs]
    return {
        "data set": [one.dataset.name for one in records],
        "K": [str(one.shot) for one in records],
        "protocol": [one.protocol.name for one in records],
    }


def _titles(runs: Sequence[Evaluated]) -> list[str]:
    """Return what notes call each run: its method, and its data set and shots if there are several."""
    sets = {run.results.run.dataset.name for run in runs}
    names = [run.name if len(sets) == 1 else f"{run.name} on {run.results.run.dataset.name}" for run in runs]
    return [
        name if names.count(name) == 1 else f"{name}, {run.results.run.shot}-shot"
        for name, run in zip(names, runs, strict=True)
    ]


def _folders(runs: Sequence[Evaluated]) -> dict[str, list[str]]:
    """Return the run folders below the folder that they are in, if that is one for all."""
    folders = [run.results.folder for run in runs if run.results.folder is not None]
    whole = folder_of(folders)
    if whole is None:
        return {str(folder): [] for folder in folders}
    return {str(whole): [str(folder.relative_to(whole)) for folder in folders]}


def folder_of(folders: Sequence[Path]) -> Path | None:
    """Return the folder that run folders, or the folders of their data sets, are in; None if there is none."""
    for found in ({one.parent for one in folders}, {one.parent.parent for one in folders}):
        if len(found) == 1:
            return found.pop()
    return None


def _measures(summary: Summary, protocol: ProtocolRecord) -> dict[str, str]:
    """Return the measures of a run, with the heading of each."""
    second = ("exact_ratio", "ER") if protocol.task == "fscs" else ("fb_iou", "FB-IoU")
    if protocol.base is not None and protocol.base.asked == "together":
        return {"miou": "novel mIoU", "base_miou": "base mIoU", "total_miou": "all mIoU"} | dict([second])
    return dict([("miou", "mIoU"), second]) | ({} if summary.base_miou is None else {"base_miou": "base mIoU"})


def _folds(summary: Summary, protocol: ProtocolRecord) -> Table:

    measures, spread = _measures(summary, protocol), bool(summary.runs)
    table = _table()
    table.add_column("fold")
    table.add_column("episodes", justify="right")
    _add_measures(table, measures, spread=spread)
    for fold in summary.folds:
        table.add_row(str(fold.fold), str(fold.episodes), *_cells(fold, measures, spread=spread))
    if len(summary.folds) > 1:
        table.add_section()
        table.add_row("mean", str(summary.episodes), *_cells(summary, measures, spread=spread))
    return table


def _table() -> Table:
    """Return a table without rules; on a narrow terminal columns are one blank apart, so that rows are whole."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 1) if console().width >= NARROW else (0, 1, 0, 0))


def _add_measures(table: Table, measures: Mapping[str, str], *, spread: bool) -> None:
    for title in measures.values():
        table.add_column(title, justify="right", no_wrap=True)
        table.add_column("95 %", justify="right", no_wrap=True)
        if spread:
            table.add_column("std", justify="right", no_wrap=True)


def _cells(summary: Summary | FoldSummary, measures: Mapping[str, str], *, spread: bool) -> list[str]:
    from fssbench.metrics.runs import spread_of

    cells = []
    for name in measures:
        cells += [f"{getattr(summary, name):.2f}", summary.intervals[name].text()]
        if spread:
            std = spread_of(summary, name)
            cells.append("-" if std is None else f"{std.std:.2f}")
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
