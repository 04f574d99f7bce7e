"""Runs paired by episode: the rows that all of them have, and what has to be known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from fssbench.comparison.alike import again, check_alike
from fssbench.comparison.run_names import run_names, where
from fssbench.comparison.whole_runs import check_whole, typed_again
from fssbench.errors import BrokenFileError, UsageError
from fssbench.ledger.words import HEADS, fact_text, named
from fssbench.results.ledger import ledger_of

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results


@dataclass(frozen=True, eq=False)
class Pairing:
    """Runs with their rows of the same episodes.

    Attributes:
        names: The name of each run: method, variant and backbone, with the folder if two runs have the same name.
        runs: The runs; the first is the reference.
        frames: The rows of each run, for the same episodes in the same order.
        notes: Caveats that belong to every number.
    """

    names: tuple[str, ...]
    runs: tuple[Results, ...]
    frames: tuple[pd.DataFrame, ...]
    notes: tuple[str, ...]


def pair(runs: Sequence[Results]) -> Pairing:
    """Pair the rows of runs by episode.

    Runs of the same list with different limits are compared on the episodes that all of them have.

    Args:
        runs: Two or more finished runs; the first is the reference.

    Raises:
        UsageError: If there are fewer than two runs, a run is a shard, is unfinished or is passed twice, or the runs
            differ in their episodes or in the rules of counting.
        BrokenFileError: If the rows of two runs are not of the same episodes although their lists are.
    """
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more", "fssbench compare RUN_A RUN_B")
    for one, other in combinations(runs, 2):
        if one is other or (one.folder and other.folder and one.folder.resolve() == other.folder.resolve()):
            raise UsageError(f"{where(one)} is given twice: a run is not compared with itself")
    for results in runs:
        check_whole(results)
    reference = runs[0]
    for other in runs[1:]:
        check_alike(reference, other)
    frames, notes = _cut(runs)
    for other, frame in zip(runs[1:], frames[1:], strict=True):
        _check_rows(frames[0], frame, reference, other)
    names = run_names(runs)
    return Pairing(names, tuple(runs), tuple(frames), (*notes, *_ledger(names, runs)))


_COMPARED = ("training", "novel_images", "adapts", "given")


def _ledger(names: Sequence[str], runs: Sequence[Results]) -> list[str]:
    """Return the caveats of what the runs have seen and were given: where they differ, and seen test classes."""
    found = [ledger_of(results.run) for results in runs]
    notes = [
        f"{name} was trained on masks of {named(seen.masks, seen.tested)}, which are tested"
        for name, (_, seen) in zip(names, found, strict=True)
        if seen.masks
    ]
    differing = [
        f"{HEADS[fact]}: "
        + ", ".join(
            f"{name} {fact_text(facts, fact, results.run.method.backbone)}"
            for name, results, (facts, _) in zip(names, runs, found, strict=True)
        )
        for fact in _COMPARED
        if len({getattr(facts, fact) for facts, _ in found}) > 1
    ]
    return [*notes, *([f"the runs differ in what was seen and given; {'; '.join(differing)}"] if differing else [])]


def _cut(runs: Sequence[Results]) -> tuple[list[pd.DataFrame], list[str]]:
    """Return the rows of the episodes that all runs have, and the caveats of that."""
    common = {
        fold.fold: min(
            results.run.requested(other) for results in runs for other in results.run.folds if other.fold == fold.fold
        )
        for fold in runs[0].run.folds
    }
    notes = []
    counts = [tuple(results.run.requested(fold) for fold in results.run.folds) for results in runs]
    if len(set(counts)) > 1:
        limits = "; ".join(
            f"{where(results)} has {'all' if results.run.limit is None else f'only the first {results.run.limit}'}"
            for results in runs
        )
        notes.append(f"the runs have different parts of the same lists ({limits}): only common episodes are compared")
    elif any(results.run.requested(fold) < fold.episodes for results in runs for fold in results.run.folds):
        option = "--limit" if runs[0].run.until is None else "--until"
        notes.append(f"{option}: only the first {runs[0].run.limit} episodes of each list were evaluated")
    notes += [
        f"{where(results)} has random weights: its numbers say nothing about the method"
        for results in runs
        if any(fold.weights.kind == "random" for fold in results.run.folds)
    ]
    parts = (results.frame[results.frame["episode"] < results.frame["fold"].map(common)] for results in runs)
    frames = [part.sort_values(["fold", "episode"], ignore_index=True) for part in parts]
    if partial := [where(results) for results in runs if any(fold.unanswered for fold in results.run.folds)]:
        frames = _predicted_in_all(frames)
        notes.append(f"episodes without a prediction in {', '.join(partial)} are left out of all runs")
    notes += [
        note for results, frame in zip(runs[1:], frames[1:], strict=True) for note in _images(frames[0], frame, results)
    ]
    return frames, notes


def _images(mine: pd.DataFrame, theirs: pd.DataFrame, other: Results) -> list[str]:
    """Return caveats if another run read different photos, or masks of supports, under the same names."""
    found = []
    for kind, what in (("photos", "photos"), ("masks", "masks of supports")):
        pairs = _digests(mine, theirs, kind)
        if count := sum(any(x != y for x, y in zip(a, b, strict=True) if x and y) for a, b in pairs):
            which = f"{count} of {len(mine)} episodes"
            found.append(f"{where(other)} read different {what} under the same names in {which}")
    return found


def _digests(mine: pd.DataFrame, theirs: pd.DataFrame, kind: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the digests of each episode in two runs, in the order of `Row.photos`; empty ones if a run has none."""
    if kind not in mine.columns or kind not in theirs.columns or len(mine) != len(theirs):
        return []
    return [
        (a, b) if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) else ((), ())
        for a, b in zip(mine[kind], theirs[kind], strict=True)
    ]


def _predicted_in_all(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return the rows of the episodes that all frames have."""
    keys = [list(zip(frame["fold"], frame["episode"], strict=True)) for frame in frames]
    common = set.intersection(*map(set, keys))
    if not common:
        raise UsageError("no episode has a prediction in all of these runs")
    return [frame[[key in common for key in of_frame]] for frame, of_frame in zip(frames, keys, strict=True)]


def _check_rows(mine: pd.DataFrame, theirs: pd.DataFrame, reference: Results, other: Results) -> None:
    for column in ("fold", "episode", "query", "classes", "truth"):
        differs = next(
            (n for n, (a, b) in enumerate(zip(mine[column], theirs[column], strict=True)) if a != b),
            None,
        )
        if differs is not None:
            row = mine.iloc[differs]
            raise BrokenFileError(
                f"fold {row['fold']}, episode {row['episode']} has another {column} in {where(other)} than in "
                f"{where(reference)}, though their lists are the same: the rows of one were changed",
                typed_again(other, "--overwrite"),
            )
    _check_truth(mine, theirs, reference, other)


def _check_truth(mine: pd.DataFrame, theirs: pd.DataFrame, reference: Results, other: Results) -> None:
    """Refuse runs whose pixels were counted on different masks of the queries: their differences are not paired."""
    changed = {
        str(query)
        for query, (a, b) in zip(mine["query"], _digests(mine, theirs, "masks"), strict=False)
        if a[:1] != b[:1] and all((*a[:1], *b[:1]))
    }
    if changed:
        raise UsageError(
            f"these runs can't be compared: the masks of {len(changed)} queries are others in {where(other)} than in "
            f"{where(reference)}, the first that of {min(changed)}",
            again(reference, other),
        )
