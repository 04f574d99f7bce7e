"""The check of printed numbers that the user adds: a CSV file, cell by cell."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import BrokenFileError, MissingError, did_you_mean
from fssbench.files import file_size
from fssbench.names import known_name
from fssbench.publications.load import publications
from fssbench.publications.reading import wrong_cell
from fssbench.publications.rows import CONFIDENCES, CSV_COLUMNS, NUMBERS, ROLES, TASKS

MAX_BYTES, MAX_ROWS, MAX_TEXT = 1 << 20, 5000, 500
REQUIRED = ("method", "source", "location", "dataset")
"""The columns that a file must have; one that is missing otherwise is empty, or has its usual value."""

_USUAL = {"role": "result", "task": "fss", "confidence": "printed"}
_TEXTS = ("method", "variant", "source", "location", "dataset", "backbone", "note")
_SYNTAX = set(",:*?[]")
"""Characters that mean something where methods are named."""


@dataclass(frozen=True)
class Fault:
    """A fault in a file: its line, its column (empty for the whole line), and what is wrong."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, {f'column {self.column}: ' if self.column else ''}{self.text}"


@dataclass(frozen=True)
class OwnRow:
    """A row of the user: its cells by column, and the line of the file that it is in."""

    line: int
    cells: Mapping[str, str]

    @property
    def setting(self) -> tuple[str, ...]:
        """What two rows may not have in common."""
        same = ("method", "variant", "role", "source", "location", "dataset", "task", "way", "shot", "backbone")
        return tuple(self.cells[column] for column in same)


def checked(path: Path) -> tuple[list[OwnRow], list[Fault]]:
    """Return the rows of a CSV file and all its faults.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be read as text, or is too large.
    """
    text = _text(path)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        head = [cell.strip() for cell in next(reader, [])]
        faults = _faults_of_head(head)
        if faults:
            return [], faults
        rows: list[OwnRow] = []
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                faults.append(Fault(line, "", f"{len(cells)} cells, not {len(head)}"))
                continue
            if len(rows) == MAX_ROWS:
                faults.append(Fault(line, "", f"more than {MAX_ROWS} rows"))
                break
            filled = {**dict.fromkeys(CSV_COLUMNS, ""), **_USUAL}
            filled |= {name: cell.strip() for name, cell in zip(head, cells, strict=True) if cell.strip()}
            row = OwnRow(line, _in_known_spelling(filled))
            faults += _faults_of(row)
            rows.append(row)
    except csv.Error as error:
        return [], [Fault(1, "", f"this is no CSV file: {error}")]
    faults += _twice(rows)
    if not rows and not faults:
        faults.append(Fault(1, "", "there is no row below the columns"))
    return rows, faults


def _text(path: Path) -> str:
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is larger than {MAX_BYTES >> 20} MiB", "a file with the rows alone")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError as error:
        raise MissingError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"can't read {path}: {error}", "save it as CSV in UTF-8") from error


def _faults_of_head(head: Sequence[str]) -> list[Fault]:
    faults = [
        Fault(1, "", f"unknown column {ascii(name)[:60]}{did_you_mean(name, CSV_COLUMNS)}")
        for name in head
        if name not in CSV_COLUMNS
    ]
    faults += [Fault(1, name, "twice") for name in dict.fromkeys(head) if name in CSV_COLUMNS and head.count(name) > 1]
    faults += [Fault(1, name, "missing") for name in REQUIRED if name not in head]
    if not faults and not set(head) & set(NUMBERS):
        faults.append(Fault(1, "", f"no column of numbers: {', '.join(NUMBERS)}"))
    return faults


def _in_known_spelling(cells: dict[str, str]) -> dict[str, str]:
    """Return the cells with methods and data sets as they are known here: "HSNet" is hsnet, "PASCAL-5i" pascal5i."""
    printed = {key: paper.name for key, paper in publications().methods.items()}
    method = known_name("method", cells["method"], printed, printed) if cells["method"].isprintable() else None
    dataset = known_name("data set", cells["dataset"], _datasets()) if cells["dataset"].isprintable() else None
    return {**cells, "method": method or cells["method"], "dataset": dataset or cells["dataset"]}


def _datasets() -> set[str]:
    return {*list_datasets(), *(row.dataset for row in publications().rows)}


def _faults_of(row: OwnRow) -> list[Fault]:
    known = publications()
    allowed = {
        "role": tuple(role for role in ROLES if role != "unresolved"),
        "task": TASKS,
        "protocol": (*known.protocols, ""),
        "confidence": tuple(one for one in CONFIDENCES if one != "recovered"),
    }
    faults = []
    for column, value in row.cells.items():
        wrong = wrong_cell(column, value, allowed) or _wrong_text(column, value)
        if wrong:
            faults.append(Fault(row.line, column, wrong))
    if not any(row.cells[column] for column in NUMBERS):
        faults.append(Fault(row.line, "", "no number"))
    if row.cells["dataset"].isprintable() and row.cells["dataset"] not in _datasets() and row.cells["dataset"]:
        pair = row.cells["dataset"].split("_to_")
        if len(pair) != 2 or not set(pair) <= set(list_datasets()):
            near = did_you_mean(row.cells["dataset"], _datasets())
            faults.append(Fault(row.line, "dataset", f"{_quoted(row.cells['dataset'])} is no data set here{near}"))
    return faults


def _wrong_text(column: str, value: str) -> str | None:
    """Return what is wrong with a cell of text; None if nothing is."""
    if column not in _TEXTS:
        return None
    if not value:
        return "empty" if column in REQUIRED else None
    if not value.isprintable():
        return f"{_quoted(value)} has characters that can't be printed"
    if value.startswith(("=", "@")):
        return f"{_quoted(value)} begins as a formula does"
    if len(value) > MAX_TEXT:
        return f"{len(value)} characters, more than {MAX_TEXT}"
    if column == "method" and (set(value) & _SYNTAX or not re.search(r"[^\W_]", value) or len(value) > 60):
        return f"{_quoted(value)} is no name of a method: up to 60 characters, none of {' '.join(sorted(_SYNTAX))}"
    if column == "backbone" and not re.fullmatch(r"[\w.+/@#:-]{1,80}", value):
        return f"{_quoted(value)} is no backbone, such as resnet50"
    if column == "source" and value.lower() in (*publications().sources, *_cites()):
        return f"{_quoted(value)} is a source of fssbench; name where you read the number"
    return None


def _cites() -> Iterable[str]:
    return (source.cite.lower() for source in publications().sources.values())


def _quoted(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _twice(rows: Iterable[OwnRow]) -> list[Fault]:
    first: dict[tuple[str, ...], int] = {}
    faults = []
    for row in rows:
        if row.setting in first:
            faults.append(Fault(row.line, "", f"the same result as line {first[row.setting]}"))
        first.setdefault(row.setting, row.line)
    return faults
