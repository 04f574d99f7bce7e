"""The rows of two runs that are held against each other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.explaining.worth import Measure, Worth, worth
from fssbench.metrics.summary import DRAWS

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.explaining.rerunning import Again
    from fssbench.explaining.rescoring import Rescorer
    from fssbench.results import Results


@dataclass(frozen=True, eq=False)
class Question:
    """What is compared.

    Attributes:
        a: The first run.
        b: The second.
        measure: The metric.
        limit: Look at the first so many episodes of each list only.
        again: How choices are tested by running again; None if they are not.
        rescorers: The saved predictions of each run, where there are any.
        draws: Number of bootstrap draws.
    """

    a: Results
    b: Results
    measure: Measure = "miou"
    limit: int | None = None
    again: Again | None = None
    rescorers: tuple[Rescorer | None, Rescorer | None] = (None, None)
    draws: int | None = None


@dataclass(frozen=True, eq=False)
class Sides:
    """The rows of both runs that are looked at.

    Attributes:
        runs: The runs.
        frames: Their rows of the common folds, and of the first episodes with a limit.
        folds: The common folds.
        notes: Caveats.
    """

    runs: tuple[Results, Results]
    frames: tuple[pd.DataFrame, pd.DataFrame]
    folds: tuple[int, ...]
    notes: tuple[str, ...]


def sides_of(a: Results, b: Results, limit: int | None) -> Sides:
    """Return the rows of two runs that can be compared at all.

    Raises:
        UsageError: If they are of other data sets or tasks, have no fold in common, are shards, or are unfinished.
    """
    for one in (a, b):
        if one.run.is_shard or one.missing or one.frame.empty:
            what = (
                f"shard {one.run.as_shard}" if one.run.is_shard else f"unfinished: {one.missing} episodes are missing"
            )
            remedy = f"fssbench merge {shlex.quote(str((one.folder or Path()).parent))}"
            raise UsageError(f"{one.folder} is {what}", remedy if one.run.is_shard else "continue it with --resume")
    for what, x, y in (
        ("data set", a.run.dataset.name, b.run.dataset.name),
        ("task", a.run.method.task, b.run.method.task),
    ):
        if x != y:
            raise UsageError(
                f"these runs can't be explained by each other: the {what} is {x} in {a.folder}, {y} in {b.folder}",
                "fssbench table --runs shows them one below the other",
            )
    folds = tuple(sorted({fold.fold for fold in a.run.folds} & {fold.fold for fold in b.run.folds}))
    if not folds:
        raise UsageError(f"{a.folder} and {b.folder} have no fold in common", "fssbench eval --fold")
    notes = []
    if any({fold.fold for fold in one.run.folds} != set(folds) for one in (a, b)):
        notes.append(f"only fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))}, which both have")
    if limit is not None:
        notes.append(f"only the first {limit} episodes of each list: a sample of the whole difference")
    notes += [
        f"{one.folder} has random weights: its numbers say nothing about the method"
        for one in (a, b)
        if any(fold.weights.kind == "random" for fold in one.run.folds)
    ]
    notes += [
        f"{one.folder} ended where its own interval was narrow (--until): the intervals here are not corrected for that"
        for one in (a, b)
        if one.run.until is not None
    ]
    frames = (part_of(a.frame, folds, limit), part_of(b.frame, folds, limit))
    return Sides((a, b), frames, folds, tuple(notes))


def part_of(frame: pd.DataFrame, folds: Sequence[int], limit: int | None) -> pd.DataFrame:
    """Return the rows of some folds, and of the first episodes of each with a limit, in the order of the episodes."""
    kept = frame["fold"].isin(list(folds))
    if limit is not None:
        kept &= frame["episode"] < limit
    return frame[kept].sort_values(["fold", "episode"], ignore_index=True)


def worth_of(question: Question, sides: Sides, before: pd.DataFrame, after: pd.DataFrame, last: int = 1) -> Worth:
    """Return what it is worth to go from rows of the first run to rows that are averaged as those of run `last`."""
    draws = DRAWS if question.draws is None else question.draws
    runs = sides.runs
    return worth((before, runs[0].run), (after, runs[last].run), sides.folds, question.measure, draws=draws)
