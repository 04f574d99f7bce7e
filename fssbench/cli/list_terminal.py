"""The lists as a terminal has room for them: a line or two for each name. Other programs get every column."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence

from fssbench.cli.method_status import MethodStatus, k_shot_text, millions

_GAP = 2
_NARROW = 80


def terminal_width() -> int:
    """Return the columns of the terminal."""
    return shutil.get_terminal_size((_NARROW, 24)).columns


def fitted(names: Sequence[str], width: int) -> str:
    """Return the first names that fit into a width, at least one, and how many there are besides: "hsnet, asnet, +3".

    Examples:
        >>> fitted(["hsnet", "asnet", "bam"], 16), fitted(["hsnet", "asnet", "bam"], 17)
        ('hsnet, asnet, +1', 'hsnet, asnet, bam')
    """
    whole = ", ".join(names)
    if len(whole) <= width or len(names) < 2:
        return whole or "-"
    for count in range(len(names) - 1, 1, -1):
        text = f"{', '.join(names[:count])}, +{len(names) - count}"
        if len(text) <= width:
            return text
    return f"{names[0]}, +{len(names) - 1}"


def method_lines(statuses: Iterable[MethodStatus], width: int) -> list[str]:
    """Return a line for each method, with the heads above; K shots where there is room for them."""
    shown = list(statuses)
    heads = ["method", "venue", "tasks", "weights", "#par"]
    rows = [[one.name, one.venue or "floor", ", ".join(one.tasks) or "-", one.weights, millions(one)] for one in shown]
    if width >= 120:
        heads.append("K shots")
        rows = [[*row, k_shot_text(one)] for row, one in zip(rows, shown, strict=True)]
    return _lines([*heads, "backbones"], rows, [one.backbones or (one.note,) for one in shown], width)


def dataset_lines(rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """Return a line for each data set: name, folds, folder, and as many of its protocols as fit."""
    fixed = [list(row) for row in rows]
    return _lines(
        ["data set", "folds", "folder", "protocols"],
        [row[:-1] for row in fixed],
        [row[-1].split(", ") for row in fixed],
        width,
    )


def backbone_lines(users: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """Return a line for each backbone, with as many of its methods as fit."""
    return _lines(["backbone", "methods"], [[name] for name in users], list(users.values()), width)


def protocol_lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return two lines for each protocol: its choices, and below them what it is."""
    shown = [place for place, head in enumerate(heads) if head not in ("255", "data sets", "what it is")]
    titles = heads.index("what it is")
    listed = list(rows)
    table = _columns([[heads[place] for place in shown], *([row[place] for place in shown] for row in listed)])
    return [
        table[0],
        *(line for text, row in zip(table[1:], listed, strict=True) for line in (text, f"  {row[titles]}")),
    ]


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return lines of columns, the last with as many names as fit."""
    left = _columns([heads[:-1], *rows], padded=True)
    room = width - len(left[0]) - _GAP
    lines = [f"{left[0]}{' ' * _GAP}{heads[-1]}"]
    for text, names in zip(left[1:], last, strict=True):
        cell = fitted(names, room)
        # A name that does not fit stands on a line of its own, whole.
        lines += [f"{text}{' ' * _GAP}{cell}"] if len(cell) <= room else [text.rstrip(), f"    {cell}"]
    return lines


def _columns(rows: Sequence[Sequence[str]], *, padded: bool = False) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [(" " * _GAP).join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)) for row in rows]
    return lines if padded else [line.rstrip() for line in lines]
