"""The rows of a run: one line of JSON per episode, with exact integer counts.

`fssbench.results.row_writer` appends them while episodes are evaluated. If a run is killed, the last line may be
incomplete; it is dropped when the file is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import file_size, without_mark
from fssbench.unique_keys import RepeatedKeyError, loads

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import TypeAdapter

MAX_BYTES = 1 << 32
"""Larger files are refused: a million rows take a tenth of this."""
MAX_PIXELS = 1 << 41
"""Larger counts are refused: no image has so many pixels, and sums over a list would not be exact."""
MAX_LABEL = (1 << 16) - 1
"""Label maps have 8 or 16 bits."""
MAX_NUMBER = 1 << 31
"""Larger numbers of episodes and folds are refused."""


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of one episode.

    Attributes:
        episode: Number of the episode in its list, from 0.
        fold: The fold.
        query: Name of the query image.
        classes: The label values of the N classes.
        supports: For each class, the names of its K support images.
        intersection: For each label 0..N (0 is background), the number of pixels with that label in both prediction and
            ground truth.
        union: For each label 0..N, the number of pixels with that label in the prediction or the ground truth.
        present: For each class, whether the method predicts that it is in the query.
        truth: For each class, whether it has a pixel in the query's label map at the original size.
        seconds: Time for the episode, including reading and counting.
        base: For each base class with a predicted or ground-truth pixel: its label value, intersection, union, and
            number of ground-truth pixels. None where base classes are not counted.
        photos: Digests of the files of the query and then of each support (`fssbench.results.photos`). None if there
            are no files, if predictions were read from files, or in a run of an earlier version.
        masks: Digests of the label maps of the query and then of each support (`fssbench.results.photos`); empty for
            one that was not read, as those of supports where predictions are read from files. None if the data set is
            rendered, or in a run of an earlier version.
        lost_supports: For each class, the number of its supports that have no pixel of it at the input size, so that
            their masks are empty; None if there is none.
        lost_query: For each class, whether it is in the query, but has no pixel at the size at which pixels are
            counted; None if there is none.
        predicted: For each class, the number of pixels with its label in the prediction, where pixels are counted.
            None unless the list has absent queries (`EpisodeList.absent`).
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    episode: int
    fold: int
    query: str
    classes: tuple[int, ...]
    supports: tuple[tuple[str, ...], ...]
    intersection: tuple[int, ...]
    union: tuple[int, ...]
    present: tuple[bool, ...]
    truth: tuple[bool, ...]
    seconds: float
    base: tuple[tuple[int, int, int, int], ...] | None = None
    photos: tuple[str, ...] | None = None
    masks: tuple[str, ...] | None = None
    lost_supports: tuple[int, ...] | None = None
    lost_query: tuple[bool, ...] | None = None
    predicted: tuple[int, ...] | None = None


_UNKNOWN_FIELD = "unexpected_keyword_argument"
"""Pydantic's error type for an unknown field."""
_OPTIONAL = ("base", "photos", "masks", "lost_supports", "lost_query", "predicted")
_FIELDS = tuple(field.name for field in fields(Row) if field.name not in _OPTIONAL)


def line_of(row: Row) -> str:
    """Return a row as a line of JSON, without the newline."""
    names = (*_FIELDS, *(name for name in _OPTIONAL if getattr(row, name) is not None))
    return json.dumps({name: getattr(row, name) for name in names}, separators=(",", ":"), allow_nan=False)


@cache
def _schema() -> TypeAdapter[Row]:
    from pydantic import TypeAdapter

    return TypeAdapter(Row)


def _fault(row: Row) -> str | None:
    way = len(row.classes)
    if way < 1 or not (len(row.supports) == len(row.present) == len(row.truth) == way):
        return f"a row of {way} classes with supports or presence for another number of classes"
    if not len(row.intersection) == len(row.union) == way + 1:
        return f"a row of {way} classes needs {way + 1} counts"
    photos = 1 + sum(map(len, row.supports))
    if any(digests is not None and len(digests) != photos for digests in (row.photos, row.masks)):
        return "a row whose number of digests is not its number of photos"
    if fault := _lost_fault(row) or _predicted_fault(row):
        return fault
    if any(not 0 <= both <= either for both, either in zip(row.intersection, row.union, strict=True)):
        return "an intersection is negative or larger than its union"
    if any(not 0 <= both <= truth <= either for _, both, either, truth in row.base or ()):
        return "a base class has inconsistent counts"
    if max(*row.union, *(either for _, _, either, _ in row.base or ())) > MAX_PIXELS:
        return f"a count of more than {MAX_PIXELS} pixels"
    if row.episode < 0 or row.fold < 0 or row.seconds < 0:
        return "a negative number"
    if max(row.episode, row.fold) >= MAX_NUMBER:
        return f"an episode or a fold with the number {max(row.episode, row.fold)}"
    if any(not 0 <= value <= MAX_LABEL for value in (*row.classes, *(entry[0] for entry in row.base or ()))):
        return f"a class that is not a label value, 0 to {MAX_LABEL}"
    return None


