"""A paper's ablation table as printed, with what was measured of the same forms beside it, never mixed with it."""

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
from fssbench.tables.entry import Entry, parameters, rounded
from fssbench.tables.footnotes import DAGGER, Footnotes
from fssbench.tables.layout import emphasise
from fssbench.tables.measured import (
    dataset_key,
    measured_entries,
    measurements,
    printed_variant_name,
    setting_of,
)
from fssbench.tables.printed import entry_of, matches_backbone
from fssbench.tables.runs import LeaveOut, find_runs, read_runs, refuse
from fssbench.tables.table import MISSING, Block, Cell, Column, Footnote, Group, Row, Table

if TYPE_CHECKING:
    from fssbench.tables.measured import Measurement

_HEADS = {
    **{fold: Column(f"fold-{place}", f"f{place}") for place, fold in enumerate(FOLDS)},
    "mean": Column("mIoU", "mIoU"),
    **{fold: Column(f"ER fold-{place}", f"ER{place}") for place, fold in enumerate(ER_FOLDS)},
    "er_mean": Column("exact ratio", "ER"),
    "fb_iou": Column("FB-IoU", "FB"),
    "precision": Column("precision", "prec"),
    "learnable_params": Column("params (M)", "#par"),
}
"""The columns of an ablation table, in their order."""


@dataclass(frozen=True)
class Ablation:
    """What an ablation table is asked for; an empty tuple asks for all there is. Only measured columns are chosen.

    Attributes:
        method: Name of the method that is taken apart.
        datasets: Keys of the data sets it was measured on.
        shots: Numbers of supports.
        ways: Numbers of classes.
        backbones: Names and wildcards.
        source: Printed numbers, measured ones, or both.
        runs: Folder of run folders, or one of them; None: there are none.
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
    """The columns of one setting: the printed one, or one that was measured; `entries` by the printed row's name."""

    title: str
    numbers: tuple[str, ...]
    entries: dict[str, Entry]


def ablation(asked: Ablation, leave_out: LeaveOut = refuse) -> list[Table]:
    """Return a method's printed ablation tables (nearly always one), with columns for what was measured.

    A row is a form of the method, as the paper prints it and as `--variant` calls it. Each setting that was measured
    (data, protocol, way, shot, backbone) has columns of its own.

    Args:
        asked: The question.
        leave_out: What is done about a run folder that can't be read.

    Raises:
        UsageError: If the method is unknown or has no ablation, naming those that have one.
        MissingError: If only measured numbers are asked for and there are none, or the folder of runs is not there.
        BrokenFileError: If a file of printed numbers is damaged, or one of a run that is not left out.
    """
    known = publications()
    able = [method for method in list_methods() if _printed(method, known)]
    if asked.method not in list_methods():
        raise unknown_name("method", asked.method, able, f"--ablation {able[0]}" if able else None)
    if asked.method not in able:
        remedy = f"--ablation {able[0]}" if able else None
        raise UsageError(f"{asked.method} has no ablation table; there is one of {', '.join(able)}", remedy)
    forms = _forms(asked.method, known)
    measured = [] if asked.source == "published" else _measured(asked, forms, known, leave_out)
    if asked.source == "measured" and not measured:
        where = f" in {asked.runs}" if asked.runs else ""
        raise MissingError(f"there is no run of {asked.method}'s forms{where}", _remedy(asked.method, forms))
    return [_table(asked, known, forms, rows, measured) for rows in _printed(asked.method, known)]


def _forms(method: str, known: Publications) -> dict[str, str]:
    """Return for each variant of a method's ablation the name of its printed row."""
    paper = known.methods.get(method)
    return {
        variant: printed_variant_name(method, paper.name, variant) for variant in method_info(method).ablation if paper
    }


def _printed(method: str, known: Publications) -> list[list[PrintedRow]]:
    """Return the rows of each printed table in which a row is one of the method's forms."""
    forms = _forms(method, known)
    tables: dict[object, list[PrintedRow]] = {}
    for row in known.rows:
        if row.method == method and row.role == "ablation":
            setting = (row.source, row.location, row.dataset, row.way, row.shot, row.backbone)
            tables.setdefault(setting, []).append(row)
    return [rows for rows in tables.values() if {row.variant for row in rows} & set(forms.values())]


def _measured(asked: Ablation, forms: dict[str, str], known: Publications, leave_out: LeaveOut) -> list[_Part]:
    if asked.runs is None:
        return []
    first = next(iter(method_info(asked.method).tasks))
    folders = []
    for folder, run in read_runs(find_runs(asked.runs), leave_out).items():
        if (
            run.method.name == asked.method
            and (run.method.variant or first) in forms
            and (not asked.datasets or dataset_key(run) in asked.datasets)
            and (not asked.shots or run.shot in asked.shots)
            and (not asked.ways or run.way in asked.ways)
            and matches_backbone(run.method.backbone or "", asked.backbones)
        ):
            folders.append(folder)
    settings: dict[str, list[Measurement]] = {}
    for one in measurements(folders, leave_out) if folders else []:
        settings.setdefault(setting_of(one), []).append(one)
    parts = []
    for together in settings.values():
        entries = measured_entries(together, known.methods)
        named = {forms[one.run.method.variant or first]: entry for one, entry in zip(together, entries, strict=True)}
        parts.append(_Part("", _numbers_of(entries), named))
    return parts


