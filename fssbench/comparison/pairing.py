"""Which runs may be compared episode by episode, and why not."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from fssbench.errors import BrokenFileError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results, Run
    from fssbench.results.record import FoldRecord, MethodRecord, ProtocolRecord


@dataclass(frozen=True, eq=False)
class Pairing:
    """Runs whose rows stand side by side.

    Attributes:
        names: What each run is called: the method with its form and backbone, with its folder where two are alike.
        runs: They; the first is the reference.
        frames: The rows of each, of the same episodes in the same order.
        notes: What has to be said beside every number.
    """

    names: tuple[str, ...]
    runs: tuple[Results, ...]
    frames: tuple[pd.DataFrame, ...]
    notes: tuple[str, ...]


def pair(runs: Sequence[Results]) -> Pairing:
    """Put the rows of runs side by side.

    Runs of one list that were cut by different limits are compared on the episodes that all of them have.

    Args:
        runs: Two or more, finished; the first is the reference.

    Raises:
        UsageError: If they are not two, one is a shard, unfinished or there twice, or they were not asked and counted
            alike.
        BrokenFileError: If the rows of two runs are not of the same episodes although their lists are.
    """
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs or more", "fssbench compare RUN_A RUN_B")
    for one, other in combinations(runs, 2):
        if one is other or (one.folder and other.folder and one.folder.resolve() == other.folder.resolve()):
            raise UsageError(f"{_where(one)} is given twice: a run is not compared with itself")
    for its in runs:
        if its.run.is_shard:
            raise UsageError(
                f"{_where(its)} is shard {its.run.as_shard} of a run, only a part of each list; "
                "only whole runs can be compared",
                f"fssbench merge {shlex.quote(str(its.folder.parent))}" if its.folder else "fssbench merge",
            )
        if its.missing or its.frame.empty:
            asked = sum(its.run.expected(fold) for fold in its.run.folds)
            raise UsageError(
                f"{_where(its)} is unfinished: {its.missing} of {asked} episodes are missing", _command(its, "--resume")
            )
    reference = runs[0]
    for other in runs[1:]:
        _check_alike(reference, other)
    frames, notes = _cut(runs)
    for other, frame in zip(runs[1:], frames[1:], strict=True):
        _check_rows(frames[0], frame, reference, other)
    return Pairing(_names(runs), tuple(runs), tuple(frames), tuple(notes))


_ASKED: dict[str, Callable[[Run], object]] = {
    "data set": lambda run: run.dataset.name,
    "task": lambda run: run.method.task,
    "ways": lambda run: run.way,
    "shots": lambda run: run.shot,
    "side of the data set": lambda run: run.split,
    "data fingerprint": lambda run: run.dataset.fingerprint,
    "options of the data set": lambda run: dict(run.dataset.options),
}
_COUNTED: dict[str, Callable[[Run], object]] = {
    "scoring size": lambda run: _scoring_size(run),
    "rule for pixels labelled 255": lambda run: run.protocol.ignore,
    "rule for classes that a label map has not": lambda run: run.protocol.absent,
    "question about base classes": lambda run: None if run.protocol.base is None else run.protocol.base.asked,
}
_SHORTENED = 12


def _scoring_size(run: Run) -> str:
    rules = run.protocol
    return "original" if rules.score_at == "original" else f"input {rules.input[0]} x {rules.input[1]}, {rules.resize}"


def _check_alike(reference: Results, other: Results) -> None:
    for what, of in _ASKED.items():
        if of(reference.run) != of(other.run):
            raise _differ(what, of(reference.run), of(other.run), reference, other, _again(reference, other))
    folds = [[fold.fold for fold in its.run.folds] for its in (reference, other)]
    if folds[0] != folds[1]:
        raise _differ("folds", folds[0], folds[1], reference, other, _again(reference, other))
    for mine, theirs in zip(reference.run.folds, other.run.folds, strict=True):
        _check_list(mine, theirs, reference, other)
    for what, of in _COUNTED.items():
        if of(reference.run) != of(other.run):
            raise _differ(what, of(reference.run), of(other.run), reference, other, _again(reference, other))


def _check_list(mine: FoldRecord, theirs: FoldRecord, reference: Results, other: Results) -> None:
    if mine.episodes_hash != theirs.episodes_hash:
        lists = [
            f"{its.episodes} episodes drawn by {its.drawn_by}, seed {its.seed} ({its.episodes_hash[:_SHORTENED]})"
            for its in (mine, theirs)
        ]
        what = f"episode list of fold {mine.fold}"
        raise _differ(what, lists[0], lists[1], reference, other, _again(reference, other))
    if mine.run_length != theirs.run_length:
        raise _differ("number of episodes per run", mine.run_length, theirs.run_length, reference, other, None)


def _differ(
    what: str, mine: object, theirs: object, reference: Results, other: Results, remedy: str | None
) -> UsageError:
    if isinstance(mine, str) and what == "data fingerprint":
        mine, theirs = mine[:_SHORTENED], str(theirs)[:_SHORTENED]
    return UsageError(
        f"these runs can't be paired, as they differ in the {what}: "
        f"{mine} in {_where(reference)}, {theirs} in {_where(other)}",
        remedy,
    )


def _again(reference: Results, other: Results) -> str:
    """Return the command that asks the other run's method the reference's list."""
    lists = f"{_where(reference)}/episodes-fold{{fold}}.json"
    method, run = other.run.method, reference.run
    words = ["fssbench", "eval", "--method", _named(method), "--dataset", run.dataset.name]
    words += ["--backbone", method.backbone] if method.backbone else []
    words += ["--variant", method.variant] if method.variant and method.task == run.method.task else []
    words += ["--episodes", lists]
    words += ["--protocol", _file_of(run.protocol)] if run.protocol.own is not None else []
    words += ["--fold", str(run.folds[0].fold)] if len(run.folds) == 1 else []
    words += ["--limit", str(run.limit)] if run.limit else []
    return f"{shlex.join(words)} --out NEW_FOLDER"


def _named(method: MethodRecord) -> str:
    """Return how a method is named in a command: one that is not registered by its file."""
    if method.code is None or method.code.path is None:
        return method.name
    source, _, name = method.name.rpartition(":")
    return f"{method.code.path}:{name}" if source.endswith(".py") else method.name


def _file_of(protocol: ProtocolRecord) -> str:
    """Return how a protocol from outside is named in a command."""
    if protocol.own is None or protocol.own.package is not None:
        return protocol.name
    table, at, size = protocol.name.rpartition(":")[2].partition("@")
    return f"{protocol.own.path}:{table}{at}{size}"


def _command(its: Results, option: str) -> str:
    """Return the command that started a run, with one option more."""
    typed = its.run.starts[-1].command if its.run.starts else ()
    if not typed or typed[:2] != ("fssbench", "eval"):
        return f"fssbench eval ... --out {_where(its)} {option}"
    kept = [word for word in typed if word not in ("--overwrite", option)]
    if "--shard" in kept:  # of one of the shards that the run was put together from
        place = kept.index("--shard")
        del kept[place : place + 2]
    kept = [word for word in kept if not word.startswith("--shard=")]
    return f"{shlex.join(kept)} {option}"


def _cut(runs: Sequence[Results]) -> tuple[list[pd.DataFrame], list[str]]:
    """Return the rows of the episodes that all runs have, and what to say of it."""
    asked = {
        fold.fold: min(its.run.requested(other) for its in runs for other in its.run.folds if other.fold == fold.fold)
        for fold in runs[0].run.folds
    }
    notes = []
    counts = [tuple(its.run.requested(fold) for fold in its.run.folds) for its in runs]
    if len(set(counts)) > 1:
        said = "; ".join(
            f"{_where(its)} {'was asked all' if its.run.limit is None else f'only the first {its.run.limit}'}"
            for its in runs
        )
        notes.append(f"the runs have different parts of the same lists ({said}): compared on what all have")
    elif any(its.run.requested(fold) < fold.episodes for its in runs for fold in its.run.folds):
        notes.append(f"--limit: only the first {runs[0].run.limit} episodes of each list were asked")
    notes += [
        f"{_where(its)} has random weights: its numbers say nothing about the method"
        for its in runs
        if any(fold.weights.kind == "random" for fold in its.run.folds)
    ]
    parts = (its.frame[its.frame["episode"] < its.frame["fold"].map(asked)] for its in runs)
    frames = [part.sort_values(["fold", "episode"], ignore_index=True) for part in parts]
    if partial := [_where(its) for its in runs if any(fold.unanswered for fold in its.run.folds)]:
        frames = _predicted_in_all(frames)
        notes.append(f"episodes without a prediction in {', '.join(partial)} are left out of all runs")
    notes += [note for its, frame in zip(runs[1:], frames[1:], strict=True) for note in _photos(frames[0], frame, its)]
    return frames, notes


def _photos(mine: pd.DataFrame, theirs: pd.DataFrame, other: Results) -> list[str]:
    """Say in how many episodes another run saw other photos of the same names; rows of earlier versions do not tell."""
    if "photos" not in mine.columns or "photos" not in theirs.columns or len(mine) != len(theirs):
        return []
    count = sum(
        a is not None and b is not None and a != b for a, b in zip(mine["photos"], theirs["photos"], strict=True)
    )
    return [f"{_where(other)} saw other photos of the same names in {count} of {len(mine)} episodes"] if count else []


def _predicted_in_all(frames: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return the rows of the episodes that every frame has."""
    keys = [list(zip(frame["fold"], frame["episode"], strict=True)) for frame in frames]
    common = set(keys[0]).intersection(*keys[1:])
    if not common:
        raise UsageError("no episode is answered in all of these runs")
    return [frame[[key in common for key in its]] for frame, its in zip(frames, keys, strict=True)]


