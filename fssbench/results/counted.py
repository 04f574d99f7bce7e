"""The counts of a stored run without a frame of its rows: many runs are tabulated, and few of them looked at.

Rows that were written here all have one form, and are read by one pattern into columns. A file in which a line has
another form is read line by line (`fssbench.results.rows`): it is slower, and says what is wrong with the line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fssbench.files import file_size
from fssbench.metrics.columns import EpisodeColumns, count_columns
from fssbench.metrics.counts import MAX_SUM, Booleans, Integers
from fssbench.metrics.fold_counts import FoldCounts
from fssbench.metrics.scores import with_all_classes
from fssbench.metrics.summary import Summary, summary_of
from fssbench.results.lost import Lost
from fssbench.results.record import FoldRecord, Run
from fssbench.results.rows import MAX_BYTES, MAX_LABEL, MAX_NUMBER, MAX_PIXELS
from fssbench.results.run_reader import PARTS, ROWS

# Repetitions that give nothing back (`++`), hardly an alternative, none of a fixed number: a table of many runs spends
# most of its time here.
_NUMBER = r"(?!0[0-9])[0-9]{1,13}+"
"""A whole number from 0 that surely fits into 64 bits."""
_SECONDS = r"(?!0[0-9])[0-9]{1,10}+(?:\.[0-9]{1,20}+)?+(?:e-[0-9]{1,2}+)?+"
_TEXT = r"[ !#-\[\]-~]*+"
"""A name without escapes."""
_NAME = f'"{_TEXT}"'
_BOOLEAN = r"(?:true|false)"


@dataclass(frozen=True, eq=False)
class CountedRun:
    """The rows of a stored run in columns.

    Attributes:
        run: The record of the run.
        columns: The rows, in the order of the file.
    """

    run: Run
    columns: EpisodeColumns

    def fold_counts(self) -> list[FoldCounts]:
        """Return the counts of each fold that has a row; see `fssbench.results.Results.fold_counts`."""
        return count_columns(self.columns)

    def summary(self, counts: Sequence[FoldCounts]) -> Summary:
        """Return the metrics without intervals and without a table of the classes; see `Results.summary`.

        Args:
            counts: The result of `fold_counts`.
        """
        summary = summary_of(counts, draws=0, by_class=False)
        classes = self.run.classes
        if all(len(fold.asked) == len(classes[fold.fold]) for fold in summary.folds):
            return with_all_classes(summary, summary)
        everywhere = summary_of(count_columns(self.columns, classes), draws=0, by_class=False)
        return with_all_classes(summary, everywhere)

    def missing(self, record: FoldRecord) -> int:
        """Return how many episodes of a fold have no row yet."""
        return self.run.expected(record) - len(self.columns.of_fold(record.fold))

    def lost(self, fold: int) -> Lost:
        """Return what is lost in the rows of a fold; see `fssbench.results.lost.lost_in`."""
        columns = self.columns.of_fold(fold)
        supports = columns.lost_supports
        return Lost(
            supports=int(supports.sum()),
            support_episodes=int((supports > 0).any(axis=1).sum()),
            empty_episodes=int((supports == self.run.shot).any(axis=1).sum()),
            query_episodes=int(columns.lost_query.any(axis=1).sum()),
            absent_episodes=0
            if self.run.protocol.task == "fscs" or self.run.has_absent
            else int((~columns.truth.any(axis=1)).sum()),
        )


def counted_run(folder: Path, run: Run) -> CountedRun | None:
    """Return the rows of a stored run in columns; None if they have to be read line by line.

    Args:
        folder: The run folder.
        run: Its record.
    """
    if run.generalised or any(folder.glob(PARTS)) or any(fold.run_length for fold in run.folds):
        return None
    columns = read_columns(folder / ROWS, run.way, run.shot)
    sizes = {fold.fold: fold.episodes for fold in run.folds}
    if columns is None or not _belong(columns, sizes):
        return None
    return CountedRun(run, columns)


def _belong(columns: EpisodeColumns, sizes: dict[int, int]) -> bool:
    most = np.array([sizes.get(fold, 0) for fold in range(int(columns.fold.max()) + 1)])
    return bool((columns.episode < most[columns.fold]).all())


def read_columns(path: Path, way: int, shot: int) -> EpisodeColumns | None:
    """Return the rows of a file in columns; None if there is none, or one that is not as `line_of` writes it.

    An incomplete last line is dropped.

    Args:
        path: The file.
        way: N of all its rows.
        shot: K of all its rows.
    """
    try:
        if file_size(path) > MAX_BYTES:
            return None
        raw = path.read_bytes()
    except OSError:
        return None
    text = raw[: raw.rfind(b"\n") + 1]
    del raw
    found = _pattern(way, shot).findall(text)
    if not found or len(found) != text.count(b"\n"):
        return None
    numbers, query, classes, counts, presence, rare = zip(*found, strict=True)
    del found
    episode, fold = _whole(numbers, b',"fold":').T
    intersection, union = np.hsplit(_whole(counts, b'],"union":['), 2)
    present, truth = np.hsplit(_booleans(presence, b'],"truth":['), 2)
    lost_supports, lost_query, predicted = _rare(rare, way)
    result = EpisodeColumns(
        fold=fold,
        episode=episode,
        query=np.array(query, dtype=np.bytes_),
        classes=_whole(classes),
        intersection=intersection,
        union=union,
        present=present,
        truth=truth,
        lost_supports=_filled(lost_supports, way),
        lost_query=_filled(lost_query, way).astype(bool),
    )
    return result if _is_sound(result, shot) and _fits(predicted, result) else None


@cache
def _pattern(way: int, shot: int) -> re.Pattern[bytes]:
    """Return the pattern of a row of N classes with K supports each.

    Its groups are objects of their own for each row, so numbers that stand next to each other are one group.
    """
    numbers, booleans = _several(_NUMBER, way + 1), _several(_BOOLEAN, way)
    digests = _several(_NAME, 1 + way * shot)
    supports = _several(rf"\[{_several(_NAME, shot)}\]", way)
    parts = (
        rf'^{{"episode":({_NUMBER},"fold":{_NUMBER}),"query":"({_TEXT})"',
        rf'"classes":\[({_several(_NUMBER, way)})\],"supports":\[{supports}\]',
        rf'"intersection":\[({numbers}\],"union":\[{numbers})\]',
        rf'"present":\[({booleans}\],"truth":\[{booleans})\],"seconds":{_SECONDS}'
        rf'(?:,"photos":\[{digests}\])?+(?:,"masks":\[{digests}\])?+({_rare_fields(way, "(?:")})}}\n',
    )
    return re.compile(",".join(parts).encode("ascii"), re.MULTILINE)


def _rare_fields(way: int, group: str = "(") -> str:
    """Return the pattern of the fields that few rows have; `group` begins each of the three groups."""
    supports, query, predicted = (_several(item, way) for item in (_NUMBER, _BOOLEAN, _NUMBER))
    return (
        rf'(?:,"lost_supports":\[{group}{supports})\])?+(?:,"lost_query":\[{group}{query})\])?+'
        rf'(?:,"predicted":\[{group}{predicted})\])?+'
    )


def _several(item: str, count: int) -> str:
    return ",".join([item] * count)


def _rare(column: Sequence[bytes], way: int) -> tuple[Sequence[bytes], ...]:
    """Return the fields that few rows have, a column each; empty where a row does not have it."""
    if not any(column):
        return column, column, column
    pattern = re.compile(b"^" + _rare_fields(way).encode("ascii") + b"$", re.MULTILINE)
    return tuple(zip(*pattern.findall(b"\n".join(column)), strict=True))


def _whole(column: Sequence[bytes], between: bytes = b",") -> Integers:
    """Return the numbers of a column, int64 (E, numbers of a row).

    Args:
        column: The numbers of each row, with commas.
        between: What stands between two lists of them.
    """
    numbers = np.fromstring(b",".join(column).replace(between, b",").decode("ascii"), dtype=np.int64, sep=",")
    return numbers.reshape(len(column), -1)


def _booleans(column: Sequence[bytes], between: bytes = b",") -> Booleans:
    """Return the truth values of a column, bool (E, values of a row); the arguments are those of `_whole`."""
    letters = b",".join(column).replace(between, b",").replace(b"true", b"1").replace(b"false", b"0")
    values: Booleans = np.frombuffer(letters, dtype=np.uint8)[::2] == ord("1")
    return values.reshape(len(column), -1)


def _filled(column: Sequence[bytes], way: int) -> Integers:
    """Return a column that most rows do not have, int64 (E, N); 0 there."""
    result = np.zeros((len(column), way), dtype=np.int64)
    if any(column):
        there = [place for place, text in enumerate(column) if text]
        texts = [column[place].replace(b"true", b"1").replace(b"false", b"0") for place in there]
        result[there] = _whole(texts)
    return result


def _fits(predicted: Sequence[bytes], columns: EpisodeColumns) -> bool:
    """Return whether the predicted pixels, in the rows that have them, fit the counts."""
    if not any(predicted):
        return True
    there = [place for place, text in enumerate(predicted) if text]
    pixels = _whole([predicted[place] for place in there])
    union = columns.union[there, 1:]
    most = np.where(union > 0, union, MAX_PIXELS)
    return bool(((columns.intersection[there, 1:] <= pixels) & (pixels <= most)).all())


def _is_sound(columns: EpisodeColumns, shot: int) -> bool:
    """Return whether all rows are valid, as each is that is read alone, and no episode has two."""
    episodes = columns.fold * MAX_NUMBER + columns.episode
    return bool(
        (columns.fold < MAX_NUMBER).all()
        and (columns.episode < MAX_NUMBER).all()
        and (columns.intersection <= columns.union).all()
        and (columns.union <= MAX_PIXELS).all()
        and int(columns.union.max()) * columns.union.size < MAX_SUM
        and (columns.classes <= MAX_LABEL).all()
        and (columns.lost_supports <= shot).all()
        and not (columns.lost_query & ~columns.truth).any()
        and ((np.diff(episodes) > 0).all() or len(np.unique(episodes)) == len(episodes))
    )
