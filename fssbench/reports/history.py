"""The course of a training, from the table of its steps (log.csv)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.errors import BrokenFileError, MissingError
from fssbench.figures import lines
from fssbench.figures.style import COLUMN
from fssbench.files import file_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BYTES = 1 << 28
_SMOOTHED = 200
"""Points of a line at most: each is the mean of so many steps."""


def logs_in(folder: Path) -> dict[str, Path]:
    """Return the tables of the steps of a training by stage; a training of one stage has the stage "".

    Raises:
        MissingError: If there is none.
    """
    found = {path.stem.partition("-")[2]: path for path in sorted(folder.glob("log*.csv"))}
    if not found:
        raise MissingError(f"there is no training in {folder}: it has no log.csv", "fssbench train --out DIR")
    return found


def read_log(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the points (step, value) of each column of a table of steps.

    Raises:
        BrokenFileError: If it is not such a table.
    """
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a table of steps")
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if "step" not in (reader.fieldnames or ()):
                raise BrokenFileError(f"{path} is no table of steps: it has no column step")
            found: dict[str, list[tuple[float, float]]] = {}
            for row in reader:
                for name, value in row.items():
                    if name and name != "step" and value:
                        found.setdefault(name, []).append((float(row["step"]), float(value)))
    except (OSError, UnicodeError, ValueError, TypeError, csv.Error) as error:
        raise BrokenFileError(f"{path} is no table of steps: {error}") from error
    return found


def history(folders: Sequence[Path], column: str = "loss", width: float = COLUMN) -> Figure:
    """Return a column of trainings over their steps.

    Args:
        folders: The folders of the trainings.
        column: "loss", "validation", "learning_rate", or another column of their tables.
        width: Inches.

    Raises:
        MissingError: If there is no training, or it has no such column.
        BrokenFileError: If a table can't be read.
    """
    series: dict[str, tuple[list[float], list[float]]] = {}
    for folder in folders:
        for stage, path in logs_in(folder).items():
            points = read_log(path).get(column)
            if points is None:
                continue
            parts = np.array_split(np.array(points), max(1, -(-len(points) // max(1, len(points) // _SMOOTHED))))
            name = ", ".join(part for part in (folder.name if len(folders) > 1 else "", stage or column) if part)
            means = [part.mean(axis=0).tolist() for part in parts if len(part)]
            series[name] = ([step for step, _ in means], [value for _, value in means])
    if not series:
        known = sorted({name for folder in folders for path in logs_in(folder).values() for name in read_log(path)})
        raise MissingError(f"the trainings have no {column}; they have {', '.join(known)}", f"--column {known[0]}")
    return lines(series, x="step", y=column.replace("_", " "), width=width)
