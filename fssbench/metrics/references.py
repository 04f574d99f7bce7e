"""How much the numbers of a run depend on which supports each query was given (`fssbench.episode.references`).

Every query q of a class c has R references, each a set of K supports. y(c, q, r) is the IoU in per cent of the class in
that episode alone.

- Of each query: the mean of y over its references, the standard deviation (divided by R - 1), the worst and the best.
- mIoU: the mean over r of the mIoU of all queries with their r-th reference. Its standard deviation over r is small, as
  the luck of many queries averages out.
- mIoU with the worst (best) references: that of a list in which each query has the reference with its lowest (highest)
  IoU. Nobody could choose so without knowing the ground truth: it is how far luck reaches for each query.

The components of the variance are in `fssbench.metrics.variance_components`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fssbench.errors import UsageError
from fssbench.metrics.counts import Floats
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.summary import summary_of
from fssbench.metrics.variance_components import Components, components

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class QuerySpread:
    """A class of a query, over its references; IoU in per cent.

    Attributes:
        fold: The fold.
        class_id: The class.
        query: Name of the query image.
        mean: Mean IoU.
        std: Standard deviation of the IoU (divided by R - 1).
        worst: The lowest IoU.
        best: The highest IoU.
        worst_supports: The supports of the class with which it is lowest; the first such reference.
        best_supports: The same of the highest.
    """

    fold: int
    class_id: int
    query: str
    mean: float
    std: float
    worst: float
    best: float
    worst_supports: tuple[str, ...]
    best_supports: tuple[str, ...]


@dataclass(frozen=True)
class ClassSpread:
    """The queries of a class, over their references; IoU in per cent.

    Attributes:
        fold: The fold.
        class_id: The class.
        queries: Number of queries.
        mean: Mean over the queries of their mean IoU.
        std: Root of the mean variance within a query.
        worst: Mean over the queries of their lowest IoU.
        best: Mean over the queries of their highest IoU.
    """

    fold: int
    class_id: int
    queries: int
    mean: float
    std: float
    worst: float
    best: float


@dataclass(frozen=True)
class FoldSpread:
    """A fold, or the mean over all folds; mIoU in per cent.

    Attributes:
        fold: The fold; None for the mean over the folds.
        queries: Number of queries with all their references.
        miou: Mean over the references.
        std: Standard deviation over the references (divided by R - 1).
        lowest: mIoU of the reference with the lowest one, the same number for all queries.
        highest: The same of the highest.
        worst: mIoU with the worst reference of each query.
        best: mIoU with the best reference of each query.
    """

    fold: int | None
    queries: int
    miou: float
    std: float
    lowest: float
    highest: float
    worst: float
    best: float


@dataclass(frozen=True, eq=False)
class ReferenceStudy:
    """What the references of a run show.

    Attributes:
        references: R.
        folds: Each fold, sorted; behind them the mean over the folds if there are several.
        classes: Each class of each fold.
        queries: Each class of each query, where the query holds it.
        components: Of the variance over all queries.
        left_out: Number of queries without a row for each reference; they are in no number.
    """

    references: int
    folds: tuple[FoldSpread, ...]
    classes: tuple[ClassSpread, ...]
    queries: tuple[QuerySpread, ...]
    components: Components
    left_out: int = 0

    @property
    def total(self) -> FoldSpread:
        """The numbers of all folds."""
        return self.folds[-1]


def study_references(frame: pd.DataFrame, run_length: Mapping[int, int], references: int) -> ReferenceStudy:
    """Return what the rows of a run with references show.

    Args:
        frame: The rows (`fssbench.results.Row`); row e of a fold has query e % L with reference e // L, for the run
            length L.
        run_length: L of each fold, its number of queries.
        references: R.

    Raises:
        UsageError: If no query has all its rows.
    """
    rows = _with_places(frame, run_length)
    complete = rows.groupby(["fold", "place"])["reference"].transform("size") == references
    left_out = int(rows.loc[~complete, ["fold", "place"]].drop_duplicates().shape[0])
    rows = rows[complete]
    if rows.empty:
        raise UsageError("no query has a row for each of its references", "continue the run with --resume")
    spreads, ious = _queries(rows)
    by_class: dict[tuple[int, int], list[QuerySpread]] = {}
    for one in spreads:
        by_class.setdefault((one.fold, one.class_id), []).append(one)
    keys = [(one.fold, one.class_id) for one in spreads]
    return ReferenceStudy(
        references=references,
        folds=_folds(rows, run_length),
        classes=tuple(_class(key, by_class[key]) for key in sorted(by_class)),
        queries=tuple(spreads),
        components=components(ious, keys),
        left_out=left_out,
    )


def chosen_rows(frame: pd.DataFrame, run_length: Mapping[int, int], *, best: bool) -> pd.DataFrame:
    """Return for each query the row with its best or worst reference: the highest or lowest mean IoU of its classes.

    Of equal ones the best has the smaller union, and then it is the first. A query without a row for each reference has
    the best or worst of those that it has.
    """
    rows = _with_places(frame, run_length)
    values = np.array([_mean_iou(both, union) for both, union in zip(rows["intersection"], rows["union"], strict=True)])
    unions = np.array([sum(union[1:]) for union in rows["union"]])
    sign = 1 if best else -1
    order = np.lexsort((rows["reference"].to_numpy(), sign * unions, -sign * values))
    first = rows.iloc[order].drop_duplicates(["fold", "place"])
    return frame.loc[first.index].sort_values(["fold", "episode"])


def _with_places(frame: pd.DataFrame, run_length: Mapping[int, int]) -> pd.DataFrame:
    lengths = frame["fold"].map(dict(run_length))
    return frame.assign(place=frame["episode"] % lengths, reference=frame["episode"] // lengths)


def _mean_iou(both: Sequence[int], union: Sequence[int]) -> float:
    """Return the mean IoU of the classes of an episode; a class that is neither there nor predicted counts as 1."""
    return float(np.mean([b / u if u else 1.0 for b, u in zip(both[1:], union[1:], strict=True)]))


def _queries(rows: pd.DataFrame) -> tuple[list[QuerySpread], Floats]:
    """Return the spread of each class of each query that holds it, and its IoU with each reference, (queries, R)."""
    spreads, ious = [], []
    for _, group in rows.sort_values(["fold", "place", "reference"]).groupby(["fold", "place"], sort=True):
        first = group.iloc[0]
        lost = first["lost_query"] if "lost_query" in rows.columns else None
        for n, class_id in enumerate(first["classes"]):
            if not first["truth"][n] or (lost is not None and lost[n]):
                continue
            values = np.array(
                [
                    100.0 * both[n + 1] / union[n + 1]
                    for both, union in zip(group["intersection"], group["union"], strict=True)
                ]
            )
            supports = [names[n] for names in group["supports"]]
            ious.append(values)
            spreads.append(
                QuerySpread(
                    fold=int(first["fold"]),
                    class_id=int(class_id),
                    query=str(first["query"]),
                    mean=float(values.mean()),
                    std=float(values.std(ddof=1)),
                    worst=float(values.min()),
                    best=float(values.max()),
                    worst_supports=tuple(supports[int(values.argmin())]),
                    best_supports=tuple(supports[int(values.argmax())]),
                )
            )
    return spreads, np.array(ious)


def _class(key: tuple[int, int], queries: Sequence[QuerySpread]) -> ClassSpread:
    return ClassSpread(
        fold=key[0],
        class_id=key[1],
        queries=len(queries),
        mean=float(np.mean([one.mean for one in queries])),
        std=float(np.sqrt(np.mean([one.std**2 for one in queries]))),
        worst=float(np.mean([one.worst for one in queries])),
        best=float(np.mean([one.best for one in queries])),
    )


def _folds(rows: pd.DataFrame, run_length: Mapping[int, int]) -> tuple[FoldSpread, ...]:
    """Return the numbers of each fold, and behind them those of all if there are several."""
    found: list[FoldSpread] = []
    by_reference: list[list[float]] = []
    for fold in sorted(set(rows["fold"])):
        part = rows[rows["fold"] == fold]
        by_reference.append([_miou(one) for _, one in part.groupby("reference", sort=True)])
        chosen = [_miou(chosen_rows(part, run_length, best=best)) for best in (False, True)]
        found.append(_spread(int(fold), int(part["place"].nunique()), by_reference[-1], *chosen))
    if len(found) == 1:
        return tuple(found)
    whole = _spread(
        None,
        sum(fold.queries for fold in found),
        np.mean(by_reference, axis=0).tolist(),
        float(np.mean([fold.worst for fold in found])),
        float(np.mean([fold.best for fold in found])),
    )
    return (*found, whole)


def _spread(fold: int | None, queries: int, by_reference: Sequence[float], worst: float, best: float) -> FoldSpread:
    return FoldSpread(
        fold=fold,
        queries=queries,
        miou=float(np.mean(by_reference)),
        std=float(np.std(by_reference, ddof=1)),
        lowest=min(by_reference),
        highest=max(by_reference),
        worst=worst,
        best=best,
    )


def _miou(rows: pd.DataFrame) -> float:
    return summary_of(count_folds(rows, CountingRules()), draws=0, by_class=False).miou
