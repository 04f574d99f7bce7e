"""From a request ("hsnet and ntrenet, 5-shot") to comparison tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.errors import MissingError, UsageError, unknown_name
from fssbench.publications.load import publications
from fssbench.publications.names import Names, names_from
from fssbench.publications.rows import Publications
from fssbench.publications.status import released_weights
from fssbench.tables.entry import Entry
from fssbench.tables.layout import LayoutName, lay_out
from fssbench.tables.measured import measured_entries, measured_variant
from fssbench.tables.measurements import Data, data_of, dataset_key, measurements
from fssbench.tables.printed import matches_backbone, printed_entries
from fssbench.tables.render.csv import render_csv
from fssbench.tables.render.html import render_html
from fssbench.tables.render.json import render_json
from fssbench.tables.render.latex import render_latex
from fssbench.tables.render.markdown import render_markdown
from fssbench.tables.render.terminal import render_terminal
from fssbench.tables.row_annotations import half_widths, with_printed_numbers
from fssbench.tables.runs import LeaveOut, deduplicated, find_runs, read_runs, refuse
from fssbench.tables.table import Footnote, Table

if TYPE_CHECKING:
    from fssbench.results import Run
    from fssbench.tables.measurements import Measurement

SourceName = Literal["published", "measured", "both"]

DEFAULT_DATASETS = ("pascal5i", "coco20i")
FORMATS: dict[str, Callable[[Iterable[Table]], str]] = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "latex": render_latex,
    "csv": render_csv,
    "json": render_json,
    "html": render_html,
}

_TASKS: dict[LayoutName, tuple[str, ...]] = {"fss": ("fss", "cross-domain"), "fscs": ("fscs",)}
_WAYS: dict[LayoutName, tuple[int, ...]] = {"fss": (1,), "fscs": ()}


@dataclass(frozen=True)
class Comparison:
    """The request for comparison tables. An empty tuple selects everything.

    Attributes:
        methods: Names, wildcards, and "name:variant" patterns.
        datasets: Keys of data sets, or names of own data in lower case; default PASCAL-5i and COCO-20i, or those of the
            runs if only runs are requested.
        shots: Numbers of shots.
        ways: Numbers of ways; default 1 for "fss", all for "fscs".
        backbones: Names and wildcards.
        source: Printed numbers, measured ones, or both.
        layout: "fss", or "fscs" for classification and segmentation.
        runs: A run folder, or a folder of run folders; None if there is none.
        all_sources: Show the row of every source instead of one row per result.
        folders: Run folders that are shown whatever their method. With folders, empty `methods` selects no others.
        interval_columns: The columns that get an interval; default all.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    shots: tuple[int, ...] = ()
    ways: tuple[int, ...] = ()
    backbones: tuple[str, ...] = ()
    source: SourceName = "both"
    layout: LayoutName = "fss"
    runs: Path | None = None
    all_sources: bool = False
    folders: tuple[Path, ...] = ()
    interval_columns: tuple[str, ...] = ()

    @property
    def others(self) -> bool:
        """Whether more is requested than the run folders in `folders`."""
        return bool(self.methods) or not self.folders


def compare(request: Comparison, leave_out: LeaveOut = refuse) -> list[Table]:
    """Return the tables for a request, at least one.

    Args:
        request: What to show.
        leave_out: Called for a run folder that can't be read.

    Raises:
        UsageError: If a method or data set is unknown, with the nearest names.
        MissingError: If there is no result to show, or no run.
        BrokenFileError: If a file of printed numbers is damaged, or a file of a run that is not left out.
    """
    if request.folders and request.source == "published":
        raise UsageError(f"{request.folders[0]} is a run, but only printed numbers are requested", "--source both")
    known = publications()
    tasks = _TASKS[request.layout]
    runs = _runs(request, leave_out) if request.source != "published" else {}
    names = names_from(request.methods, _callable(known, runs.values()))
    datasets = _datasets(request, known, runs)
    # Rows of other ways and shots are not read, as they are not shown.
    selected = {
        folder: run
        for folder, run in runs.items()
        if data_of(run) in datasets and _of_counts(request, run.way, run.shot)
    }
    measured = _measured(request, known, selected, leave_out)
    tables = []
    for data in datasets:
        printed: list[Entry] = []
        if request.source != "measured" and request.others and not data.own:
            printed = printed_entries(known, data.key, tasks, names, request.all_sources)
        own = [
            # An interval takes time, so it is computed for shown results only.
            replace(
                entry,
                half_width=half_widths(
                    one, [c for c in entry.numbers if not request.interval_columns or c in request.interval_columns]
                ),
            )
            for entry, one in measured
            if Data(entry.dataset, entry.own_data) == data
            and entry.task in tasks
            and _selects(request, entry)
            and (
                _is_named(request, one)
                or names.matches((entry.method, entry.label.partition(":")[0]), entry.variant, True)
            )
        ]
        entries = [*(entry for entry in printed if _selects(request, entry)), *with_printed_numbers(known, own)]
        if entries:
            absent = _absent(names, entries)
            tables += [
                replace(table, footnotes=(*table.footnotes, *_published_only(table), *absent))
                for table in lay_out(entries, request.layout)
            ]
    if not tables:
        raise _nothing(request, datasets, names, {dataset_key(run) for run in runs.values()})
    return tables


def method_names() -> frozenset[str]:
    """Return the possible names of the methods with printed numbers, in lower case."""
    return frozenset(name.lower() for name in _callable(publications(), ()))