def _check_rows(mine: pd.DataFrame, theirs: pd.DataFrame, reference: Results, other: Results) -> None:
    for column in ("fold", "episode", "query", "classes", "truth"):
        differs = next(
            (n for n, (a, b) in enumerate(zip(mine[column], theirs[column], strict=True)) if a != b),
            None,
        )
        if differs is not None:
            row = mine.iloc[differs]
            raise BrokenFileError(
                f"fold {row['fold']}, episode {row['episode']} has another {column} in {_where(other)} than in "
                f"{_where(reference)}, though their lists are the same: the rows of one were changed",
                _command(other, "--overwrite"),
            )


def _where(its: Results) -> str:
    return "a run in memory" if its.folder is None else str(its.folder)


def _names(runs: Sequence[Results]) -> tuple[str, ...]:
    plain = []
    for its in runs:
        method = its.run.method
        precision = None if its.run.precision == "float32" else its.run.precision
        words = (
            method.name,
            method.variant,
            method.backbone,
            "weak" if method.options.get("weak") else None,
            precision,
        )
        plain.append(" ".join(word for word in words if word))
    if len(set(plain)) == len(plain):
        return tuple(plain)
    return tuple(
        name if plain.count(name) == 1 else f"{name} ({its.folder or f'run {number}'})"
        for number, (name, its) in enumerate(zip(plain, runs, strict=True), 1)
    )
