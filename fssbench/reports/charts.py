"""The charts of runs: for the page, and for a paper (`fssbench plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.errors import FSSBenchError, UsageError
from fssbench.figures import Series, bars, dots, histogram, match, ranges, shares, trend
from fssbench.figures.style import COLUMN
from fssbench.reports.cases import Case, with_masks
from fssbench.reports.gallery import episode_values
from fssbench.reports.numbers import SIZE_EDGES, kinds, measures_of
from fssbench.reports.predictions import all_verified, saved
from fssbench.reports.scene import open_scene, recorded_names
from fssbench.results.studies import reference_study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fssbench.metrics.summary import FoldSummary, Summary
    from fssbench.reports.runs import Compared

    Root = str | Path | None


def by_fold(runs: Compared, summaries: Sequence[Summary], width: float = COLUMN) -> Figure:
    """Return the first metric of each fold and their mean, with 95 % intervals."""
    measure, title = next(iter(measures_of(runs.run).items()))
    folds = summaries[0].folds
    labels = [f"fold {fold.fold}" for fold in folds] + (["mean"] if len(folds) > 1 else [])
    series = []
    for method, summary in zip(runs.methods, summaries, strict=True):
        parts: list[FoldSummary | Summary] = [*summary.folds, *([summary] if len(folds) > 1 else [])]
        intervals = [part.intervals[measure] for part in parts]
        values = [float(getattr(part, measure)) for part in parts]
        lows, highs = [one.low for one in intervals], [one.high for one in intervals]
        series.append(Series(method.name, values, lows, highs))
    return bars(series, labels, y=f"{title} (%)", width=width)


def by_class(runs: Compared, summaries: Sequence[Summary], names: dict[int, str], width: float = COLUMN) -> Figure:
    """Return the IoU of each class with its 95 % interval, the hardest class at the bottom."""
    first = summaries[0].per_class
    labels = [f"{names.get(int(c), f'class {c}')}" for c in first["class_id"]]
    tables = [summary.per_class for summary in summaries]
    order = np.argsort(-np.mean([table["iou"].to_numpy() for table in tables], axis=0), kind="stable")
    several = len(set(first["class_id"])) < len(first)
    labels = [f"{label}, fold {fold}" if several else label for label, fold in zip(labels, first["fold"], strict=True)]
    series = [
        Series(method.name, *(table[column].to_numpy()[order].tolist() for column in ("iou", "low", "high")))
        for method, table in zip(runs.methods, tables, strict=True)
    ]
    return dots(series, [labels[place] for place in order], x="IoU of the class (%)", width=width)


def distribution(runs: Compared, cases: Sequence[Case], width: float = COLUMN) -> Figure:
    """Return the distribution of the IoU of episodes."""
    return histogram(episode_series(runs, cases), x="IoU of an episode (%)", y="episodes", width=width)


def episode_series(runs: Compared, cases: Sequence[Case]) -> list[Series]:
    """Return the IoU of each episode by each method."""
    values = np.array([value for value in episode_values(cases).values() if not np.isnan(value).any()])
    return [Series(name, values[:, number].tolist()) for number, name in enumerate(runs.names)]


def by_reference(runs: Compared, width: float = COLUMN) -> Figure:
    """Return the IoU of each query from its worst to its best reference, with its mean.

    Raises:
        UsageError: If the runs have no references.
    """
    series = []
    for method in runs.methods:
        study = reference_study(method.results)
        if study is None:
            raise UsageError(
                f"the run {method.name} has no references, or no query with all of them",
                "fssbench eval ... --references 20",
            )
        columns = (
            [one.mean for one in study.queries],
            [one.worst for one in study.queries],
            [one.best for one in study.queries],
        )
        series.append(Series(method.name, *columns))
    return ranges(series, x="queries, by their mean", y="IoU (%)", width=width)


def against(runs: Compared, cases: Sequence[Case], numbers: tuple[int, int] = (0, 1), width: float = COLUMN) -> Figure:
    """Return two methods' IoU of each episode against each other.

    Raises:
        UsageError: If there is one method only.
    """
    if len(runs.methods) < 2:
        raise UsageError("a scatter is of two runs", "fssbench plot RUN_A RUN_B --kind scatter")
    series = episode_series(runs, cases)
    return match(series[numbers[0]], series[numbers[1]], numbers=numbers, width=width)


def by_size(runs: Compared, cases: Sequence[Case], width: float = COLUMN) -> Figure:
    """Return IoU against the share of the query that the object has.

    Raises:
        UsageError: If the masks are not here.
    """
    seen = [case for case in cases if case.found is not None and case.found.size > 0 and not np.isnan(case.ious).any()]
    if not seen:
        raise UsageError("the sizes of objects are not known without the masks", "--root the folder of the data set")
    x = [case.found.size for case in seen if case.found is not None]
    return trend(x, _case_series(runs, seen), SIZE_EDGES, label="share of the query (%)", logarithmic=True, width=width)


def by_similarity(runs: Compared, cases: Sequence[Case], width: float = COLUMN) -> Figure | None:
    """Return IoU against the similarity of query and supports; None if it is not known."""
    seen = [case for case in cases if case.similarity is not None and not np.isnan(case.ious).any()]
    if not seen:
        return None
    x = [case.similarity for case in seen if case.similarity is not None]
    edges = np.unique(np.quantile(x, np.linspace(0, 1, 6))).tolist()
    label = "similarity of query and supports (cosine)"
    return trend(x, _case_series(runs, seen), edges if len(edges) > 1 else [x[0], x[0] + 1], label=label, width=width)


def _case_series(runs: Compared, cases: Sequence[Case]) -> list[Series]:
    return [Series(name, [case.ious[number] for case in cases]) for number, name in enumerate(runs.names)]


def error_kinds(runs: Compared, cases: Sequence[Case], *, maps: bool, width: float = COLUMN) -> Figure:
    """Return the share of each kind of error by each method."""
    found = kinds(cases, len(runs.methods), maps=maps)
    return shares(runs.names, {str(kind): values for kind, values in found.items()}, width=width)


def class_names(runs: Compared, root: Root = None) -> dict[int, str]:
    """Return the names of the classes; as the runs have them if the data is not here."""
    try:
        return open_scene(runs.run, None if root is None else Path(root)).class_names
    except FSSBenchError:
        return recorded_names(runs.run)


def seen_cases(
    runs: Compared, cases: Sequence[Case], root: Root = None, *, maps: bool = False
) -> tuple[list[Case], bool]:
    """Return the cases with what the masks show, and whether all predicted label maps are known.

    Args:
        runs: The runs.
        cases: Their cases.
        root: Folder of the data.
        maps: Whether saved predictions are read.

    Raises:
        MissingError: If the data is not here.
        UsageError: If it is not that of the runs.
        BrokenFileError: If a mask can't be read.
    """
    scene = open_scene(runs.run, None if root is None else Path(root))
    predicted = [saved(method, scene, runs.keys) for method in runs.methods] if maps else []
    known = bool(predicted) and all_verified(predicted, runs.keys)
    return with_masks(cases, runs, scene, predicted), known
