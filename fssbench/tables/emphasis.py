"""Best in bold, second best underlined, within a group of rows that may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fssbench.tables.table import MISSING, Emphasis


def emphasise(column: Sequence[str], competes: Sequence[bool]) -> list[Emphasis]:
    """Return the emphasis of each cell of a column, higher numbers being better.

    What looks equal is equal: the numbers are compared as they are shown. All that share the highest number are best,
    all that share the next lower one are second. A number that stands alone is neither.

    Args:
        column: The cells' texts, "-" for a missing one.
        competes: For each cell whether it takes part.
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
