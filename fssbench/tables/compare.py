"""From a question ("hsnet against ntrenet, 5-shot") to tables."""

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
from fssbench.tables.measured import dataset_key, measured_entries, measured_variant, measurements
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
    from fssbench.tables.measured import Measurement

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
    """What a table is asked for; an empty tuple asks for all there is.

    Attributes:
        methods: Names, wildcards, and "name:variant" patterns.
        datasets: Keys of data sets; default PASCAL-5i and COCO-20i, or those of the runs if only they are asked for.
        shots: Numbers of supports.
        ways: Numbers of classes; default 1 for "fss", all for "fscs".
        backbones: Names and wildcards.
        source: Printed numbers, measured ones, or both.
        layout: "fss", or "fscs" for classification and segmentation.
        runs: Folder of run folders, or one of them; None: there are none.
        all_sources: Show each source's row instead of one per result.
        reaches: Columns of which intervals are wanted; default all.
        folders: Run folders that are shown whatever their method; with them, "no methods" asks for no others.
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
        """Whether more is asked for than the run folders that are named."""
        return bool(self.methods) or not self.folders


def compare(asked: Comparison, leave_out: LeaveOut = refuse) -> list[Table]:
    """Return the tables that answer a question, at least one.

    Args:
        asked: The question.
        leave_out: What is done about a run folder that can't be read.

    Raises:
        UsageError: If a method or data set is unknown, with the nearest names.
        MissingError: If there is no result to show, or no run.
        BrokenFileError: If a file of printed numbers is damaged, or one of a run that is not left out.
    """
    if asked.folders and asked.source == "published":
        raise UsageError(f"{asked.folders[0]} was measured, and only printed numbers are asked for", "--source both")
    known = publications()
    tasks = _TASKS[asked.layout]
    runs = _runs(asked, leave_out) if asked.source != "published" else {}
    names = names_from(asked.methods, _callable(known, runs.values()))
    datasets = _datasets(asked, known, runs)
    # Rows of other ways and shots are of no use: no run is compared with those.
    wanted = {
        folder: run
        for folder, run in runs.items()
        if dataset_key(run) in datasets and _of_counts(asked, run.way, run.shot)
    }
    measured = _measured(asked, known, wanted, leave_out)
    tables = []
    for dataset in datasets:
        printed: list[Entry] = []
        if asked.source != "measured" and asked.others:
            printed = printed_entries(known, dataset, tasks, names, asked.all_sources)
        own = [
            # Only what is shown is worth the time that an interval takes.
            replace(
                entry,
                half_width=half_widths(
                    one, [c for c in entry.numbers if not asked.interval_columns or c in asked.interval_columns]
                ),
            )
            for entry, one in measured
            if entry.dataset == dataset
            and entry.task in tasks
            and _selects(asked, entry)
            and (
                _is_named(asked, one)
                or names.matches((entry.method, entry.label.partition(":")[0]), entry.variant, True)
            )
        ]
        entries = [*(entry for entry in printed if _selects(asked, entry)), *with_printed_numbers(known, own)]
        if entries:
            absent = _absent(names, entries)
            tables += [
                replace(table, footnotes=(*table.footnotes, *_published_only(table), *absent))
                for table in lay_out(entries, asked.layout)
            ]
    if not tables:
        raise _nothing(asked, datasets, names, {dataset_key(run) for run in runs.values()})
    return tables


def method_names() -> frozenset[str]:
    """Return what the methods with printed numbers may be called, in small letters."""
    return frozenset(name.lower() for name in _callable(publications(), ()))


def render(tables: Iterable[Table], form: str) -> str:
    """Return tables in one of `FORMATS`.

    Raises:
        UsageError: If there is no such format, with the nearest names.
    """
    if form not in FORMATS:
        raise unknown_name("format", form, FORMATS)
    return FORMATS[form](tables)


def _interval_columns(asked: Comparison, entry: Entry) -> list[str]:
    return [column for column in entry.numbers if not asked.interval_columns or column in asked.interval_columns]


def _selects(asked: Comparison, entry: Entry) -> bool:
    return _of_counts(asked, entry.way, entry.shot) and matches_backbone(entry.backbone, asked.backbones)


def _of_counts(asked: Comparison, way: int | None, shot: int | None) -> bool:
    ways = asked.ways or _WAYS[asked.layout]
    return (not asked.shots or shot in asked.shots) and (not ways or way in ways)


def _is_named(asked: Comparison, one: Measurement) -> bool:
    """Return whether a measurement is to be shown whatever its method: a folder of it is named, or nothing else is."""
    return any(fold.folder in asked.folders for fold in one.folds.values()) or (asked.others and not asked.methods)


def _runs(asked: Comparison, leave_out: LeaveOut) -> dict[Path, Run]:
    """Return what each run says of itself; their rows are read for the data sets asked for only."""
    if asked.runs is None and not asked.folders:
        if asked.source == "measured":
            raise MissingError("there are no runs to show", "fssbench eval makes one; --runs DIR says where they are")
        return {}
    others = find_runs(asked.runs) if asked.runs is not None and asked.others else []
    return read_runs(deduplicated(asked.folders, others), leave_out)


def _measured(
    asked: Comparison, known: Publications, runs: dict[Path, Run], leave_out: LeaveOut
) -> list[tuple[Entry, Measurement]]:
    tasks = _TASKS[asked.layout]
    folders = [folder for folder, run in runs.items() if run.method.task in tasks]
    if not folders:
        return []
    found = measurements(folders, leave_out)
    together: dict[str, list[Measurement]] = {}
    for one in found:
        together.setdefault(dataset_key(one.run), []).append(one)
    return [
        pair for ones in together.values() for pair in zip(measured_entries(ones, known.methods), ones, strict=True)
    ]


def _callable(known: Publications, runs: Iterable[Run]) -> dict[str, set[str]]:
    """Return what methods may be called, with their variants."""
    names: dict[str, set[str]] = {}
    for row in known.rows:
        for name in (row.method, known.methods[row.method].name):
            names.setdefault(name, set()).add(row.variant)
    for run in runs:
        names.setdefault(run.method.name, set()).add(measured_variant(run))
    return names


def _datasets(asked: Comparison, known: Publications, runs: Mapping[Path, Run]) -> tuple[str, ...]:
    of_runs = tuple(dict.fromkeys(dataset_key(run) for run in runs.values()))
    if not asked.datasets:
        if asked.folders:
            return tuple(dict.fromkeys(dataset_key(runs[folder]) for folder in asked.folders if folder in runs))
        return of_runs if asked.source == "measured" else DEFAULT_DATASETS
    from fssbench.datasets.catalogue import list_datasets

    there_are = {*(row.dataset for row in known.rows), *of_runs, *list_datasets()}
    for name in asked.datasets:
        if name not in there_are:
            raise unknown_name("data set", name, there_are, "fssbench list datasets")
    return tuple(dict.fromkeys(asked.datasets))


def _published_only(table: Table) -> tuple[Footnote, ...]:
    """Return the footnote that names the methods whose printed numbers can't be measured with released weights."""
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
    """Return the footnote that names the methods asked for of which nothing is shown."""
    shown = {name.lower() for entry in entries for name in (entry.method, entry.label)}
    plain = [pattern for pattern in names.patterns if ":" not in pattern]
    absent = [pattern for pattern in plain if not any(fnmatchcase(name, pattern) for name in shown)]
    return (Footnote("", f"No number here of {', '.join(absent)}."),) if absent else ()


def _nothing(
    asked: Comparison, datasets: tuple[str, ...], names: Names, measured: set[str]
) -> MissingError | UsageError:
    what = {"published": "no printed number", "measured": "no run", "both": "neither a printed number nor a run"}
    named = [*names.patterns, *map(str, asked.folders)]
    of = f" of {', '.join(named)}" if named else ""
    on = f" on {', '.join(datasets)}" if datasets else ""
    with_ = "".join(
        f", {name} {', '.join(map(str, values))}"
        for name, values in (("shots", asked.shots), ("ways", asked.ways), ("backbone", asked.backbones))
        if values
    )
    remedy = "fssbench eval measures it" if asked.source != "published" else "--source both shows measured numbers too"
    if pairs := sorted(key for key in measured for name in datasets if key.endswith(f"_to_{name}")):
        remedy = f"--dataset {','.join(pairs)} shows what was trained elsewhere; {remedy}"
    if asked.layout == "fss":
        remedy += "; --layout fscs shows classification and segmentation"
    else:
        remedy += "; --layout fss shows segmentation alone"
    return MissingError(f"there is {what[asked.source]}{of}{on}{with_} (layout {asked.layout})", remedy)
