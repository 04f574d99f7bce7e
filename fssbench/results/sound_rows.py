"""What a damaged file of rows still holds: one bad line does not cost the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fssbench.errors import BrokenFileError
from fssbench.results.rows import BadLine, Row, lines_of, second_row


def read_sound_rows(path: Path) -> tuple[list[Row], list[BadLine]]:
    """Read the rows of a file, in the file's order, and which of its lines are none.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it has lines and none of them is a row, or a row of a later version; or if an episode has
            two rows: no crash does that, so something else has written there, and which is right is not known.
    """
    rows: dict[tuple[int, int], tuple[int, Row]] = {}
    bad: list[BadLine] = []
    for number, line in lines_of(path):
        if isinstance(line, BadLine):
            if line.foreign:
                raise BrokenFileError(f"{path}, {line}", "use the version of fssbench that wrote it")
            bad.append(line)
            continue
        first, _ = rows.setdefault((line.fold, line.episode), (number, line))
        if first != number:
            raise second_row(path, number, line, first)
    if bad and not rows:
        raise BrokenFileError(f"{path} holds no row: {bad[0]}", "start the run again with --overwrite")
    return [row for _, row in rows.values()], bad


def describe_damage(path: Path, kept: int, bad: Sequence[BadLine]) -> str:
    """Return what is to be said of a damaged file: where, and what becomes of it."""
    more = f", nor are {len(bad) - 1} other lines" if len(bad) > 1 else ""
    return f"{path} is damaged: {bad[0]}{more}. The other {kept} rows are kept; what is missing is evaluated anew"
