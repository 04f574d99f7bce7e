"""The IoU of each class, with a column for each measurement: tables, or a list of numbers for files and charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fssbench.errors import MissingError
from fssbench.publications.load import publications
from fssbench.publications.names import names_from
from fssbench.publications.titles import BACKBONES
from fssbench.tables.emphasis import emphasise
from fssbench.tables.entry import NO_BACKBONE, Entry, rounded
from fssbench.tables.footnotes import Footnotes
from fssbench.tables.measured import measured_entries
from fssbench.tables.measurements import Data, data_of, distinct_titles, measurements
from fssbench.tables.request import Comparison
from fssbench.tables.row_annotations import DRAWS
from fssbench.tables.runs import LeaveOut, refuse
from fssbench.tables.selection import NotShown, callable_names, requested_data, requested_runs, selected_runs
from fssbench.tables.style import Style
from fssbench.tables.table import MISSING, Block, Cell, Column, Group, Row, Table

if TYPE_CHECKING:
    from fssbench.tables.measurements import Measurement

_PLAIN = Style()


@dataclass(frozen=True)
class ClassNumber:
    """The IoU of one class in one measurement.

    Attributes:
        dataset: The key of the data set.
        data: Its name as papers print it.
        task: "fss" or "fscs".
        way: N.
        shot: K.
        fold: The fold that the class is tested in.
        class_id: Its label value.
        class_name: Its name; "class 3" in runs of earlier versions.
        name: The row of the measurement in tables, with the backbone if several have one name.
        method: The method.
        backbone: The backbone; empty if there is none.
        episodes: Number of episodes with the class.
        iou: Percent.
        low: Lower end of the 95 % interval, percent; None if it can't be given.
        high: Upper end.
        runs: The run folders.
        no_interval: Why there is no interval; empty if there is one.
    """

    dataset: str
    data: str
    task: str
    way: int
    shot: int
    fold: int
    class_id: int
    class_name: str
    name: str
    method: str
    backbone: str
    episodes: int
    iou: float
    low: float | None
    high: float | None
    runs: tuple[str, ...]
    no_interval: str = ""


@dataclass(frozen=True)
class ClassTable:
    """The classes of one data set at one way and shot: every number, and the table that shows them."""

    numbers: tuple[ClassNumber, ...]
    table: Table


def per_class(
    request: Comparison,
    leave_out: LeaveOut = refuse,
    style: Style = _PLAIN,
    not_shown: NotShown = lambda folder, reason: None,  # noqa: ARG005 - a `NotShown`
) -> list[ClassTable]:
    """Return a table per data set, task, way and shot: a row for each class, a column for each measurement.

    Args:
        request: Which runs are shown; printed numbers have none by class.
        leave_out: Called for a run folder that can't be read.
        style: How they are drawn.
        not_shown: Called for a run that the request does not show, with the reason.

    Raises:
        UsageError: If a method or data set is unknown, with the nearest names.
        MissingError: If there is no run.
        BrokenFileError: If a run is damaged and not left out.
    """
    known = publications()
    runs = requested_runs(replace(request, source="measured"), leave_out)
    names = names_from(request.methods, callable_names(known, runs.values()))
    data = requested_data(request, known, runs)
    selected = selected_runs(request, runs, names, data, known, not_shown)
    groups: dict[tuple[Data, str, int, int], list[Measurement]] = {}
    for one in measurements(selected, leave_out, selected) if selected else []:
        groups.setdefault((data_of(one.run), one.run.method.task, one.run.way, one.run.shot), []).append(one)
    if not groups:
        raise MissingError("there is no run to show by class", "fssbench eval makes one; --runs DIR says where")
    titles = distinct_titles(of_data for of_data, *_ in groups)
    tables = []
    for (of_data, *_), ones in groups.items():
        entries = measured_entries(ones, known.methods, request.relative_to)
        entries = [replace(entry, own_data=titles[of_data]) for entry in entries]
        tables.append(_table(ones, entries, style))
    return tables


def _table(ones: Sequence[Measurement], entries: Sequence[Entry], style: Style) -> ClassTable:
    order = sorted(range(len(ones)), key=lambda place: (entries[place].own, entries[place].line))
    ones, entries = [ones[place] for place in order], [entries[place] for place in order]
    names = _names(entries)
    numbers = [
        number for one, entry, name in zip(ones, entries, names, strict=True) for number in _numbers(one, entry, name)
    ]
    named = {(n.fold, n.class_id): n.class_name for n in numbers if n.class_name}
    # Runs of earlier versions have no names of classes; others of the same data may.
    numbers = [replace(n, class_name=named.get((n.fold, n.class_id), f"class {n.class_id}")) for n in numbers]
    notes = Footnotes(entries, style)
    marks = [notes.marks([entry]) for entry in entries]
    columns = [Column(name, name, of_entry) for name, of_entry in zip(names, marks, strict=True)]
    by_place = {(number.fold, number.class_id, number.name): number for number in numbers}
    groups = []
    for fold in sorted({number.fold for number in numbers}):
        classes = {number.class_id: number.class_name for number in numbers if number.fold == fold}
        rows = []
        for class_id, class_name in sorted(classes.items()):
            found = [by_place.get((fold, class_id, name)) for name in names]
            cells = _cells([None if one is None else one.iou for one in found], entries, style)
            rows.append(Row(class_name, (), "", cells, ()))
        means = [float(e.numbers[f"fold{fold}"]) if f"fold{fold}" in e.numbers else None for e in entries]
        rows.append(Row("mean", (), "", _cells(means, entries, style), ()))
        groups.append(Group(f"fold {fold}", tuple(rows)))
    first = entries[0]
    task = "classification and segmentation, " if first.task == "fscs" else ""
    table = Table(
        title=f"{first.data_title}, {task}{first.way}-way {first.shot}-shot, by class",
        legend="IoU in percent",
        blocks=(Block("", tuple(columns)),),
        groups=tuple(groups),
        footnotes=notes.listed(),
        heads=("class", ""),
        venue=False,
        caption=style.caption,
        key=style.key,
        span=style.span,
    )
    return ClassTable(tuple(numbers), table)


def _names(entries: Sequence[Entry]) -> list[str]:
    """Return a name for each column: the label, with the backbone and then a number where others have the same."""
    labels = [entry.label for entry in entries]
    if len(set(labels)) < len(labels):
        titles = (entry.group or BACKBONES.get(entry.backbone, entry.backbone) for entry in entries)
        labels = [
            label if labels.count(label) == 1 or title == NO_BACKBONE else f"{label}, {title}"
            for label, title in zip(labels, titles, strict=True)
        ]
    return [
        label if labels.count(label) == 1 else f"{label} ({labels[: place + 1].count(label)})"
        for place, label in enumerate(labels)
    ]


def _numbers(one: Measurement, entry: Entry, name: str) -> Iterable[ClassNumber]:
    """Yield the numbers of a measurement, in the order of folds and classes."""
    from fssbench.metrics.summary import summary_of

    counts = [one.folds[fold].counts for fold in sorted(one.folds)]
    summary = summary_of(counts, draws=DRAWS, level=one.run.interval_level)
    named = {
        (fold, class_id): class_name
        for fold, measured in one.folds.items()
        for class_id, class_name in zip(measured.record.classes, measured.record.class_names, strict=False)
    }
    for row in summary.per_class.to_dict("records"):
        fold, class_id = int(row["fold"]), int(row["class_id"])
        yield ClassNumber(
            dataset=entry.dataset,
            data=entry.data_title,
            task=entry.task,
            way=one.run.way,
            shot=one.run.shot,
            fold=fold,
            class_id=class_id,
            class_name=named.get((fold, class_id), ""),
            name=name,
            method=entry.method,
            backbone="" if entry.backbone == NO_BACKBONE else entry.backbone,
            episodes=int(row["episodes"]),
            iou=float(row["iou"]),
            low=None if row["no_interval"] else float(row["low"]),
            high=None if row["no_interval"] else float(row["high"]),
            runs=entry.folders,
            no_interval=str(row["no_interval"]),
        )


def _cells(values: Sequence[float | None], entries: Sequence[Entry], style: Style) -> tuple[Cell, ...]:
    texts = [MISSING if value is None else rounded(f"{value:.4f}", style.decimals) for value in values]
    ranks = emphasise(texts, [entry.competes and entry.comparable for entry in entries])
    return tuple(
        Cell(text, rank, href="" if text == MISSING else entry.url)
        for text, rank, entry in zip(texts, ranks, entries, strict=True)
    )
