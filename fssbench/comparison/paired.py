"""Paired comparison: the difference of two methods on the same episodes, its interval, and how likely it is by chance.

With x the mIoU (or another number) of a run and the first run as reference, of each other run:

- difference d = x - x_reference;
- interval d ± t s, as in `fssbench.metrics.intervals`, s from a bootstrap whose draws of query images are
  the same for both runs (`fssbench.metrics.bootstrap`): what makes an image hard for both falls out of d;
- p-value of a permutation test, and the same after Holm over all methods that are held against the reference, for
  each number and each fold apart (`fssbench.comparison.permutation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from fssbench.comparison.pairing import pair
from fssbench.comparison.permutation import EQUAL, holm, permutation_p, swaps
from fssbench.errors import UsageError
from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom
from fssbench.metrics.counts import Floats, Ratios, base_classes_of, mean_ratios
from fssbench.metrics.fold_counts import CountingRules, FoldCounts, count_folds
from fssbench.metrics.intervals import Interval, Sample, interval_of_mean
from fssbench.metrics.summary import DRAWS, LEVEL
from fssbench.results.summary import format_classes

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results


@dataclass(frozen=True)
class Difference:
    """One number of two methods.

    Attributes:
        measure: "miou", "fb_iou", "exact_ratio", "base_miou" or "total_miou".
        fold: Its fold; None for the mean over the folds.
        reference: The reference's, in per cent.
        value: The other's, in per cent.
        difference: value - reference, in per cent points.
        interval: Of the difference.
        p_value: Of the permutation test, two-sided.
        p_holm: The same, corrected for the number of methods.
    """

    measure: str
    fold: int | None
    reference: float
    value: float
    difference: float
    interval: Interval
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Episodes:
    """In how many episodes the other method's IoU is larger than the reference's, smaller, or the same.

    The IoU of an episode is the mean over its classes; a class that neither answer nor truth has counts 1.
    """

    fold: int | None
    won: int
    lost: int
    tied: int


@dataclass(frozen=True)
class Duel:
    """One method against the reference.

    Attributes:
        name: The method's.
        folder: Its run's, as given.
        differences: By measure, then by fold, the mean over the folds last where there are several.
        episodes: By fold, their sum last where there are several.
    """

    name: str
    folder: str
    differences: tuple[Difference, ...]
    episodes: tuple[Episodes, ...]


@dataclass(frozen=True)
class Comparison:
    """Methods against a reference on the same episodes.

    Attributes:
        reference: The reference's name.
        folder: Its run's, as given.
        title: What was asked.
        duels: The other methods, as given.
        measures: The numbers that are compared.
        draws: Draws of the bootstrap, and swaps of the permutation test.
        level: Nominal coverage of the intervals.
        notes: What has to be said beside the numbers.
    """

    reference: str
    folder: str
    title: str
    duels: tuple[Duel, ...]
    measures: tuple[str, ...]
    draws: int
    level: float
    notes: tuple[str, ...]


def compare(runs: Sequence[Results], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> Comparison:
    """Hold methods against a reference on the same episodes.

    Args:
        runs: Two or more (`fssbench.results.load_run`), finished, of the same lists; the first is the reference.
        draws: Draws of the bootstrap, and swaps of the permutation test.
        level: Nominal coverage of the intervals.
        seed: Seed of both.

    Raises:
        UsageError: If the runs can't be paired (`fssbench.comparison.pair`), or a number is out of range.
        BrokenFileError: If the rows of two runs are not of the same episodes.
    """
    if draws < 1 or not 0 < level < 1:
        raise UsageError(f"draws are 1 or more and a level is between 0 and 1, not {draws} and {level}")
    pairing = pair(runs)
    run = runs[0].run
    folds = _counted(pairing.frames, runs[0])
    drawn = [_bootstrap(its, draws, np.random.default_rng([seed, its[0].total.fold])) for its in folds]
    measures = ["miou", "fb_iou"] + (["exact_ratio"] if run.method.task == "fscs" else [])
    measures += ["base_miou", "total_miou"] if run.generalised else []
    found = [
        _differences(
            [(its[0], its[other]) for its in folds], [(d[0], d[other]) for d in drawn], measures, draws, level, seed
        )
        for other in range(1, len(runs))
    ]
    corrected = [holm(values) for values in zip(*([each.p_value for each in one] for one in found), strict=True)]
    duels = tuple(
        Duel(
            name=pairing.names[other],
            folder=str(runs[other].folder or ""),
            differences=tuple(
                Difference(**(vars(each) | {"p_holm": corrected[place][other - 1]}))
                for place, each in enumerate(found[other - 1])
            ),
            episodes=_episodes(pairing.frames[0], pairing.frames[other]),
        )
        for other in range(1, len(runs))
    )
    return Comparison(
        reference=pairing.names[0],
        folder=str(runs[0].folder or ""),
        title=f"{run.dataset.name}, {run.way}-way {run.shot}-shot, {len(pairing.frames[0])} episodes, "
        f"{len(set(pairing.frames[0]['query']))} query images",
        duels=duels,
        measures=tuple(measures),
        draws=draws,
        level=level,
        notes=(*pairing.notes, *_without_truth(folds)),
    )


def _counted(frames: Sequence[pd.DataFrame], reference: Results) -> list[tuple[FoldCounts, ...]]:
    """Return for each fold the counts of each run, all over the same classes."""
    run = reference.run
    lengths = {fold.fold: fold.run_length for fold in run.folds if fold.run_length}
    base: dict[int, tuple[int, ...]] | None = None
    if all("base" in frame.columns for frame in frames):
        folds = sorted({int(fold) for fold in frames[0]["fold"]})
        base = {
            fold: tuple(sorted({c for frame in frames for c in base_classes_of(frame[frame["fold"] == fold])}))
            for fold in folds
        }
    counting = CountingRules(None, base, run.generalised, lengths, whole=False)
    return list(zip(*(count_folds(frame, counting) for frame in frames), strict=True))


def _without_truth(folds: Sequence[tuple[FoldCounts, ...]]) -> list[str]:
    return [
        f"no query of fold {its[0].total.fold} has a pixel of {format_classes(its[0].without_truth)}, "
        "which counts 0 in mIoU of all"
        for its in folds
        if its[0].without_truth
    ]


def _bootstrap(its: Sequence[FoldCounts], draws: int, generator: np.random.Generator) -> list[Ratios]:
    """Return the numbers of each run in the same draws."""
    drawn = iter(bootstrap([part for one in its for part in one.parts], draws, generator))
    return [mean_ratios([next(drawn) for _ in one.parts]) for one in its]


def _differences(
    folds: Sequence[tuple[FoldCounts, FoldCounts]],
    drawn: Sequence[tuple[Ratios, Ratios]],
    measures: Sequence[str],
    draws: int,
    level: float,
    seed: int,
) -> list[Difference]:
    """Return the differences of two runs, not yet corrected for others."""
    numbers = [(mine.ratios(), theirs.ratios()) for mine, theirs in folds]
    swapped = swaps(folds, draws, np.random.default_rng([seed, draws]))
    freedom = [degrees_of_freedom([mine.total]) for mine, _ in folds]
    found = []
    for measure in measures:
        values = np.array([[_value(its, measure) for its in pair_] for pair_ in numbers], dtype=np.float64)
        moved = np.array([_value(theirs, measure) - _value(mine, measure) for mine, theirs in drawn])
        chance = np.array([its[measure] for its in swapped])
        rows = [(fold[0].total.fold, [place]) for place, fold in enumerate(folds)]
        for fold, places in [*rows, *([(None, list(range(len(folds))))] if len(folds) > 1 else [])]:
            reference, value = values[places].mean(axis=0).tolist()
            difference = value - reference
            p_value = permutation_p(difference, chance[places].mean(axis=0))
            samples = [Sample(float(values[n, 1] - values[n, 0]), moved[n], freedom[n]) for n in places]
            bounds = interval_of_mean(samples, level, -100.0)
            found.append(Difference(measure, fold, reference, value, difference, bounds, p_value, p_value))
    return found


def _value(ratios: Ratios, measure: str) -> Floats:
    return cast("Floats", getattr(ratios, measure))


def _episodes(mine: pd.DataFrame, theirs: pd.DataFrame) -> tuple[Episodes, ...]:
    margin = episode_ious(theirs) - episode_ious(mine)
    folds = mine["fold"].to_numpy(dtype=np.int64)
    known: list[int | None] = sorted(set(folds.tolist()))
    whole: list[int | None] = [None] if len(known) > 1 else []
    found = []
    for fold in known + whole:
        its = margin if fold is None else margin[folds == fold]
        won, lost = int(np.count_nonzero(its > EQUAL)), int(np.count_nonzero(its < -EQUAL))
        found.append(Episodes(fold, won, lost, len(its) - won - lost))
    return tuple(found)


def episode_ious(frame: pd.DataFrame) -> Floats:
    """Return the IoU of each episode, in per cent: the mean over its classes, 1 for one that is nowhere."""
    return np.array(
        [
            100.0 * np.mean([both / either if either else 1.0 for both, either in zip(row[1:], of[1:], strict=True)])
            for row, of in zip(frame["intersection"], frame["union"], strict=True)
        ]
    )