def _setting(entry: Entry, *, protocol: bool = False) -> str:
    """Return what the numbers of a column were asked of, in words."""
    parts = [
        dataset_title(entry.dataset),
        BACKBONES.get(entry.backbone, entry.backbone),
        " ".join(f"{count}-{what}" for count, what in ((entry.way, "way"), (entry.shot, "shot")) if count),
        f"protocol {entry.protocol}" if protocol else "",
    ]
    return ", ".join(part for part in parts if part)


def _titled(parts: Sequence[_Part]) -> list[_Part]:
    """Return measured columns with a dagger at their heads, and as much of the setting as tells them apart."""
    firsts = [next(iter(part.entries.values())) for part in parts]
    namings = ([dataset_title(entry.dataset) for entry in firsts], [_setting(e, protocol=True) for e in firsts])
    titles = next((names for names in namings if len(set(names)) == len(names)), namings[-1])
    return [replace(part, title=f"{title}{DAGGER}") for part, title in zip(parts, titles, strict=True)]


def _numbers_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the columns that measured results fill: exact ratios of folds only where there is no mean of them."""
    held = {number for entry in entries for number in entry.numbers}
    left_out = {"fb_iou", "learnable_params", *(ER_FOLDS if "er_mean" in held else ())}
    return tuple(number for number in _HEADS if number in held - left_out)


def _table(
    asked: Ablation,
    known: Publications,
    forms: dict[str, str],
    rows: Sequence[PrintedRow],
    measured: Sequence[_Part],
) -> Table:
    paper = known.methods[asked.method]
    entries = {row.variant: entry_of(known, row) for row in rows}
    variants = {form: variant for variant, form in forms.items()}
    parts = _titled(measured)
    notes = Footnotes(())
    footnotes = _measured_notes(parts, next(iter(entries.values())), variants)
    if not measured and asked.source == "both":
        footnotes = [Footnote("", f"No form was measured; {_remedy(asked.method, forms)}.")]
    if asked.source != "measured":
        held = {number for row in rows for number in row.numbers}
        title = f"printed: {dataset_title(rows[0].dataset)}"
        parts.insert(0, _Part(title, tuple(number for number in _HEADS if number in held), entries))
    columns = [_column(part, number, entries) for part in parts for number in part.numbers]
    laid_out = []
    for place, (form, entry) in enumerate(entries.items()):
        shown = tuple(
            replace(part.entries[form], label=f"{paper.name}: {form}") for part in parts if form in part.entries
        )
        marks = notes.marks([entry]) if asked.source != "measured" else ()
        laid_out.append(Row(form, marks, variants.get(form, MISSING), tuple(c[place] for c in columns), shown))
    return Table(
        title=f"{paper.name}, ablation",
        legend=f"percent; printed on {_setting(next(iter(entries.values())))}; ranked down each column",
        blocks=tuple(Block(part.title, tuple(_HEADS[number] for number in part.numbers)) for part in parts),
        groups=(Group(", ".join(text for text in (paper.name, paper.venue) if text), tuple(laid_out)),),
        footnotes=(*notes.listed(), *footnotes),
        heads=("form", "variant"),
    )


def _column(part: _Part, number: str, rows: Iterable[str]) -> list[Cell]:
    shown = parameters if number == "learnable_params" else rounded
    found = (part.entries[form].numbers.get(number) if form in part.entries else None for form in rows)
    texts = [MISSING if text is None else shown(text) for text in found]
    if number == "learnable_params":
        return [Cell(text) for text in texts]
    return [Cell(text, mark) for text, mark in zip(texts, emphasise(texts, [True] * len(texts)), strict=True)]


def _measured_notes(parts: Sequence[_Part], printed: Entry, variants: dict[str, str]) -> list[Footnote]:
    notes = []
    for part in parts:
        remarks = {form: [remark.text for remark in entry.remarks] for form, entry in part.entries.items()}
        every = [text for text in next(iter(remarks.values())) if all(text in texts for texts in remarks.values())]
        some = [f"{form}: {text}" for form, texts in remarks.items() for text in texts if text not in every]
        setting = _setting(next(iter(part.entries.values())))
        said = [f"measured by fssbench on {setting}", *every, *some]
        if setting != _setting(printed):
            said.append("not what was printed, so only the differences between rows may be set beside printed ones")
        missing = [variants[form] for form in variants if form not in part.entries]
        said += [f"not measured: {', '.join(missing)}"] if missing else []
        notes.append(Footnote(DAGGER, "; ".join(said)))
    return notes


def _remedy(method: str, forms: dict[str, str]) -> str:
    return f"fssbench eval --method {method} --variant {next(iter(forms))} measures one"
