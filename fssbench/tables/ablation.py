"""The ablation table of a paper, with measured numbers of the same variants in columns of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.datasets.catalogue import dataset_title
from fssbench.errors import MissingError, UsageError, unknown_name
from fssbench.methods.catalogue import list_methods, method_info
from fssbench.publications.load import publications
from fssbench.publications.rows import ER_FOLDS, FOLDS, PrintedRow, Publications
from fssbench.publications.titles import BACKBONES
from fssbench.tables.emphasis import emphasise, over_the_same_folds
from fssbench.tables.entry import MEANS, Entry, parameters, rounded
from fssbench.tables.footnotes import DAGGER, Footnotes
from fssbench.tables.measured import measured_entries, printed_variant_name
from fssbench.tables.measurements import dataset_key, measurements, setting_of
from fssbench.tables.printed import entry_of, matches_backbone
from fssbench.tables.runs import LeaveOut, find_runs, read_runs, refuse
from fssbench.tables.table import MISSING, Block, Cell, Column, Footnote, Group, Row, Table

if TYPE_CHECKING:
    from fssbench.tables.measurements import Measurement

_HEADS = {
    **{fold: Column(f"fold-{place}", f"f{place}") for place, fold in enumerate(FOLDS)},
    "mean": Column("mIoU", "mIoU"),
    **{fold: Column(f"ER fold-{place}", f"ER{place}") for place, fold in enumerate(ER_FOLDS)},
    "er_mean": Column("exact ratio", "ER"),
    "fb_iou": Column("FB-IoU", "FB"),
    "precision": Column("precision", "prec"),
    "learnable_params": Column("params (M)", "#par"),
}
"""The possible columns of an ablation table, in order."""


@dataclass(frozen=True)
class Ablation:
    """The request for an ablation table. The filters apply to measured columns; an empty tuple selects everything.

    Attributes:
        method: Name of the method.
        datasets: Keys of the data sets.
        shots: Numbers of shots.
        ways: Numbers of ways.
        backbones: Names and wildcards.
        source: Printed numbers, measured ones, or both.
        runs: A run folder, or a folder of run folders; None if there is none.
    """

    method: str
    datasets: tuple[str, ...] = ()
    shots: tuple[int, ...] = ()
    ways: tuple[int, ...] = ()
    backbones: tuple[str, ...] = ()
    source: Literal["published", "measured", "both"] = "both"
    runs: Path | None = None


@dataclass(frozen=True)
class _Part:
    """The columns of one setting, printed or measured. The keys of `entries` are the names of the printed rows."""

    title: str
    numbers: tuple[str, ...]
    entries: dict[str, Entry]


def ablation(request: Ablation, leave_out: LeaveOut = refuse) -> list[Table]:
    """Return the printed ablation tables of a method (nearly always one), with columns for measured numbers.

    A row is a variant of the method, with its name in the paper and its name for `--variant`. Each measured setting
    (data, protocol, way, shot, backbone) has columns of its own.

    Args:
        request: What to show.
        leave_out: Called for a run folder that can't be read.

    Raises:
        UsageError: If the method is unknown or has no ablation table, with the methods that have one.
        MissingError: If only measured numbers are requested and there are none, or the folder of runs does not exist.
        BrokenFileError: If a file of printed numbers is damaged, or a file of a run that is not left out.
    """
    known = publications()
    able = [method for method in list_methods() if _printed(method, known)]
    if request.method not in list_methods():
        raise unknown_name("method", request.method, able, f"--ablation {able[0]}" if able else None)
    if request.method not in able:
        remedy = f"--ablation {able[0]}" if able else None
        raise UsageError(f"{request.method} has no ablation table; these have one: {', '.join(able)}", remedy)
    names = _printed_names(request.method, known)
    measured = [] if request.source == "published" else _measured(request, names, known, leave_out)
    if request.source == "measured" and not measured:
        where = f" in {request.runs}" if request.runs else ""
        raise MissingError(f"there is no run of {request.method}'s variants{where}", _remedy(request.method, names))
    return [_table(request, known, names, rows, measured) for rows in _printed(request.method, known)]


def _printed_names(method: str, known: Publications) -> dict[str, str]:
    """Return the name of the printed row for each variant of the ablation."""
    paper = known.methods.get(method)
    return {
        variant: printed_variant_name(method, paper.name, variant) for variant in method_info(method).ablation if paper
    }


def _printed(method: str, known: Publications) -> list[list[PrintedRow]]:
    """Return the rows of each printed table that has a row for a variant of the method."""
    names = _printed_names(method, known)
    tables: dict[object, list[PrintedRow]] = {}
    for row in known.rows:
        if row.method == method and row.role == "ablation":
            setting = (row.source, row.location, row.dataset, row.way, row.shot, row.backbone)
            tables.setdefault(setting, []).append(row)
    return [rows for rows in tables.values() if {row.variant for row in rows} & set(names.values())]


def _measured(request: Ablation, names: dict[str, str], known: Publications, leave_out: LeaveOut) -> list[_Part]:
    if request.runs is None:
        return []
    first = next(iter(method_info(request.method).tasks))
    folders = []
    for folder, run in read_runs(find_runs(request.runs), leave_out).items():
        if (
            run.method.name == request.method
            and (run.method.variant or first) in names
            and (not request.datasets or dataset_key(run) in request.datasets)
            and (not request.shots or run.shot in request.shots)
            and (not request.ways or run.way in request.ways)
            and matches_backbone(run.method.backbone or "", request.backbones)
        ):
            folders.append(folder)
    settings: dict[str, list[Measurement]] = {}
    for one in measurements(folders, leave_out) if folders else []:
        settings.setdefault(setting_of(one), []).append(one)
    parts = []
    for group in settings.values():
        entries = measured_entries(group, known.methods)
        named = {names[one.run.method.variant or first]: entry for one, entry in zip(group, entries, strict=True)}
        parts.append(_Part("", _numbers_of(entries), named))
    return parts


def _setting(entry: Entry, *, protocol: bool = False) -> str:
    """Return the setting of a column as text: data set, backbone, way, shot, protocol."""
    parts = [
        entry.data_title,
        BACKBONES.get(entry.backbone, entry.backbone),
        " ".join(f"{count}-{what}" for count, what in ((entry.way, "way"), (entry.shot, "shot")) if count),
        f"protocol {entry.protocol}" if protocol else "",
    ]
    return ", ".join(part for part in parts if part)


def _titled(parts: Sequence[_Part]) -> list[_Part]:
    """Return measured columns with titles: a dagger, and as much of the setting as distinguishes them."""
    firsts = [next(iter(part.entries.values())) for part in parts]
    namings = ([entry.data_title for entry in firsts], [_setting(e, protocol=True) for e in firsts])
    titles = next((names for names in namings if len(set(names)) == len(names)), namings[-1])
    return [replace(part, title=f"{title}{DAGGER}") for part, title in zip(parts, titles, strict=True)]


def _numbers_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the columns that measured results fill. Exact ratios of folds are shown only if their mean is missing."""
    held = {number for entry in entries for number in entry.numbers}
    left_out = {"fb_iou", "learnable_params", *(ER_FOLDS if "er_mean" in held else ())}
    return tuple(number for number in _HEADS if number in held - left_out)