def render(tables: Iterable[Table], form: str) -> str:
    """Return tables in one of `FORMATS`.

    Raises:
        UsageError: If there is no such format, with the nearest names.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    return FORMATS[form](tables)


def _selects(request: Comparison, entry: Entry) -> bool:
    return _of_counts(request, entry.way, entry.shot) and matches_backbone(entry.backbone, request.backbones)


def _of_counts(request: Comparison, way: int | None, shot: int | None) -> bool:
    ways = request.ways or _WAYS[request.layout]
    return (not request.shots or shot in request.shots) and (not ways or way in ways)


def _is_named(request: Comparison, one: Measurement) -> bool:
    """Return whether a measurement is shown whatever its method: its folder is requested, or no method is."""
    return any(fold.folder in request.folders for fold in one.folds.values()) or (
        request.others and not request.methods
    )


def _runs(request: Comparison, leave_out: LeaveOut) -> dict[Path, Run]:
    """Return the record of each run; rows are read later, and only for the requested data sets."""
    if request.runs is None and not request.folders:
        if request.source == "measured":
            raise MissingError("there are no runs to show", "fssbench eval makes one; --runs DIR says where they are")
        return {}
    others = find_runs(request.runs) if request.runs is not None and request.others else []
    return read_runs(deduplicated(request.folders, others), leave_out)


def _measured(
    request: Comparison, known: Publications, runs: dict[Path, Run], leave_out: LeaveOut
) -> list[tuple[Entry, Measurement]]:
    tasks = _TASKS[request.layout]
    folders = [folder for folder, run in runs.items() if run.method.task in tasks]
    if not folders:
        return []
    found = measurements(folders, leave_out)
    by_dataset: dict[Data, list[Measurement]] = {}
    for one in found:
        by_dataset.setdefault(data_of(one.run), []).append(one)
    return [
        pair for ones in by_dataset.values() for pair in zip(measured_entries(ones, known.methods), ones, strict=True)
    ]


def _callable(known: Publications, runs: Iterable[Run]) -> dict[str, set[str]]:
    """Return the possible names of methods, with their variants."""
    names: dict[str, set[str]] = {}
    for row in known.rows:
        for name in (row.method, known.methods[row.method].name):
            names.setdefault(name, set()).add(row.variant)
    for run in runs:
        names.setdefault(run.method.name, set()).add(measured_variant(run))
    return names


def _datasets(request: Comparison, known: Publications, runs: Mapping[Path, Run]) -> tuple[Data, ...]:
    """Return what tables are shown of. The key of own data means all of it, its name one folder of it."""
    of_runs = tuple(dict.fromkeys(data_of(run) for run in runs.values()))
    if not request.datasets:
        if request.folders:
            return tuple(dict.fromkeys(data_of(runs[folder]) for folder in request.folders if folder in runs))
        return of_runs if request.source == "measured" else tuple(map(Data, DEFAULT_DATASETS))
    from fssbench.datasets.catalogue import list_datasets

    keys = {*(row.dataset for row in known.rows), *(data.key for data in of_runs), *list_datasets()}
    owns = {data.own.lower() for data in of_runs if data.own}
    found: list[Data] = []
    for name in request.datasets:
        if name not in keys and name not in owns:
            raise unknown_name("data set", name, keys | owns, "fssbench list datasets")
        found += [Data(name)] if name in keys else []
        found += [data for data in of_runs if name in (data.key, data.own.lower())]
    return tuple(dict.fromkeys(found))


def _published_only(table: Table) -> tuple[Footnote, ...]:
    """Return the footnote with the methods that can't be measured here with released weights."""
    shown = [entry for group in table.groups for row in group.rows for entry in row.entries]
    measured = {entry.method for entry in shown if entry.origin == "measured"}
    released = released_weights()
    only = {
        e.label for e in shown if e.origin == "published" and e.method not in measured and not released.get(e.method)
    }
    if not only:
        return ()
    names = ", ".join(sorted(only, key=str.lower))
    return (Footnote("", f"Published-only, as no released weights are registered here: {names}."),)


def _absent(names: Names, entries: Iterable[Entry]) -> tuple[Footnote, ...]:
    """Return the footnote with the requested methods that have no number in the table."""
    shown = {name.lower() for entry in entries for name in (entry.method, entry.label)}
    plain = [pattern for pattern in names.patterns if ":" not in pattern]
    absent = [pattern for pattern in plain if not any(fnmatchcase(name, pattern) for name in shown)]
    return (Footnote("", f"No number here of {', '.join(absent)}."),) if absent else ()


def _nothing(
    request: Comparison, datasets: tuple[Data, ...], names: Names, measured: set[str]
) -> MissingError | UsageError:
    what = {"published": "no printed number", "measured": "no run", "both": "neither a printed number nor a run"}
    named = [*names.patterns, *map(str, request.folders)]
    methods = f" of {', '.join(named)}" if named else ""
    keys = tuple(dict.fromkeys(one.key for one in datasets))
    data = f" on {', '.join(keys)}" if keys else ""
    filters = "".join(
        f", {name} {', '.join(map(str, values))}"
        for name, values in (("shots", request.shots), ("ways", request.ways), ("backbone", request.backbones))
        if values
    )
    remedy = (
        "fssbench eval measures it" if request.source != "published" else "--source both shows measured numbers too"
    )
    if pairs := sorted(key for key in measured for name in keys if key.endswith(f"_to_{name}")):
        remedy = f"--dataset {','.join(pairs)} shows runs that were trained on another data set; {remedy}"
    if request.layout == "fss":
        remedy += "; --layout fscs shows classification and segmentation"
    else:
        remedy += "; --layout fss shows segmentation alone"
    return MissingError(f"there is {what[request.source]}{methods}{data}{filters} (layout {request.layout})", remedy)
