"""Printed numbers that the user adds: a file of their own, checked cell by cell, shown in tables and marked there.

They are shown next to those of fssbench and never in their place: nothing is held against them, and a row of fssbench
with the same result is the one that a table shows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fssbench.config import config_folder, reachable
from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import BrokenFileError, MissingError, UsageError, did_you_mean
from fssbench.files import file_size, locked, write_text
from fssbench.names import known_name
from fssbench.publications.load import publications
from fssbench.publications.reading import row_of_cells, wrong_cell
from fssbench.publications.rows import (
    CONFIDENCES,
    CSV_COLUMNS,
    NUMBERS,
    ROLES,
    TASKS,
    Paper,
    PrintedRow,
    Publications,
    Source,
)

MAX_BYTES, MAX_ROWS, MAX_TEXT = 1 << 20, 5000, 500
REQUIRED = ("method", "source", "location", "dataset")
"""The columns that a file must have; one that is missing otherwise is empty, or has its usual value."""

_USUAL = {"role": "result", "task": "fss", "confidence": "printed"}
_KEY = "own-"
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


def own_file() -> Path:
    """Return the file of the user's printed numbers, which need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return config_folder() / "published.csv"


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


def add(path: Path) -> tuple[Path, int, int]:
    """Add the rows of a CSV file to the user's file; return that file, how many were added, and how many it has.

    Raises:
        MissingError, BrokenFileError: If the file can't be read.
        UsageError: If it has a fault, or a row that is there already; all faults are named, and nothing is written.
        BrokenFileError: If the user's own file is damaged.
    """
    rows, faults = checked(path)
    target = own_file()
    with locked(target):
        there = _own_rows(target)
        lines = {row.setting: row.line for row in there}
        faults += [
            Fault(row.line, "", f"the same result is in {target}, line {lines[row.setting]}")
            for row in rows
            if row.setting in lines
        ]
        if faults:
            faults.sort(key=lambda fault: fault.line)
            shown = "".join(f"\n  {fault}" for fault in faults[:100])
            more = f"\n  and {len(faults) - 100} more" if len(faults) > 100 else ""
            count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
            message = f"{path} has {count}, so nothing was added:{shown}{more}"
            raise UsageError(message, "docs/printed.md says what each column holds")
        if len(there) + len(rows) > MAX_ROWS:
            raise UsageError(f"with these rows {target} would have more than {MAX_ROWS}")
        _write(target, [*there, *rows])
    return target, len(rows), len(there) + len(rows)


def remove(identifiers: Sequence[str]) -> tuple[Path, int]:
    """Remove rows from the user's file by their ids; return that file, and how many rows are left.

    Raises:
        UsageError: If an id is none of the user's rows.
        BrokenFileError: If the user's own file is damaged.
    """
    target = own_file()
    with locked(target):
        there = _own_rows(target)
        ids = _ids(there)
        unknown = [name for name in identifiers if name.lower() not in ids]
        if unknown:
            known = ", ".join(list(ids)[:5]) or "none"
            raise UsageError(
                f"{unknown[0]} is no row that you added; there are {known}{', ...' if len(ids) > 5 else ''}",
                "fssbench published list --source 'own-*'",
            )
        gone = {ids[name.lower()] for name in identifiers}
        kept = [row for row in there if row.line not in gone]
        if kept:
            _write(target, kept)
        else:
            target.unlink(missing_ok=True)
    return target, len(kept)


def _ids(rows: Sequence[OwnRow]) -> dict[str, int]:
    """Return the line of each row by its id, as `fssbench.publications.search.all_rows` numbers them."""
    keys = _source_keys(rows)
    counts: dict[str, int] = {}
    found = {}
    for row in rows:
        key = keys[row.cells["source"]]
        counts[key] = counts.get(key, 0) + 1
        found[f"{key}:{counts[key]}"] = row.line
    return found


def _source_keys(rows: Iterable[OwnRow]) -> dict[str, str]:
    """Return a key for each source of the user, made of its words."""
    keys: dict[str, str] = {}
    for source in dict.fromkeys(row.cells["source"] for row in rows):
        slug = _KEY + (re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:40].strip("-") or "source")
        taken = set(keys.values())
        keys[source] = next(
            name for name in (slug, *(f"{slug}-{number}" for number in range(2, len(taken) + 3))) if name not in taken
        )
    return keys


def _write(target: Path, rows: Iterable[OwnRow]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.cells for row in rows)
    write_text(target, out.getvalue())


def _own_rows(target: Path) -> list[OwnRow]:
    """Return the rows of the user's file; none if there is no file.

    Raises:
        BrokenFileError: If it has a fault.
    """
    if not target.is_file():
        return []
    rows, faults = checked(target)
    if faults:
        raise BrokenFileError(f"{target}, {faults[0]}", f"mend it, or remove {target}")
    return rows


def with_own(known: Publications | None = None) -> Publications:
    """Return the printed numbers of fssbench with those that the user has added, which come last.

    Raises:
        BrokenFileError: If the user's file is damaged.
    """
    known = known or publications()
    place = reachable(own_file)
    rows = _own_rows(place) if place else []
    if not rows:
        return known
    keys = _source_keys(rows)
    sources = {
        key: Source(title=name, venue="", kind="own", place=f"added to {place}", cite=f"{name}, added by you", own=())
        for name, key in keys.items()
    }
    methods: dict[str, Paper] = {}
    found: list[PrintedRow] = []
    for row in rows:
        name = row.cells["method"]
        method = name if name in known.methods else name.lower()
        if method not in known.methods:
            methods.setdefault(method, Paper(name=name, title=name, venue=""))
        found.append(replace(row_of_cells(row.cells), method=method, source=keys[row.cells["source"]]))
    # The rows of a source stand together, as those of fssbench do.
    order = list(keys.values())
    found.sort(key=lambda row: order.index(row.source))
    return Publications(
        (*known.rows, *found), {**known.methods, **methods}, {**known.sources, **sources}, known.protocols
    )


def is_own(known: Publications, row: PrintedRow) -> bool:
    """Return whether a printed row was added by the user."""
    return known.sources[row.source].kind == "own"
