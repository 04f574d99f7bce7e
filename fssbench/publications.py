"""The numbers that papers and official repositories printed, from benchmarks/published (its README explains them).

`printed_rows()` needs the standard library only, so that tables answer at once; `published()` is the same as a frame.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fssbench.errors import BrokenFileError, MissingError
from fssbench.resources import shipped

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_MEND = "reinstall fssbench, or mend the file"

FOLDS = ("fold0", "fold1", "fold2", "fold3")
ER_FOLDS = ("er_fold0", "er_fold1", "er_fold2", "er_fold3")
PERCENT = (*FOLDS, "mean", "fb_iou", *ER_FOLDS, "er_mean", "precision")
NUMBERS = (*PERCENT, "learnable_params")

ROLES = ("result", "ablation", "rerun", "oracle", "unresolved")
TASKS = ("fss", "fscs", "cross-domain")
CONFIDENCES = ("printed", "recovered", "uncertain")
KINDS = ("paper", "readme", "page", "survey")

_COLUMNS = (
    *("method", "variant", "role", "source", "location", "dataset", "task", "protocol", "way", "shot", "backbone"),
    *(*NUMBERS, "confidence", "note"),
)

FRAME_COLUMNS = (
    *("method", "name", "variant", "role", "venue", "title"),
    *("source", "source_title", "source_venue", "source_kind", "source_place", "location"),
    *("dataset", "task", "protocol", "way", "shot", "backbone", *NUMBERS, "confidence", "note"),
)
"""The columns of `published()`."""


@dataclass(frozen=True)
class Paper:
    """A method of the printed tables.

    Attributes:
        name: As the tables print it, e.g. "HSNet".
        title: The paper's.
        venue: e.g. "ICCV 2021"; empty if unknown.
        code: The official repository, owner/name; empty if there is none.
        unread: True if title or venue were not read at a listed source.
    """

    name: str
    title: str
    venue: str
    code: str = ""
    unread: bool = False


@dataclass(frozen=True)
class Source:
    """Where numbers were read.

    Attributes:
        title: Of the paper.
        venue: Where it appeared.
        kind: One of `KINDS`.
        place: repository@commit, or in words.
        cite: The short form for footnotes.
        own: Methods whose authors are the source's.
        superseded: Whether the same authors replaced these numbers later.
    """

    title: str
    venue: str
    kind: str
    place: str
    cite: str
    own: tuple[str, ...]
    superseded: bool = False


@dataclass(frozen=True)
class ProtocolNote:
    """How a release evaluates, in words.

    Attributes:
        title: The rule.
        other_folds: The data sets on which its folds hold other classes than those of the other protocols.
    """

    title: str
    other_folds: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrintedRow:
    """One printed result.

    Attributes:
        numbers: The printed numbers by column (`NUMBERS`), exactly as printed; a column that was not printed is absent.
            Percent; `learnable_params` in millions.
        way: N, None where not printed.
        shot: K, None where not printed.

    The other attributes are the columns that benchmarks/published/README.md describes.
    """

    method: str
    variant: str
    role: str
    source: str
    location: str
    dataset: str
    task: str
    protocol: str
    way: int | None
    shot: int | None
    backbone: str
    numbers: dict[str, str]
    confidence: str
    note: str

    def mean_of_folds(self) -> float | None:
        """Return the mean of the four printed folds in percent, None unless all four are printed."""
        if any(fold not in self.numbers for fold in FOLDS):
            return None
        return sum(float(self.numbers[fold]) for fold in FOLDS) / len(FOLDS)

    def mean_disagrees(self) -> bool:
        """Return whether the printed mean is not the mean of the printed folds, beyond rounding."""
        mean = self.mean_of_folds()
        if mean is None or "mean" not in self.numbers:
            return False
        # A second decimal that is 0 in all of them is padding.
        decimals = [self.numbers[column].partition(".")[2].rstrip("0") for column in (*FOLDS, "mean")]
        digits = max(1, *map(len, decimals))
        # Each fold and the mean may be half a last digit off: together one last digit.
        return abs(mean - float(self.numbers["mean"])) > 10.0**-digits + 1e-9


@dataclass(frozen=True)
class Publications:
    """Everything in benchmarks/published.

    Attributes:
        rows: All printed results; by source in the order of sources.toml, within one as printed.
        methods: Papers by the key that rows use.
        sources: Sources by the key that rows use, the preferred first.
        protocols: Rules by the key that rows use.
    """

    rows: tuple[PrintedRow, ...]
    methods: dict[str, Paper]
    sources: dict[str, Source]
    protocols: dict[str, ProtocolNote]


def _toml(path: Path, cls: Callable[..., T], known: tuple[str, ...]) -> dict[str, T]:
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except FileNotFoundError as error:
        raise _gone(path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"{path.name} is not TOML: {error}", _MEND) from error
    entries: dict[str, T] = {}
    for key, entry in raw.items():
        unknown = sorted(set(entry) - set(known)) if isinstance(entry, dict) else [str(entry)]
        if unknown:
            raise BrokenFileError(f"{path.name}, [{key}]: unexpected {', '.join(unknown)}", _MEND)
        try:
            entries[key] = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
        except TypeError as error:
            raise BrokenFileError(f"{path.name}, [{key}]: {error}", _MEND) from error
    return entries


def _gone(path: Path) -> MissingError:
    return MissingError(f"the printed numbers are not all there: no {path}", _MEND)


def _columns_of(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def _check(column: str, value: str, allowed: dict[str, tuple[str, ...]]) -> str | None:
    """Return what is wrong with one cell, None if nothing is."""
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
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise BrokenFileError(f"{path.name}, line 1: the columns are not {','.join(_COLUMNS)}", _MEND)
            for cells in reader:
                where = f"{path.name}, line {reader.line_num}"
                if None in cells or None in cells.values():
                    raise BrokenFileError(f"{where}: not {len(_COLUMNS)} cells", _MEND)
                for column, value in cells.items():
                    wrong = _check(column, value, allowed)
                    if wrong:
                        raise BrokenFileError(f"{where}, column {column}: {wrong}", _MEND)
                rows.append(_row(cells))
    except FileNotFoundError as error:
        raise _gone(path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise BrokenFileError(f"{path.name} is not a CSV file: {error}", _MEND) from error
    return rows


def _row(cells: dict[str, str]) -> PrintedRow:
    text = {column: value for column, value in cells.items() if column not in (*NUMBERS, "way", "shot")}
    return PrintedRow(
        **text,
        way=int(cells["way"]) if cells["way"] else None,
        shot=int(cells["shot"]) if cells["shot"] else None,
        numbers={column: cells[column] for column in NUMBERS if cells[column]},
    )


def read_publications(folder: Path) -> Publications:
    """Read a folder laid out as benchmarks/published and check every cell.

    Raises:
        MissingError: If a file is not there.
        BrokenFileError: If a file is not as it should be; names file, line and column.
    """
    methods = _toml(folder / "methods.toml", Paper, _columns_of(Paper))
    sources = _toml(folder / "sources.toml", Source, _columns_of(Source))
    protocols = _toml(folder / "protocols.toml", ProtocolNote, _columns_of(ProtocolNote))
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
        # A file holds the rows of the source it is named after.
        rows += _read_rows(folder / f"{key}.csv", {**allowed, "source": (key,)})
    return Publications(tuple(rows), methods, sources, protocols)


@cache
def publications() -> Publications:
    """Return all printed numbers that travel with fssbench, read once, without pandas."""
    return read_publications(shipped("benchmarks/published"))


def published() -> pd.DataFrame:
    """Return every printed number known, a row per printed result.

    Columns are `FRAME_COLUMNS`; way and shot are Int64, percentages and learnable_params (millions) float64; NaN or
    <NA> where nothing was printed. The README of benchmarks/published explains each; name, venue and title are the
    method's, source_title to source_place the source's.

    Raises:
        BrokenFileError: If a shipped file is damaged.
    """
    import pandas as pd

    known = publications()
    records: list[dict[str, str | int | float | None]] = []
    for row in known.rows:
        paper, source = known.methods[row.method], known.sources[row.source]
        numbers = {column: float(row.numbers[column]) if column in row.numbers else None for column in NUMBERS}
        looked_up = {
            "name": paper.name,
            "venue": paper.venue,
            "title": paper.title,
            "source_title": source.title,
            "source_venue": source.venue,
            "source_kind": source.kind,
            "source_place": source.place,
        }
        own = {column: getattr(row, column) for column in _COLUMNS if column not in NUMBERS}
        records.append({**own, **looked_up, **numbers})
    types = {"way": "Int64", "shot": "Int64", **dict.fromkeys(NUMBERS, "float64")}
    return pd.DataFrame.from_records(records, columns=FRAME_COLUMNS).astype(types)
