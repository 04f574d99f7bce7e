"""The layout of the papers' tables: rows grouped by backbone; columns for folds, mean and FB-IoU."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fssbench.datasets.catalogue import fold_count_of
from fssbench.errors import UsageError
from fssbench.publications.titles import BACKBONES
from fssbench.tables.emphasis import emphasised
from fssbench.tables.entry import MEANS, NO_BACKBONE, Entry, rounded, shown_number
from fssbench.tables.footnotes import Footnotes
from fssbench.tables.request import LayoutName
from fssbench.tables.row_annotations import differences
from fssbench.tables.style import Style
from fssbench.tables.table import MISSING, Block, Cell, Column, Group, Row, Table

SHOTS_PER_TABLE = 2
_PLAIN = Style()


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

    def chosen(self, style: Style) -> _Columns:
        """Return the block with the columns that are shown."""
        by_number = dict(zip(self.numbers, self.columns, strict=True))
        numbers = style.chosen(self.numbers)
        return replace(self, numbers=numbers, columns=tuple(by_number[number] for number in numbers))

    def source(self, line: Iterable[Entry], number: str) -> Entry | None:
        """Return the result of a row that a column shows; None if there is none."""
        return next((entry for entry in line if self.includes(entry) and number in entry.numbers), None)


def lay_out(entries: Iterable[Entry], layout: LayoutName, style: Style = _PLAIN) -> list[Table]:
    """Return the tables of results, with up to two shots in one table.

    Args:
        entries: Results of one data set.
        layout: "fss" has a table per way, with folds, mean and FB-IoU for each shot. "fscs" has a table per way and
            shot, with exact ratio and mIoU of the folds and their means.
        style: How they are drawn.

    Raises:
        UsageError: If the style leaves no column.
    """
    entries = list(entries)
    tables: list[Table] = []
    for way in sorted({entry.way or 0 for entry in entries}):
        of_way = [entry for entry in entries if (entry.way or 0) == way]
        shots = sorted({entry.shot or 0 for entry in of_way})
        per_table = SHOTS_PER_TABLE if layout == "fss" else 1
        for start in range(0, len(shots), per_table):
            chosen = shots[start : start + per_table]
            shown = [entry for entry in of_way if (entry.shot or 0) in chosen]
            table = _fss(shown, way, chosen, style) if layout == "fss" else _fscs(shown, way, chosen[0], style)
            tables.append(table)
    return tables


def _shot_title(shot: int) -> str:
    return f"{shot}-shot" if shot else "shot not printed"


def _folds(entries: list[Entry]) -> range:
    """Return the folds that have a column: none if there is only one fold, as its number is the mean."""
    count = max(entry.fold_count or fold_count_of(entry.dataset) for entry in entries)
    return range(count if count > 1 else 0)


def _fss(entries: list[Entry], way: int, shots: Sequence[int], style: Style) -> Table:
    folds = _folds(entries)
    mean = Column("mean", "mean") if folds else Column("mIoU", "mIoU")
    pairs = [*((Column(f"fold-{fold}", f"f{fold}"), f"fold{fold}") for fold in folds), (mean, "mean")]
    if any("fb_iou" in entry.numbers for entry in entries):
        pairs.append((Column("FB-IoU", "FB"), "fb_iou"))
    columns, numbers = tuple(column for column, _ in pairs), tuple(number for _, number in pairs)
    blocks = [_Columns(_shot_title(shot), columns, numbers, shot) for shot in shots]
    title = f"{entries[0].data_title}, {way}-way"
    legend = "mIoU in percent on each fold and their mean" if folds else "mIoU in percent"
    if "fb_iou" in style.chosen(numbers):
        legend += "; FB-IoU is the mean of foreground and background IoU"
    return _table(entries, blocks, title, legend, style)


def _fscs(entries: list[Entry], way: int, shot: int, style: Style) -> Table:
    folds = _folds(entries)
    heads = (*(Column(f"fold-{fold}", f"f{fold}") for fold in folds), Column("mean", "mean"))
    blocks = [
        _Columns("exact ratio", heads, (*(f"er_fold{fold}" for fold in folds), "er_mean")),
        _Columns("mIoU", heads, (*(f"fold{fold}" for fold in folds), "mean")),
    ]
    title = f"{entries[0].data_title}, classification and segmentation, {way}-way {_shot_title(shot)}"
    return _table(entries, blocks, title, "percent on each fold and their mean", style)


def _table(entries: list[Entry], blocks: list[_Columns], title: str, legend: str, style: Style) -> Table:
    if any("learnable_params" in entry.numbers for entry in entries):
        blocks = [*blocks, _Columns("", (Column("params (M)", "par (M)"),), ("learnable_params",))]
    blocks = [block for block in (block.chosen(style) for block in blocks) if block.columns]
    if not blocks:
        raise UsageError(
            f"the table of {title} has none of the columns {', '.join(style.columns)}", "--columns folds,mean"
        )
    if any("learnable_params" in block.numbers for block in blocks):
        legend += "; learnable parameters in millions (M)"
    notes = Footnotes(entries, style)
    by_group: dict[str, dict[tuple[str, ...], list[Entry]]] = {}
    for entry in entries:
        line = (entry.method, entry.label, entry.line, entry.origin)
        by_group.setdefault(_group(entry), {}).setdefault(line, []).append(entry)
    groups = []
    numbers = [number for block in blocks for number in block.numbers]
    for group in sorted(by_group, key=_group_order):
        lines = sorted(by_group[group].values(), key=lambda line: _line_order(line, style))
        rows = [_row(line, blocks, notes, style) for line in lines]
        sources = [[block.source(line, number) for block in blocks for number in block.numbers] for line in lines]
        groups.append(Group(_group_title(group), emphasised(rows, numbers, sources)))
    return Table(
        title=title,
        legend=legend,
        blocks=tuple(Block(block.title, block.columns) for block in blocks),
        groups=tuple(groups),
        footnotes=notes.listed(),
        venue=style.venue and any(entry.venue for entry in entries),
        caption=style.caption,
        key=style.key,
        span=style.span,
        chosen=style.chosen(numbers) if style.columns else (),
    )


def _row(line: list[Entry], blocks: list[_Columns], notes: Footnotes, style: Style) -> Row:
    marks = notes.marks(line)
    cells = [_cell(block.source(line, number), number, notes, style) for block in blocks for number in block.numbers]
    first = line[0]
    return Row(
        first.label,
        marks,
        first.venue if style.venue else "",
        tuple(cells),
        tuple(line),
        _under(line, blocks, style),
        first.cite if style.cite else "",
    )


def _cell(entry: Entry | None, number: str, notes: Footnotes, style: Style) -> Cell:
    if entry is None:
        return Cell(MISSING)
    spread = entry.deviation.get(number, "") if style.deviation else ""
    return Cell(
        shown_number(entry, number, style.decimals),
        mark=notes.mark_of_mean(entry) if number in MEANS else "",
        spread=f"±{rounded(spread, style.decimals)}" if spread else "",
        href=entry.url,
    )


def _reaches(entry: Entry, digits: int) -> dict[str, str]:
    """Return the half widths of the intervals of a result by column, and a dash where none can be given."""
    found = {column: f"±{rounded(text, digits)}" for column, text in entry.half_width.items()}
    return found | dict.fromkeys(entry.no_interval, MISSING)


def _under(line: list[Entry], blocks: list[_Columns], style: Style) -> tuple[Row, ...]:
    """Return the lines below a measured row: intervals, and differences to the printed numbers."""
    digits = style.decimals
    lines: tuple[tuple[str, Callable[[Entry], Mapping[str, str]]], ...] = (
        ("95 % interval", lambda entry: _reaches(entry, digits)),
        ("minus printed", lambda entry: differences(entry, digits)),
    )
    under = []
    for label, texts_of in lines if style.intervals else lines[1:]:
        texts = []
        for block in blocks:
            shown: dict[str, str] = {}
            for entry in line:
                shown |= texts_of(entry) if block.includes(entry) else {}
            texts += [shown.get(number, "") for number in block.numbers]
        if any(texts):
            under.append(Row(label, (), "", tuple(map(Cell, texts)), ()))
    return tuple(under)


_GROUPS = [NO_BACKBONE, "", "small", "vgg16", "resnet50", "resnet101"]
"""The backbones whose groups come first, in order."""


def _group(entry: Entry) -> str:
    """Return the group of a row: its backbone, or the name that its user gives it, which may be that of a backbone."""
    if not entry.group:
        return entry.backbone

    def flat(name: str) -> str:
        return re.sub(r"[-_\s]", "", name).casefold()

    known = {flat(_group_title(group)): group for group in (*BACKBONES, *_GROUPS)}
    return known.get(flat(entry.group), entry.group)


def _group_title(group: str) -> str:
    return "no backbone" if group == NO_BACKBONE else BACKBONES.get(group, group)


def _group_order(group: str) -> tuple[int, str]:
    return (_GROUPS.index(group) if group in _GROUPS else len(_GROUPS), group)


def _line_order(line: list[Entry], style: Style) -> tuple[object, ...]:
    """Sort as the style says; by default by the year of the venue, with own methods last.

    Measured rows follow the printed rows of the method.
    """
    first = line[0]
    if style.order == "given":
        return (first.position,)
    if style.order == "name":
        return (first.label.casefold(), first.origin == "measured")
    if style.order == "mean":
        means = [float(entry.numbers["mean"]) for entry in line if "mean" in entry.numbers]
        return (means[0] if means else 0.0, first.label.casefold())
    year = re.search(r"\d{4}", first.venue)
    own = (first.own, first.position if first.own else 0)
    return (*own, int(year.group()) if year else 0, first.method, first.label, first.origin == "measured")
