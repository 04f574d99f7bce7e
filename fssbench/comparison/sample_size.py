"""How many episodes it takes to tell a difference of so many points of mIoU, from the rows of one run or of two.

A test of level α finds a difference δ with power π if δ ≥ (t + z) s: s the standard deviation of the difference, t the
quantile of Student's distribution at 1 - α / 2, z that of the normal distribution at π. So with n episodes of each fold
the smallest difference that can be told is (t + z) s(n). s(n) is measured where the rows allow it, by the paired
bootstrap over query images on parts of the lists (`fssbench.comparison.measured_spread`), and elsewhere follows from
the components of the variance (`fssbench.comparison.components`), whose limit for large n is not 0.

One run says nothing of a difference. It is held against a shifted copy: a method of the same spread, whose influences
have an assumed correlation r with its own, so that the difference has the variance 2 (1 - r) Var.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from fssbench.comparison.components import Components, components
from fssbench.comparison.influences import class_ious, difference, influences
from fssbench.comparison.measured_spread import degrees_of_freedom, measured_spread
from fssbench.comparison.pairing import pair
from fssbench.comparison.planned import CORRELATION, HABIT, SEEDS, Needed, SamplePlan, Size
from fssbench.comparison.run_names import run_names
from fssbench.comparison.whole_runs import check_whole
from fssbench.errors import UsageError
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.intervals import student_quantile

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results

REACH = 10.0
"""The rows are not extrapolated to lists that are longer by more than this factor."""
DRAWS = 2000
_LEAST = 10
"""Degrees of freedom (query images less classes) of the mean; with fewer its error is a quarter or more."""
_NOTHING = 1e-9


def plan(
    results: Results,
    other: Results | None = None,
    *,
    detect: float = 1.0,
    power: float = 0.8,
    alpha: float = 0.05,
    fold: int | None = None,
    correlation: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> SamplePlan:
    """Return how many episodes it takes to tell a difference of mIoU, from stored rows.

    Args:
        results: A finished run (`fssbench.evaluate`, `fssbench.results.load_run`).
        other: A run of another method on the same episodes. Default: a copy of the first, shifted, whose influences
            have the correlation `correlation` with it.
        detect: The difference to be told, in points of mIoU.
        power: The probability of telling it.
        alpha: The level of the two-sided test.
        fold: The only fold; default all, of whose mean it is the difference.
        correlation: With one run, the assumed correlation, from 0 to below 1; default 0.8.
        draws: Number of bootstrap draws.
        seed: Seed of the bootstrap.

    Raises:
        UsageError: If a number is out of range, the runs can't be paired, or their rows show no spread: one query
            image, or the same counts in all episodes.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=16)
        >>> first = fssbench.evaluate(fssbench.build("copy-mask"), dataset, episodes)
        >>> second = fssbench.evaluate(fssbench.build("all-foreground"), dataset, episodes)
        >>> planned = fssbench.plan(first, second, detect=10.0)
        >>> planned.needed.episodes  # of the fold
        17
    """
    _check(detect, power, alpha, correlation, other)
    notes: tuple[str, ...] = ()
    if other is None:
        check_whole(results)
        runs, frames, names = [results], [_sorted(results.frame)], run_names([results])
    else:
        pairing = pair([results, other])
        runs, frames, names = [results, other], list(pairing.frames), pairing.names
        notes = pairing.notes
    if fold is not None:
        known = sorted({int(one) for one in frames[0]["fold"]})
        if fold not in known:
            raise UsageError(f"the rows have no fold {fold}, only {', '.join(map(str, known))}")
        frames = [_sorted(frame[frame["fold"] == fold]) for frame in frames]
    lengths = {one.fold: one.run_length for one in results.run.folds if one.run_length}
    notes += _until_notes(runs)
    return _Planning(frames, lengths, draws, seed).plan(
        *(names, _title(results, frames[0]), detect, power, alpha),
        CORRELATION if correlation is None else correlation,
        notes,
    )


class _Planning:
    """The spread of the rows of one run or two."""

    def __init__(self, frames: Sequence[pd.DataFrame], lengths: Mapping[int, int], draws: int, seed: int) -> None:
        self.frames, self.lengths, self.draws, self.seed = frames, lengths, draws, seed
        parts = [influences(frame, lengths) for frame in frames]
        ious = [class_ious(frame, own) for frame, own in zip(frames, parts, strict=True)]
        self.alone = [components(frames[0], *own) for own in zip(parts, ious, strict=True)]
        self.paired = len(frames) > 1
        self.of: Components = self.alone[0]
        if self.paired:
            apart = {key: ious[1][key] - iou for key, iou in ious[0].items()}
            self.of = components(frames[0], difference(parts[0], parts[1]), apart)
        self.stored = max(self.of.lengths.values())
        self.degrees = degrees_of_freedom(frames[0], lengths)
        if self.degrees < _LEAST:
            images = sum(one.queries for one in self.of.strata)
            raise UsageError(
                f"from {images} query images, counted for each of {self.of.classes} classes, too little is known of "
                "the spread, and so of the number of episodes",
                "plan from a run of more episodes: 100 of each fold or more",
            )
        measured = measured_spread(frames, lengths, 1, draws, seed)
        if measured is None or measured < _NOTHING:
            what = (
                "the two runs differ by the same in all episodes (or not at all)"
                if self.paired
                else "all episodes of the run have the same IoU"
            )
            raise UsageError(f"{what}: there is no spread from which a number of episodes could follow")
        self.whole = measured

    def plan(
        self,
        names: tuple[str, ...],
        title: str,
        detect: float,
        power: float,
        alpha: float,
        correlation: float,
        notes: tuple[str, ...],
    ) -> SamplePlan:
        z = NormalDist().inv_cdf(power)
        # Of one run the difference to a shifted copy.
        factor = 1.0 if self.paired else (2.0 * (1.0 - correlation)) ** 0.5

        def times(episodes: float) -> float:
            degrees = min(max(1.0, self.degrees * episodes / self.stored), 1e6)
            return float(student_quantile(1.0 - alpha / 2.0, round(degrees))) + z

        def size(episodes: int, measured: float | None) -> Size:
            spread = factor * self.of.variance(episodes) ** 0.5
            known = None if measured is None else factor * measured
            reach = times(episodes) * (spread if known is None else known)
            queries, supports = self.of.images(episodes, "query"), self.of.images(episodes, "support")
            if episodes == self.stored:
                queries = sum(one.queries for one in self.of.strata)
                supports = sum(one.supports for one in self.of.strata)
            return Size(episodes, queries, supports, known, spread, reach)

        shorter = {
            self.stored // parts: measured_spread(self.frames, self.lengths, parts, self.draws, self.seed)
            for parts in (4, 2)
        }
        known = {episodes: found for episodes, found in shorter.items() if found is not None} | {
            self.stored: self.whole
        }
        lengths = sorted({*known, HABIT, SEEDS * HABIT})
        sizes = tuple(size(episodes, known.get(episodes)) for episodes in lengths)
        normal = NormalDist().inv_cdf(1.0 - alpha / 2.0) + z
        squared = (detect / factor) ** 2
        likely = (self.needed(squared, times, -1.0).episodes, self.needed(squared, times, 1.0).episodes)
        needed = replace(self.needed(squared, times), likely=likely)
        if self.paired:
            spreads = [one.variance(self.stored) for one in self.alone]
            correlation = (sum(spreads) - self.of.variance(self.stored)) / (2.0 * (spreads[0] * spreads[1]) ** 0.5)
        own = sum(one.variance(HABIT) - one.floor() for one in self.alone) * (1.0 if self.paired else 2.0)
        between = self.of.between_classes
        classes = self.of.classes
        return SamplePlan(
            names=names,
            title=title,
            detect=detect,
            power=power,
            alpha=alpha,
            difference=self.difference() if self.paired else None,
            correlation=correlation,
            needed=needed,
            sizes=sizes,
            stored=self.stored,
            floor=normal * factor * self.of.floor() ** 0.5,
            floor_up_to=normal * factor * self.of.floor(2.0) ** 0.5,
            shares=self.of.of_one_list(),
            pairs={"query": self.of.query.pairs, "support": self.of.support.pairs},
            images=(1.0 / self.of.pool("query") if self.of.pool("query") else None),
            reach=int(REACH * self.stored),
            classes=classes,
            between_classes=between,
            other_classes=None if between is None or not self.paired else _among_classes(between, classes, alpha, z),
            seeds_spread=max(0.0, self.alone[0].variance(HABIT) - self.alone[0].floor()) ** 0.5,
            unpaired=normal * (own + factor**2 * self.of.floor()) ** 0.5,
            notes=notes,
        )

    def needed(self, squared: float, times: Callable[[float], float], errors: float = 0.0) -> Needed:
        """Return how many episodes of each fold have a standard deviation that tells a difference.

        Args:
            squared: The squared difference; of one run that to a copy of the same spread, not correlated.
            times: t + z for a number of episodes.
            errors: By how many standard errors the correlations are moved.
        """

        def tells(episodes: int) -> bool:
            return times(episodes) ** 2 * self.of.variance(episodes, errors) <= squared

        low, high = 1, int(REACH * self.stored)
        if times(high) ** 2 * self.of.floor(errors) >= squared:
            return Needed(None, "images")
        if not tells(high):
            return Needed(None, "far")
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if tells(middle) else (middle + 1, high)
        per_class = low * len(self.of.lengths) * _ways(self.frames[0]) / self.of.classes
        return Needed(low, "", per_class, self.of.images(low, "query"), self.of.images(low, "support"))

    def difference(self) -> float:
        """Return the difference of the mean mIoU over the folds."""
        counting = CountingRules(run_length=self.lengths or None)
        means = [float(np.mean([fold.ratios().miou for fold in count_folds(one, counting)])) for one in self.frames]
        return means[1] - means[0]


def _among_classes(between: float, classes: int, alpha: float, z: float) -> float:
    """Return the smallest difference that so many classes can tell of classes in general."""
    return (float(student_quantile(1.0 - alpha / 2.0, classes - 1)) + z) * between / math.sqrt(classes)


def _ways(frame: pd.DataFrame) -> int:
    return max(len(classes) for classes in frame["classes"])


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["fold", "episode"], ignore_index=True)


def _title(results: Results, frame: pd.DataFrame) -> str:
    run, folds = results.run, sorted({int(fold) for fold in frame["fold"]})
    which = f"fold {folds[0]}" if len(folds) == 1 else f"mean over folds {', '.join(map(str, folds))}"
    return f"{run.dataset.title or run.dataset.name}, {run.way}-way {run.shot}-shot, {which}"


def _until_notes(runs: Sequence[Results]) -> tuple[str, ...]:
    if not any(results.run.until is not None for results in runs):
        return ()
    return ("--until: the data decided how many episodes were evaluated, which makes their spread look somewhat small",)


def _check(detect: float, power: float, alpha: float, correlation: float | None, other: Results | None) -> None:
    if not 0.0 < detect <= 100.0:
        raise UsageError(
            f"a difference to tell is above 0 and at most 100 points of mIoU, not {detect:g}", "--detect 1"
        )
    if not 0.5 <= power < 1.0:
        raise UsageError(f"a power is from 0.5 to below 1, not {power:g}", "--power 0.8")
    if not 0.0 < alpha < 0.5:
        raise UsageError(f"the level of a test is above 0 and below 0.5, not {alpha:g}", "--alpha 0.05")
    if correlation is not None and other is not None:
        raise UsageError("the correlation of two runs is measured", "leave --correlation out, or give one run")
    if correlation is not None and not 0.0 <= correlation < 1.0:
        raise UsageError(f"a correlation is from 0 to below 1, not {correlation:g}", f"--correlation {CORRELATION:g}")
