"""Paired comparison: the difference of two methods on the same episodes, with its interval and its p-value.

The first run is the reference. With x the mIoU (or another metric) of a run, each other run has:

- the difference d = x - x_reference;
- the interval d ± t s, as in `fssbench.metrics.intervals`. The bootstrap that gives s draws the same query images for
  both runs (`fssbench.metrics.bootstrap`), so an image that is hard for both methods does not widen the interval;
- the p-value of a permutation test, also with Holm's correction over all methods that are compared with the reference,
  separately for each metric and each fold (`fssbench.comparison.permutation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fssbench.comparison.differences import Difference, bootstrapped, differences
from fssbench.comparison.further import further_differences
from fssbench.comparison.pairing import pair
from fssbench.comparison.permutation import EQUAL, holm
from fssbench.errors import UsageError
from fssbench.metrics.counts import Floats, base_classes_of
from fssbench.metrics.fold_counts import CountingRules, FoldCounts, count_folds
from fssbench.metrics.summary import DRAWS, LEVEL
from fssbench.results.summary import caveats_of_list, format_classes
from fssbench.results.until import decided_by_data

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results


@dataclass(frozen=True)
class Episodes:
    """The number of episodes in which the method's IoU is larger than the reference's, smaller, or equal.

    The IoU of an episode is the mean over its classes. A class with neither predicted nor ground-truth pixels counts
    as 1.
    """

    fold: int | None
    won: int
    lost: int
    tied: int


@dataclass(frozen=True)
class Duel:
    """One method against the reference.

    Attributes:
        name: Name of the method.
        folder: Folder of the run, as it was passed.
        differences: Sorted by metric, then by fold. If there are several folds, the mean over them comes last.
        episodes: One per fold. If there are several folds, the total comes last.
    """

    name: str
    folder: str
    differences: tuple[Difference, ...]
    episodes: tuple[Episodes, ...]


@dataclass(frozen=True)
class Comparison:
    """Methods against a reference on the same episodes.

    Attributes:
        reference: Name of the reference method.
        folder: Folder of its run, as it was passed.
        title: Data set, ways, shots, and number of episodes.
        duels: The other methods, in the order of the runs.
        measures: The metrics that are compared.
        draws: Number of bootstrap draws, and of permutations.
        level: Nominal coverage of the intervals.
        notes: Caveats that belong to the numbers.
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
    """Compare methods with a reference on the same episodes.

    Args:
        runs: Two or more finished runs of the same lists (`fssbench.results.load_run`); the first is the reference.
        draws: Number of bootstrap draws, and of permutations.
        level: Nominal coverage of the intervals; it is raised where the data decided when a run ended (`Run.until`).
        seed: Seed of the bootstrap and of the permutations.

    Raises:
        UsageError: If the runs can't be paired (`fssbench.comparison.pair`), or a number is out of range.
        BrokenFileError: If the rows of two runs are not of the same episodes.
    """
    if draws < 1 or not 0 < level < 1:
        raise UsageError(f"draws are 1 or more and a level is between 0 and 1, not {draws} and {level}")
    pairing = pair(runs)
    reference, mine = runs[0], pairing.frames[0]
    run = reference.run
    nominal, level = level, decided_by_data([results.run.until for results in runs], level)
    folds = _counted(pairing.frames, reference)
    drawn = [bootstrapped(fold, draws, np.random.default_rng([seed, fold[0].total.fold])) for fold in folds]
    measures = ["miou", "fb_iou"] + (["exact_ratio"] if run.method.task == "fscs" else [])
    measures += ["base_miou", "total_miou"] if run.generalised else []
    found = [
        differences(
            [(fold[0], fold[other]) for fold in folds],
            [(d[0], d[other]) for d in drawn],
            measures,
            draws,
            level,
            seed,
        )
        + further_differences(mine, pairing.frames[other], run, draws, level, seed)
        for other in range(1, len(runs))
    ]
    corrected = [holm(values) for values in zip(*([each.p_value for each in one] for one in found), strict=True)]
    duels = tuple(
        Duel(
            name=pairing.names[other],
            folder=str(runs[other].folder or ""),
            differences=tuple(
                replace(each, p_holm=corrected[place][other - 1]) for place, each in enumerate(found[other - 1])
            ),
            episodes=_episodes(mine, pairing.frames[other]),
        )
        for other in range(1, len(runs))
    )
    return Comparison(
        reference=pairing.names[0],
        folder=str(reference.folder or ""),
        title=f"{run.dataset.title or run.dataset.name}, {run.way}-way {run.shot}-shot, "
        f"{len(mine)} episodes, {len(set(mine['query']))} query images",
        duels=duels,
        measures=tuple(dict.fromkeys(each.measure for each in found[0])),
        draws=draws,
        level=level,
        notes=(
            *pairing.notes,
            *caveats_of_list(run),
            *_decided_by_data(runs, nominal, level),
            *_without_truth(folds),
        ),
    )


