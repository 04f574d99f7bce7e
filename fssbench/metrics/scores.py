"""The metrics of a run: those that papers print, by fold, run and class, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeVar

from fssbench.metrics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scores:
    """The metrics that papers print, in per cent.

    Attributes:
        miou: Mean IoU over the classes of a fold.
        fb_iou: Mean of foreground IoU and background IoU, each over all episodes of a fold.
        exact_ratio: Fraction of episodes in which the predicted presence of every class is right.
        base_miou: Mean IoU over the base classes; None if they were not counted.
        total_miou: Mean IoU over novel and base classes; None unless they were predicted together.
        miou_all_classes: Like `miou`, but over all classes of a fold, where a class without an episode counts as 0;
            None where the classes of the fold are not known (`fssbench.results.Results.summary` knows them).
        base_miou_all_classes: Like `base_miou`, but a base class that is in no label map counts as 0; None unless novel
            and base classes were predicted together.
        total_miou_all_classes: Like `total_miou`, with the same rules.
    """

    miou: float
    fb_iou: float
    exact_ratio: float
    base_miou: float | None = field(default=None, kw_only=True)
    total_miou: float | None = field(default=None, kw_only=True)
    miou_all_classes: float | None = field(default=None, kw_only=True)
    base_miou_all_classes: float | None = field(default=None, kw_only=True)
    total_miou_all_classes: float | None = field(default=None, kw_only=True)


_ScoresT = TypeVar("_ScoresT", bound=Scores)


@dataclass(frozen=True, eq=False)
class FoldSummary(Scores):
    """The metrics of one fold.

    Attributes:
        fold: The fold.
        episodes: Number of episodes that were counted.
        classes: The classes that mIoU is the mean over.
        asked: The classes among them that have an episode; the others count as 0.
        intervals: The confidence intervals, by metric: "miou", "fb_iou", "exact_ratio", and if they apply "base_miou"
            and "total_miou". One that can't be given has the reason instead of its ends.
        base_classes: The base classes that `base_miou` is the mean over.
        runs: The metrics of each run, if there are several; those of the fold are then their means.
        without_truth: The classes of `asked` that have no ground-truth pixel in any query. They count as 0 whatever is
            predicted.
    """

    fold: int
    episodes: int
    classes: tuple[int, ...]
    asked: tuple[int, ...]
    intervals: Mapping[str, Interval]
    base_classes: tuple[int, ...] = ()
    runs: tuple[Scores, ...] = ()
    without_truth: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Scores):
    """The metrics of a run: of each fold, and their unweighted mean over the folds, as papers print it.

    Attributes:
        episodes: Number of episodes that were counted.
        folds: The metrics of each fold, sorted by fold.
        per_class: A row per (fold, class): `fold`, `class_id`, `episodes` (with that class), `intersection`, `union`
            (pixels), `iou`, `low`, `high` (per cent), and `no_interval`: why there is no interval, so that `low` and
            `high` are NaN; empty if there is one.
        intervals: The confidence interval of the mean over the folds, by metric. One that can't be given has the reason
            instead of its ends.
        runs: The means over the folds of each run, if there are several runs.
    """

    episodes: int
    folds: tuple[FoldSummary, ...]
    per_class: pd.DataFrame
    intervals: Mapping[str, Interval]
    runs: tuple[Scores, ...] = ()

    def __repr__(self) -> str:
        folds = f"{len(self.folds)} fold{'s' if len(self.folds) > 1 else ''}"
        return (
            f"<{self.episodes} episodes of {folds}: mIoU {self.miou:.2f} %, FB-IoU {self.fb_iou:.2f} %, "
            f"exact ratio {self.exact_ratio:.2f} %>"
        )

    def _repr_html_(self) -> str:
        from fssbench.metrics.shown import classes_html, metrics_html
        from fssbench.metrics.unknown import without_interval
        from fssbench.notebook.html import notes

        return metrics_html(self) + notes(without_interval(self, self.intervals)) + classes_html(self, {})

    @property
    def frame(self) -> pd.DataFrame:
        """The metrics as a frame: a row per fold, and a row for the mean, whose `fold` is "mean".

        The columns are `fold`, `episodes`, and the attributes of `Scores`, in per cent; NaN stands for None.
        """
        import pandas as pd

        rows: list[tuple[str, FoldSummary | Summary]] = [
            *((str(fold.fold), fold) for fold in self.folds),
            ("mean", self),
        ]
        names = [each.name for each in fields(Scores)]
        columns = {"fold": [name for name, _ in rows], "episodes": [summary.episodes for _, summary in rows]}
        numbers = {name: [getattr(summary, name) for _, summary in rows] for name in names}
        return pd.DataFrame(
            {**columns, **{name: pd.Series(values, dtype="float64") for name, values in numbers.items()}}
        )


def with_all_classes(summary: Summary, counted_0: Summary) -> Summary:
    """Return a summary with `miou_all_classes` and its kin filled in from another summary.

    Args:
        summary: The summary over the classes of the episodes.
        counted_0: The summary of the same rows over all classes (`classes` and `base_classes` of `summarise`).
    """
    folds = tuple(
        replace(_with_all(fold, other), runs=tuple(map(_with_all, fold.runs, other.runs)))
        for fold, other in zip(summary.folds, counted_0.folds, strict=True)
    )
    return replace(_with_all(summary, counted_0), folds=folds, runs=tuple(map(_with_all, summary.runs, counted_0.runs)))


def _with_all(scores: _ScoresT, other: Scores) -> _ScoresT:
    generalised = scores.total_miou is not None
    return replace(
        scores,
        miou_all_classes=other.miou,
        base_miou_all_classes=other.base_miou if generalised else None,
        total_miou_all_classes=other.total_miou if generalised else None,
    )
