"""From a request ("hsnet and ntrenet, 5-shot") to comparison tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import MissingError, UsageError, unknown_name
from fssbench.publications.load import publications
from fssbench.publications.names import Names, names_from
from fssbench.publications.own import with_own
from fssbench.publications.rows import Publications
from fssbench.tables.deviation import over_runs
from fssbench.tables.entry import Entry
from fssbench.tables.layout import lay_out
from fssbench.tables.ledger import footnotes as ledger_footnotes
from fssbench.tables.ledger import strictly, with_ledger
from fssbench.tables.measured import measured_entries, measured_variant
from fssbench.tables.measurements import Data, data_of, distinct_titles, measurements
from fssbench.tables.printed import matches_backbone, printed_entries
from fssbench.tables.render.csv import render_csv
from fssbench.tables.render.html import render_html
from fssbench.tables.render.json import render_json
from fssbench.tables.render.latex import render_latex
from fssbench.tables.render.markdown import render_markdown
from fssbench.tables.render.terminal import render_terminal
from fssbench.tables.request import DEFAULT_DATASETS, TASKS, WAYS, Comparison, LayoutName
from fssbench.tables.row_annotations import with_intervals, with_printed_numbers
from fssbench.tables.runs import LeaveOut, refuse
from fssbench.tables.selection import (
    NotShown,
    callable_names,
    called_by,
    layouts_of,
    requested_data,
    requested_runs,
    selected_runs,
)
from fssbench.tables.shortfalls import methods_not_measured, methods_without_numbers, nothing_to_show
from fssbench.tables.style import Style
from fssbench.tables.table import Footnote, Table

if TYPE_CHECKING:
    from fssbench.results import Run
    from fssbench.tables.measurements import Measurement

FORMATS: dict[str, Callable[[Iterable[Table]], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "latex": render_latex,
    "csv": render_csv,
    "json": render_json,
    "html": render_html,
}

_PLAIN = Style()


@dataclass(frozen=True)
class _Shown:
    """What the tables of a request are made of.

    Attributes:
        request: The request.
        style: How they are drawn.
        known: All printed numbers.
        names: The requested methods.
        order: The requested methods and run folders as they were named.
        runs: The runs that are shown.
        none_left: For data of which --strict leaves out every row, the sentence that names them.
    """

    request: Comparison
    style: Style
    known: Publications
    names: Names
    order: Sequence[Names | Path]
    runs: Mapping[Path, Run]
    none_left: list[str] = field(default_factory=list)

    def position(self, entry: Entry) -> int:
        """Return the place of a printed result in the order in which methods and runs were named."""
        return self._place((entry.method, entry.label.partition(":")[0]), entry.variant, not entry.variant)

    def position_of_run(self, one: Measurement) -> int:
        """Return the place of a measurement in that order; it comes after the printed results of its method."""
        by_method = self._place(called_by(one.run, self.known), measured_variant(one.run), is_result=True)
        folders = [fold.folder for fold in one.folds.values()]
        return min(self._named.get(folder, by_method) + self._places[folder] for folder in folders)

    def columns_with_interval(self, entry: Entry) -> list[str]:
        """Return the columns whose intervals are shown: they take time, so only these are computed."""
        wanted = self.request.interval_columns
        return [c for c in self.style.chosen(tuple(entry.numbers)) if not wanted or c in wanted]

    @cached_property
    def _places(self) -> dict[Path, int]:
        """The places of runs after what they are named by."""
        return {folder: place for place, folder in enumerate(self.runs, 1)}

    @cached_property
    def _named(self) -> dict[Names | Path, int]:
        """The places of what is named; there is room for all runs after each."""
        places = reversed([*enumerate(self.order)])  # of what is named twice, the first counts
        return {one: place * (len(self.runs) + 1) for place, one in places}

    def _place(self, called: Iterable[str], variant: str, is_result: bool) -> int:
        fitting = (one for one in self.order if isinstance(one, Names) and one.matches(called, variant, is_result))
        return next((self._named[one] for one in fitting), 0)


def compare(
    request: Comparison,
    leave_out: LeaveOut = refuse,
    style: Style = _PLAIN,
    not_shown: NotShown = lambda folder, reason: None,  # noqa: ARG005 - a `NotShown`
) -> list[Table]:
    """Return the tables for a request, at least one.

    Args:
        request: What to show.
        leave_out: Called for a run folder that can't be read.
        style: How to draw it.
        not_shown: Called for a run that the request does not show, with the reason.

    Raises:
        UsageError: If a method or data set is unknown, with the nearest names, or a label is for no row.
        MissingError: If there is no result to show, or no run.
        BrokenFileError: If a file of printed numbers is damaged, or a file of a run that is not left out.
    """
    if request.folders and request.source == "published":
        raise UsageError(f"{request.folders[0]} is a run, but only printed numbers are requested", "--source both")
    known = with_own()
    runs = requested_runs(request, leave_out)
    callable_as = callable_names(known, runs.values())
    names = names_from(request.methods, callable_as)
    order = [
        one if isinstance(one, Path) else names_from((one,), callable_as)
        for one in request.order or (*request.methods, *request.folders)
    ]
    data = requested_data(request, known, runs)
    selected = selected_runs(request, runs, names, data, known, not_shown)
    if not data and not selected:
        # A table of runs that are named is of their data, also if none of them fits.
        data = tuple(dict.fromkeys(data_of(run) for folder, run in runs.items() if request.names_run(folder)))
        data = data or (() if request.source == "measured" else tuple(map(Data, DEFAULT_DATASETS)))
    shown = _Shown(request, style, known, names, order, selected)
    layouts = layouts_of(request, selected)
    tables = [table for layout in layouts for table in _tables(shown, layout, data, leave_out)]
    if not tables and shown.none_left:
        raise MissingError(
            f"no row is left: {' '.join(shown.none_left)}".removesuffix("."),
            "without --strict all rows are shown, each with what it has seen",
        )
    if not tables:
        searched = data or tuple(map(data_of, selected.values()))
        raise nothing_to_show(request, layouts[0], searched, names, {data_of(run).key for run in runs.values()})
    return tables


def method_names() -> frozenset[str]:
    """Return the possible names of the methods with printed numbers, in lower case."""
    return frozenset(name.lower() for name in callable_names(with_own(), ()))


def render(tables: Iterable[Table], form: str) -> str:
    """Return tables in one of `FORMATS`.

    Raises:
        UsageError: If there is no such format, with the nearest names.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    return FORMATS[form](tables)


