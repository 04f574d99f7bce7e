"""The layout of the papers' tables: rows grouped by backbone; columns for folds, mean and FB-IoU; best and second."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from fssbench.datasets.catalogue import fold_count_of
from fssbench.publications.rows import ER_FOLDS, FOLDS
from fssbench.publications.titles import BACKBONES
from fssbench.tables.entry import NO_BACKBONE, Entry, parameters, rounded
from fssbench.tables.footnotes import Footnotes
from fssbench.tables.row_annotations import differences
from fssbench.tables.table import MISSING, Block, Cell, Column, Emphasis, Group, Row, Table

LayoutName = Literal["fss", "fscs"]
SHOTS_PER_TABLE = 2


@dataclass(frozen=True)
class _Columns:
    """One block of columns: its title, its columns, and the number that each column shows."""

    title: str
    columns: tuple[Column, ...]
    numbers: tuple[str, ...]
    # The shot of the block; 0 for a shot that was not printed, None for any shot.
    shot: int | None = None

    def includes(self, entry: Entry) -> bool:
        return self.shot is None or (entry.shot or 0) == self.shot


def lay_out(entries: Iterable[Entry], layout: LayoutName) -> list[Table]:
    """Return the tables of results, with up to two shots in one table.

    Args:
        entries: Results of one data set.
        layout: "fss" has a table per way, with folds, mean and FB-IoU for each shot. "fscs" has a table per way and
            shot, with exact ratio and mIoU of the folds and their means.
    """
    entries = list(entries)
    tables = []
    for way in sorted({entry.way or 0 for entry in entries}):
        of_way = [entry for entry in entries if (entry.way or 0) == way]
        shots = sorted({entry.shot or 0 for entry in of_way})
        per_table = SHOTS_PER_TABLE if layout == "fss" else 1
        for start in range(0, len(shots), per_table):
            chosen = shots[start : start + per_table]
            shown = [entry for entry in of_way if (entry.shot or 0) in chosen]
            tables.append(_fss(shown, way, chosen) if layout == "fss" else _fscs(shown, way, chosen[0]))
    return tables


def _shot_title(shot: int) -> str:
    return f"{shot}-shot" if shot else "shot not printed"


def _folds(entries: list[Entry]) -> range:
    """Return the folds that have a column: none if there is only one fold, as its number is the mean."""
    count = max(entry.fold_count or fold_count_of(entry.dataset) for entry in entries)
    return range(count if count > 1 else 0)


def _fss(entries: list[Entry], way: int, shots: Sequence[int]) -> Table:
    folds = _folds(entries)
    mean = Column("mean", "mean") if folds else Column("mIoU", "mIoU")
    pairs = [*((Column(f"fold-{fold}", f"f{fold}"), f"fold{fold}") for fold in folds), (mean, "mean")]
    if any("fb_iou" in entry.numbers for entry in entries):
        pairs.append((Column("FB-IoU", "FB"), "fb_iou"))
    columns, numbers = tuple(column for column, _ in pairs), tuple(number for _, number in pairs)
    blocks = [_Columns(_shot_title(shot), columns, numbers, shot) for shot in shots]
    title = f"{entries[0].data_title}, {way}-way"
    legend = "mIoU in percent on each fold and their mean" if folds else "mIoU in percent"
    if len(pairs) > len(folds) + 1:
        legend += "; FB-IoU is the mean of foreground and background IoU"
    return _table(entries, blocks, title, legend)


def _fscs(entries: list[Entry], way: int, shot: int) -> Table:
    folds = _folds(entries)
    heads = (*(Column(f"fold-{fold}", f"f{fold}") for fold in folds), Column("mean", "mean"))
    blocks = [
        _Columns("exact ratio", heads, (*(f"er_fold{fold}" for fold in folds), "er_mean")),
        _Columns("mIoU", heads, (*(f"fold{fold}" for fold in folds), "mean")),
    ]
    title = f"{entries[0].data_title}, classification and segmentation, {way}-way {_shot_title(shot)}"
    return _table(entries, blocks, title, "percent on each fold and their mean")


def _table(entries: list[Entry], blocks: list[_Columns], title: str, legend: str) -> Table:
    if any("learnable_params" in entry.numbers for entry in entries):
        blocks = [*blocks, _Columns("", (Column("params (M)", "#par"),), ("learnable_params",))]
        legend += "; learnable parameters in millions"
    notes = Footnotes(entries)
    by_backbone: dict[str, dict[tuple[str, ...], list[Entry]]] = {}
    for entry in entries:
        line = (entry.method, entry.label, entry.line, entry.origin)
        by_backbone.setdefault(entry.backbone, {}).setdefault(line, []).append(entry)
    groups = []
    for backbone in sorted(by_backbone, key=_backbone_order):
        lines = sorted(by_backbone[backbone].values(), key=_line_order)
        rows = [_row(line, blocks, notes) for line in lines]
        groups.append(Group(_backbone_title(backbone), _emphasised(rows, blocks)))
    return Table(
        title=title,
        legend=legend,
        blocks=tuple(Block(block.title, block.columns) for block in blocks),
        groups=tuple(groups),
        footnotes=notes.listed(),
    )


def _row(line: list[Entry], blocks: list[_Columns], notes: Footnotes) -> Row:
    cells = []
    for block in blocks:
        for number in block.numbers:
            found = (entry.numbers[number] for entry in line if block.includes(entry) and number in entry.numbers)
            text = next(found, None)
            shown = parameters if number == "learnable_params" else rounded
            cells.append(Cell(MISSING if text is None else shown(text)))
    return Row(line[0].label, notes.marks(line), line[0].venue, tuple(cells), tuple(line), _under(line, blocks))


def _under(line: list[Entry], blocks: list[_Columns]) -> tuple[Row, ...]:
    """Return the lines below a measured row: intervals, and differences to the printed numbers."""
    lines = (
        ("95 % interval", lambda entry: {column: f"±{rounded(text)}" for column, text in entry.half_width.items()}),
        ("minus printed", differences),
    )
    under = []
    for label, texts_of in lines:
        texts = []
        for block in blocks:
            shown: dict[str, str] = {}
            for entry in line:
                shown |= texts_of(entry) if block.includes(entry) else {}
            texts += [shown.get(number, "") for number in block.numbers]
        if any(texts):
            under.append(Row(label, (), "", tuple(map(Cell, texts)), ()))
    return tuple(under)


def _emphasised(rows: list[Row], blocks: list[_Columns]) -> tuple[Row, ...]:
    """Mark best and second best of each column, separately for printed and for measured numbers."""
    numbers = [number for block in blocks for number in block.numbers]
    cells = [list(row.cells) for row in rows]
    for place, number in enumerate(numbers):
        if number == "learnable_params":
            continue
        column = [row[place].text for row in cells]
        for origin in ("published", "measured"):
            competes = [_competes(row.entries[0], number) and row.entries[0].origin == origin for row in rows]
            for row_number, emphasis in enumerate(emphasise(column, competes)):
                if emphasis:
                    cells[row_number][place] = Cell(column[row_number], emphasis)
    return tuple(replace(row, cells=tuple(own)) for row, own in zip(rows, cells, strict=True))


def _competes(entry: Entry, number: str) -> bool:
    return entry.competes and not (entry.other_folds and number in (*FOLDS, *ER_FOLDS))


def _backbone_title(backbone: str) -> str:
    return "no backbone" if backbone == NO_BACKBONE else BACKBONES.get(backbone, backbone)


def _backbone_order(backbone: str) -> tuple[int, str]:
    known = [NO_BACKBONE, "", "small", "vgg16", "resnet50", "resnet101"]
    return (known.index(backbone) if backbone in known else len(known), backbone)


def _line_order(line: list[Entry]) -> tuple[int, str, str, bool]:
    """Sort by the year of the venue, as in the papers' tables; measured rows follow the printed rows of the method."""
    first = line[0]
    year = re.search(r"\d{4}", first.venue)
    return (int(year.group()) if year else 0, first.method, first.label, first.origin == "measured")


def emphasise(column: Sequence[str], competes: Sequence[bool]) -> list[Emphasis]:
    """Return the emphasis of each cell of a column; higher numbers are better.

    Numbers are compared as shown, so equal texts get equal emphasis. All cells with the highest number are best, all
    with the next lower one are second. If only one number competes, it gets no emphasis.

    Args:
        column: The texts of the cells, "-" for a missing number.
        competes: For each cell, whether it competes.
    """
    numbers = [
        Decimal(text) if competing and text != MISSING else None
        for text, competing in zip(column, competes, strict=True)
    ]
    present = [number for number in numbers if number is not None]
    if len(present) < 2:
        return [""] * len(column)
    ranks = sorted(set(present), reverse=True)
    emphasis: dict[Decimal | None, Emphasis] = {ranks[0]: "best"}
    if len(ranks) > 1:
        emphasis[ranks[1]] = "second"
    return [emphasis.get(number, "") if number is not None else "" for number in numbers]
