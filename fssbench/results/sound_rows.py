"""What a damaged file of rows still holds: one bad line does not cost the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fssbench.errors import BrokenFileError
from fssbench.results.rows import BadLine, Row, lines_of, second_row


def read_sound_rows(path: Path) -> tuple[list[Row], list[BadLine]]:
    """Read the rows of a file, in the file's order, and which of its lines are none.

    Where two rows of an episode count other pixels, neither is to be trusted, and both lines are bad.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it has lines and none of them is a row, or a row of a later version.
    """
    rows: dict[tuple[int, int], tuple[int, Row]] = {}
    doubtful: set[tuple[int, int]] = set()
    bad: list[BadLine] = []
    for number, line in lines_of(path):
        if isinstance(line, BadLine):
            if line.foreign:
                raise BrokenFileError(f"{path}, {line}", "use the version of fssbench that wrote it")
            bad.append(line)
            continue
        first, row = rows.setdefault((line.fold, line.episode), (number, line))
        if first == number:
            continue
        bad.append(second_row(number, line, first))
        if replace(row, seconds=line.seconds, photos=line.photos) != line:
            doubtful.add((line.fold, line.episode))
    bad += [
        BadLine(rows[key][0], f": fold {key[0]}, episode {key[1]} has other counts further down") for key in doubtful
    ]
    sound = [row for key, (_, row) in rows.items() if key not in doubtful]
    if bad and not sound:
        raise BrokenFileError(f"{path} holds no row: {bad[0]}", "start the run again with --overwrite")
    return sound, sorted(bad, key=lambda line: line.number)


def words_of_damage(path: Path, kept: int, bad: Sequence[BadLine]) -> str:
    """Return what is to be said of a damaged file: where, and what becomes of it."""
    more = f", nor are {len(bad) - 1} other lines" if len(bad) > 1 else ""
    return f"{path} is damaged: {bad[0]}{more}. The other {kept} rows are kept; what is missing is evaluated anew"