def _table(
    request: Ablation,
    known: Publications,
    names: dict[str, str],
    rows: Sequence[PrintedRow],
    measured: Sequence[_Part],
) -> Table:
    paper = known.methods[request.method]
    entries = {row.variant: entry_of(known, row) for row in rows}
    variants = {name: variant for variant, name in names.items()}
    parts = _titled(measured)
    notes = Footnotes(())
    footnotes = _measured_notes(parts, next(iter(entries.values())), variants)
    if not measured and request.source == "both":
        footnotes = [Footnote("", f"No variant was measured; {_remedy(request.method, names)}.")]
    if request.source != "measured":
        held = {number for row in rows for number in row.numbers}
        title = f"printed: {dataset_title(rows[0].dataset)}"
        parts.insert(0, _Part(title, tuple(number for number in _HEADS if number in held), entries))
    columns = [_column(part, number, entries, notes) for part in parts for number in part.numbers]
    laid_out = []
    for place, (name, entry) in enumerate(entries.items()):
        shown = tuple(
            replace(part.entries[name], label=f"{paper.name}: {name}") for part in parts if name in part.entries
        )
        marks = notes.marks([entry]) if request.source != "measured" else ()
        laid_out.append(Row(name, marks, variants.get(name, MISSING), tuple(c[place] for c in columns), shown))
    return Table(
        title=f"{paper.name}, ablation",
        legend=f"percent; printed on {_setting(next(iter(entries.values())))}; ranked down each column",
        blocks=tuple(Block(part.title, tuple(_HEADS[number] for number in part.numbers)) for part in parts),
        groups=(Group(", ".join(text for text in (paper.name, paper.venue) if text), tuple(laid_out)),),
        footnotes=(*notes.listed(), *footnotes),
        heads=("printed as", "variant"),
    )


def _column(part: _Part, number: str, rows: Iterable[str], notes: Footnotes) -> list[Cell]:
    shown = parameters if number == "learnable_params" else rounded
    found = [entry if (entry := part.entries.get(name)) and number in entry.numbers else None for name in rows]
    texts = [MISSING if entry is None else shown(entry.numbers[number]) for entry in found]
    if number == "learnable_params":
        return [Cell(text) for text in texts]
    competes = [entry is not None for entry in found]
    if number in MEANS:
        competes = over_the_same_folds(found, competes)
    marks = [notes.mark_of_mean(entry) if entry and number in MEANS else "" for entry in found]
    return [Cell(*cell) for cell in zip(texts, emphasise(texts, competes), marks, strict=True)]


def _measured_notes(parts: Sequence[_Part], printed: Entry, variants: dict[str, str]) -> list[Footnote]:
    notes = []
    for part in parts:
        remarks = {
            name: [remark.text for remark in entry.remarks if remark.kind != "detail"]
            for name, entry in part.entries.items()
        }
        every = [text for text in next(iter(remarks.values())) if all(text in texts for texts in remarks.values())]
        some = [f"{name}: {text}" for name, texts in remarks.items() for text in texts if text not in every]
        setting = _setting(next(iter(part.entries.values())))
        sentences = [f"measured by fssbench on {setting}", *every, *some]
        if setting != _setting(printed):
            sentences.append("another setting than printed: only the differences between rows may be compared")
        missing = [variants[name] for name in variants if name not in part.entries]
        sentences += [f"not measured: {', '.join(missing)}"] if missing else []
        notes.append(Footnote(DAGGER, "; ".join(sentences)))
    return notes


def _remedy(method: str, names: dict[str, str]) -> str:
    return f"fssbench eval --method {method} --variant {next(iter(names))} measures one"
