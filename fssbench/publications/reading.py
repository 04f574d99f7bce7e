"""Reading benchmarks/published; every cell is checked. It needs only the standard library."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from fssbench.errors import BrokenFileError, MissingError
from fssbench.publications.rows import (
    CONFIDENCES,
    CSV_COLUMNS,
    KINDS,
    NUMBERS,
    PERCENT,
    ROLES,
    TASKS,
    Paper,
    PrintedRow,
    ProtocolNote,
    Publications,
    Source,
)

T = TypeVar("T", Paper, Source, ProtocolNote)

_MEND = "reinstall fssbench, or mend the file"
_TYPES: dict[object, type] = {"str": str, "bool": bool, "tuple[str, ...]": list}


def _toml(path: Path, cls: type[T]) -> dict[str, T]:
    make: Callable[..., T] = cls
    types = {field.name: _TYPES[field.type] for field in fields(cls)}
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except FileNotFoundError as error:
        raise _gone(path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"{path.name} is not TOML: {error}", _MEND) from error
    entries: dict[str, T] = {}
    for key, entry in raw.items():
        where = f"{path.name}, [{key}]"
        if not isinstance(entry, dict):
            raise BrokenFileError(f"{where} is not a table", _MEND)
        for name, value in entry.items():
            if name not in types:
                raise BrokenFileError(f"{where}: unexpected {name}", _MEND)
            of_its_type = isinstance(value, types[name])
            if not of_its_type or (isinstance(value, list) and not all(isinstance(word, str) for word in value)):
                raise BrokenFileError(f"{where}: {name} is not what it should be", _MEND)
        try:
            entries[key] = make(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
        except TypeError as error:
            # The only remaining fault is a missing field.
            raise BrokenFileError(f"{where}:{str(error).partition(')')[2]}", _MEND) from error
    return entries


def _gone(path: Path) -> MissingError:
    return MissingError(f"the printed numbers are incomplete: there is no {path}", _MEND)


def wrong_cell(column: str, value: str, allowed: dict[str, tuple[str, ...]]) -> str | None:
    """Return what is wrong with a cell; None if it is valid."""
    if column in allowed:
        return None if value in allowed[column] else f"'{value}' is none of {', '.join(filter(None, allowed[column]))}"
    if column in NUMBERS and value:
        if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?", value):
            return f"'{value}' is not a number as tables print it"
        return "percent above 100" if column in PERCENT and float(value) > 100 else None
    if column in ("way", "shot"):
        return None if re.fullmatch(r"[1-9]\d?|", value) else f"'{value}' is not a count"
    if column in ("dataset", "location"):
        return None if value else "empty"
    return None


def _read_rows(path: Path, allowed: dict[str, tuple[str, ...]]) -> list[PrintedRow]:
    rows = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != CSV_COLUMNS:
                raise BrokenFileError(f"{path.name}, line 1: the columns are not {','.join(CSV_COLUMNS)}", _MEND)
            for cells in reader:
                where = f"{path.name}, line {reader.line_num}"
                if None in cells or None in cells.values():
                    raise BrokenFileError(f"{where}: not {len(CSV_COLUMNS)} cells", _MEND)
                for column, value in cells.items():
                    wrong = wrong_cell(column, value, allowed)
                    if wrong:
                        raise BrokenFileError(f"{where}, column {column}: {wrong}", _MEND)
                rows.append(row_of_cells(cells))
    except FileNotFoundError as error:
        raise _gone(path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise BrokenFileError(f"{path.name} is not a CSV file: {error}", _MEND) from error
    return rows


def row_of_cells(cells: Mapping[str, str]) -> PrintedRow:
    """Return the row of cells that are valid."""
    text = {column: value for column, value in cells.items() if column not in (*NUMBERS, "way", "shot")}
    return PrintedRow(
        **text,
        way=int(cells["way"]) if cells["way"] else None,
        shot=int(cells["shot"]) if cells["shot"] else None,
        numbers={column: cells[column] for column in NUMBERS if cells[column]},
    )


def read_publications(folder: Path) -> Publications:
    """Read a folder with the layout of benchmarks/published and check every cell.

    Raises:
        MissingError: If a file is missing.
        BrokenFileError: If a file is invalid, with file, line and column.
    """
    methods = _toml(folder / "methods.toml", Paper)
    sources = _toml(folder / "sources.toml", Source)
    protocols = _toml(folder / "protocols.toml", ProtocolNote)
    for key, source in sources.items():
        if source.kind not in KINDS:
            raise BrokenFileError(f"sources.toml, [{key}]: kind '{source.kind}' is none of {', '.join(KINDS)}", _MEND)
        if unknown := set(source.own) - set(methods):
            raise BrokenFileError(f"sources.toml, [{key}]: own names {', '.join(unknown)}, not in methods.toml", _MEND)
    allowed = {
        "method": tuple(methods),
        "role": ROLES,
        "task": TASKS,
        "protocol": (*protocols, ""),
        "confidence": CONFIDENCES,
    }
    rows: list[PrintedRow] = []
    for key in sources:
        # A file is named after the source of its rows.
        rows += _read_rows(folder / f"{key}.csv", {**allowed, "source": (key,)})
    return Publications(tuple(rows), methods, sources, protocols)