def _tables(shown: _Shown, layout: LayoutName, requested: tuple[Data, ...], leave_out: LeaveOut) -> list[Table]:
    """Return the tables of one layout: of the data that the request names, or of that of the runs."""
    measured = _measured(shown, layout, leave_out)
    of_runs = tuple(dict.fromkeys(data_of(run) for run in shown.runs.values() if run.method.task in TASKS[layout]))
    titles = distinct_titles([*(requested or of_runs), *of_runs])
    tables: list[Table] = []
    for data in requested or of_runs:
        own = measured.get(data, [])
        printed = _printed(shown, layout, data) if not data.own else []
        entries = [replace(entry, own_data=titles[data]) for entry, _ in own]
        # Differences are to the numbers of fssbench, not to what the user has added.
        entries = [*printed, *with_printed_numbers(publications(), entries)]
        absent, left_out = methods_without_numbers(shown.names, entries), ""
        if shown.request.strict is not None:
            entries, left_out = strictly(entries, shown.request.strict)
        if not entries:
            if left_out:
                shown.none_left.append(left_out)
            continue
        for table in lay_out(with_ledger(entries), layout, shown.style):
            further = (*ledger_footnotes(table), *methods_not_measured(table), *absent)
            further += (Footnote("", left_out),) if left_out else ()
            notes = (*table.footnotes, *further) if shown.style.footnotes else ()
            tables.append(replace(table, footnotes=notes, left_out=left_out))
    return tables


def _printed(shown: _Shown, layout: LayoutName, data: Data) -> list[Entry]:
    """Return the printed results for a table, of the ways and shots of the runs in it unless the request names some."""
    request = shown.request
    if request.source == "measured" or not request.others:
        return []
    runs = [run for run in shown.runs.values() if data_of(run) == data and run.method.task in TASKS[layout]]
    ways = request.ways or tuple({run.way for run in runs}) or WAYS[layout]
    shots = request.shots or tuple({run.shot for run in runs})
    return [
        replace(entry, position=shown.position(entry))
        for entry in printed_entries(shown.known, data.key, TASKS[layout], shown.names, request.all_sources)
        # Where the shots are not the user's choice, a number of which they are not printed may be of these.
        if (not shots or entry.shot in shots or (entry.shot is None and not request.shots))
        and (not ways or entry.way in ways)
        and matches_backbone(entry.backbone, request.backbones)
    ]


def _measured(shown: _Shown, layout: LayoutName, leave_out: LeaveOut) -> dict[Data, list[tuple[Entry, Measurement]]]:
    """Return the measured results of a layout, by their data."""
    runs = {folder: run for folder, run in shown.runs.items() if run.method.task in TASKS[layout]}
    by_data: dict[Data, list[Measurement]] = {}
    for one in measurements(runs, leave_out, runs) if runs else []:
        by_data.setdefault(data_of(one.run), []).append(one)
    found = {}
    for data, ones in by_data.items():
        entries = measured_entries(ones, shown.known.methods, shown.request.relative_to)
        entries = [
            replace(entry, position=shown.position_of_run(one)) for entry, one in zip(entries, ones, strict=True)
        ]
        pairs = list(zip(entries, ones, strict=True))
        if shown.style.intervals:
            pairs = list(zip(with_intervals(pairs, shown.columns_with_interval), ones, strict=True))
        found[data] = over_runs(pairs) if shown.style.deviation else pairs
    return found
