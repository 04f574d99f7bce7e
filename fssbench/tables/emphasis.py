"""Which numbers of a column are the best and the second: among those only that may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from fssbench.publications.rows import ER_FOLDS, FOLDS
from fssbench.tables.entry import MEANS, Entry
from fssbench.tables.table import MISSING, Emphasis, Row


def emphasised(
    rows: Sequence[Row], numbers: Sequence[str], sources: Sequence[Sequence[Entry | None]]
) -> tuple[Row, ...]:
    """Return the rows of a group with the best and second best of each column marked.

    Printed and measured numbers are ranked apart; measured ones only among those of the same data, protocol and
    episodes, and means only among those over the same folds.

    Args:
        rows: The rows.
        numbers: The name of the number in each column.
        sources: For each row the result that each cell shows; None for an empty cell.
    """
    cells = [list(row.cells) for row in rows]
    for place, number in enumerate(numbers):
        if number == "learnable_params":
            continue
        column = [row[place].text for row in cells]
        entries = [of_row[place] for of_row in sources]
        for origin in ("published", "measured"):
            competes = [entry is not None and entry.origin == origin and _competes(entry, number) for entry in entries]
            if number in MEANS:
                competes = over_the_same_folds(entries, competes)
            for row_number, emphasis in enumerate(emphasise(column, competes)):
                if emphasis:
                    cells[row_number][place] = replace(cells[row_number][place], emphasis=emphasis)
    return tuple(replace(row, cells=tuple(own)) for row, own in zip(rows, cells, strict=True))


def _competes(entry: Entry, number: str) -> bool:
    return entry.competes and entry.comparable and not (entry.other_folds and number in (*FOLDS, *ER_FOLDS))


def over_the_same_folds(entries: Sequence[Entry | None], competes: Sequence[bool]) -> list[bool]:
    """Return which means compete: those over all folds; if there are none, all of them if their folds are the same.

    Args:
        entries: The result of each cell of a column; None for an empty cell.
        competes: Whether each would compete if all were over the same folds.
    """
    folds = {entry.mean_over for entry, competing in zip(entries, competes, strict=True) if entry and competing}
    ranked = () if () in folds else next(iter(folds)) if len(folds) == 1 else None
    return [
        competing and entry is not None and entry.mean_over == ranked
        for entry, competing in zip(entries, competes, strict=True)
    ]


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
