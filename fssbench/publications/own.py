"""Printed numbers that the user adds: a file of their own, checked cell by cell, shown in tables and marked there.

They are shown next to those of fssbench and never in their place: nothing is held against them, and a row of fssbench
with the same result is the one that a table shows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fssbench.config import config_folder, reachable
from fssbench.errors import BrokenFileError, UsageError
from fssbench.files import locked, write_text
from fssbench.publications.load import publications
from fssbench.publications.own_rows import MAX_ROWS, Fault, OwnRow, checked
from fssbench.publications.reading import row_of_cells
from fssbench.publications.rows import (
    CSV_COLUMNS,
    Paper,
    PrintedRow,
    Publications,
    Source,
)

_KEY = "own-"


def own_file() -> Path:
    """Return the file of the user's printed numbers, which need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return config_folder() / "published.csv"


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