def _lost_fault(row: Row) -> str | None:
    if row.lost_supports is not None and (
        len(row.lost_supports) != len(row.classes)
        or any(not 0 <= lost <= len(names) for lost, names in zip(row.lost_supports, row.supports, strict=True))
    ):
        return "more lost supports than supports, or lost supports for another number of classes"
    if row.lost_query is not None and (
        len(row.lost_query) != len(row.classes)
        or any(lost and not there for lost, there in zip(row.lost_query, row.truth, strict=True))
    ):
        return "a lost class that is not in the query, or another number of classes"
    return None


def _predicted_fault(row: Row) -> str | None:
    if row.predicted is None:
        return None
    if len(row.predicted) != len(row.classes):
        return "predicted pixels for another number of classes"
    for pixels, both, either in zip(row.predicted, row.intersection[1:], row.union[1:], strict=True):
        # With the rule "leave-out" the union of a class without ground truth is 0, whatever is predicted.
        if not both <= pixels <= (either or MAX_PIXELS):
            return "fewer predicted pixels than intersection, or more than union"
    return None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a file of rows that can't be read as a row.

    Attributes:
        number: The line number, from 1.
        fault: What is wrong with the line.
        foreign: Whether it has a field that this version does not know, and so is a row of another version.
    """

    number: int
    fault: str
    foreign: bool = False

    def __str__(self) -> str:
        return f"line {self.number} is not a row{self.fault}"


def read_rows(path: Path) -> list[Row]:
    """Read a file of rows, in the order of the file; an incomplete last line is dropped.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If a line is not a row, or an episode has two rows; with the line number.
    """
    rows: list[Row] = []
    seen: dict[tuple[int, int], int] = {}
    for number, line in lines_of(path):
        if isinstance(line, Row) and (line.fold, line.episode) in seen:
            raise second_row(path, number, line, seen[line.fold, line.episode])
        if isinstance(line, BadLine):
            raise BrokenFileError(
                f"{path}, {line}",
                "continue the run with --resume, which keeps its other rows, or start it again with --overwrite",
            )
        seen[line.fold, line.episode] = number
        rows.append(line)
    return rows


def second_row(path: Path, number: int, row: Row, first: int) -> BrokenFileError:
    """Return the error for a second row of an episode whose first row is in line `first`."""
    return BrokenFileError(
        f"{path}, line {number}: fold {row.fold}, episode {row.episode} is in line {first} already",
        "remove the line that does not belong there, or start the run again with --overwrite",
    )


def lines_of(path: Path) -> Iterator[tuple[int, Row | BadLine]]:
    """Yield the number and the row of each line of a file of rows; an incomplete last line is dropped.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it can't be read.
    """
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for a file of rows")
        raw = without_mark(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingError(f"there is no file of rows {path}") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error
    for number, line in enumerate(raw.split(b"\n")[:-1], 1):
        yield number, _parsed(number, line)


def _parsed(number: int, line: bytes) -> Row | BadLine:
    from pydantic import ValidationError

    try:
        row = _schema().validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        where = ".".join(str(part) for part in found[0]["loc"])
        unknown = any(one["type"] == _UNKNOWN_FIELD for one in found)
        return BadLine(number, f"{f' ({where})' if where else ''}: {found[0]['msg']}", unknown)
    fault = _fault(row) or _repeated(row, line)
    return row if fault is None else BadLine(number, f": {fault}")


def _repeated(row: Row, line: bytes) -> str | None:
    """Return the fault of a line that has a field twice. Only one with more colons than fields is parsed again."""
    if line.count(b'":') == len(_FIELDS) + sum(getattr(row, name) is not None for name in _OPTIONAL):
        return None
    try:
        loads(line)
    except RepeatedKeyError as error:
        return str(error)
    return None


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a frame with a column per attribute of `Row`, sorted by fold and episode.

    `base`, `photos`, `masks`, `lost_supports`, `lost_query` and `predicted` are columns only if a row has them.
    """
    import pandas as pd

    ordered = sorted(rows, key=lambda row: (row.fold, row.episode))
    # Without explicit types, pandas would convert columns of tuples, and columns without rows.
    types = {"episode": "int64", "fold": "int64", "seconds": "float64"}
    names = (*_FIELDS, *(name for name in _OPTIONAL if any(getattr(row, name) is not None for row in ordered)))
    frame = pd.DataFrame({name: [getattr(row, name) for row in ordered] for name in names}, dtype="object")
    return frame.astype(types)