def _counted(frames: Sequence[pd.DataFrame], reference: Results) -> list[tuple[FoldCounts, ...]]:
    """Return the counts of each run for each fold, all over the same classes."""
    run = reference.run
    lengths = {fold.fold: fold.run_length for fold in run.folds if fold.run_length}
    base: dict[int, tuple[int, ...]] | None = None
    if all("base" in frame.columns for frame in frames):
        folds = sorted({int(fold) for fold in frames[0]["fold"]})
        base = {
            fold: tuple(sorted({c for frame in frames for c in base_classes_of(frame[frame["fold"] == fold])}))
            for fold in folds
        }
    counting = CountingRules(None, base, run.generalised, lengths, absent_as_zero=False)
    return list(zip(*(count_folds(frame, counting) for frame in frames), strict=True))


def _decided_by_data(runs: Sequence[Results], nominal: float, level: float) -> list[str]:
    """Return the caveat of runs that ended by what they showed: of their looks, any could have been the last."""
    rules = [results.run.until for results in runs if results.run.until is not None and results.run.until.corrected]
    if not rules:
        return []
    return [
        f"--until: the data decided how many episodes were evaluated. Intervals are of {100 * level:.2f} % each, so "
        f"that those of all looks together hold in {100 * nominal:g} %; p ≤ {1 - level:.4f} is what "
        f"p ≤ {1 - nominal:.4g} is elsewhere"
    ]


def _without_truth(folds: Sequence[tuple[FoldCounts, ...]]) -> list[str]:
    return [
        f"no query of fold {one.total.fold} has a pixel of {format_classes(one.without_truth)}, "
        "which counts 0 in the mIoU of every method"
        for one, *_ in folds
        if one.without_truth
    ]


def _episodes(mine: pd.DataFrame, theirs: pd.DataFrame) -> tuple[Episodes, ...]:
    margin = episode_ious(theirs) - episode_ious(mine)
    folds = mine["fold"].to_numpy(dtype=np.int64)
    known: list[int | None] = sorted(set(folds.tolist()))
    whole: list[int | None] = [None] if len(known) > 1 else []
    found = []
    for fold in known + whole:
        margins = margin if fold is None else margin[folds == fold]
        won, lost = int(np.count_nonzero(margins > EQUAL)), int(np.count_nonzero(margins < -EQUAL))
        found.append(Episodes(fold, won, lost, len(margins) - won - lost))
    return tuple(found)


def episode_ious(frame: pd.DataFrame) -> Floats:
    """Return the IoU of each episode, in per cent: the mean over its classes, where a class of union 0 counts as 1."""
    return np.array(
        [
            100.0 * np.mean([both / either if either else 1.0 for both, either in zip(row[1:], of[1:], strict=True)])
            for row, of in zip(frame["intersection"], frame["union"], strict=True)
        ]
    )
