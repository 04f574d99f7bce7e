"""Reading the valid rows of a damaged file: one bad line does not make the others unusable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fssbench.errors import BrokenFileError
from fssbench.results.rows import BadLine, Row, lines_of, second_row


def read_sound_rows(path: Path) -> tuple[list[Row], list[BadLine]]:
    """Return the rows of a file, in the order of the file, and its damaged lines.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If no line is a row, a line is a row of a later version, or an episode has two rows. Two rows
            can't come from a crash, so another program has changed the file, and it is not known which row is right.
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
        raise BrokenFileError(f"{path} has no valid row: {bad[0]}", "start the run again with --overwrite")
    return [row for _, row in rows.values()], bad


def describe_damage(path: Path, kept: int, bad: Sequence[BadLine]) -> str:
    """Return the warning about a damaged file of rows."""
    more = f", nor are {len(bad) - 1} other lines" if len(bad) > 1 else ""
    return f"{path} is damaged: {bad[0]}{more}. The other {kept} rows are kept; the missing ones are evaluated again"
