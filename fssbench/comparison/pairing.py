"""Whether runs can be compared episode by episode, and if not, the reason."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from fssbench.errors import BrokenFileError, UsageError
from fssbench.ledger.words import HEADS, fact_text, named
from fssbench.results.arguments import is_scored, method_argument, protocol_argument
from fssbench.results.ledger import ledger_of

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results, Run
    from fssbench.results.record import FoldRecord


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
            raise UsageError(f"{_where(one)} is given twice: a run is not compared with itself")
    for results in runs:
        if results.run.is_shard:
            raise UsageError(
                f"{_where(results)} is shard {results.run.as_shard} of a run, only a part of each list; "
                "only whole runs can be compared",
                f"fssbench merge {shlex.quote(str(results.folder.parent))}" if results.folder else "fssbench merge",
            )
        if results.missing or results.frame.empty:
            expected = sum(results.run.expected(fold) for fold in results.run.folds)
            raise UsageError(
                f"{_where(results)} is unfinished: {results.missing} of {expected} episodes are missing",
                _command(results, "--resume"),
            )
    reference = runs[0]
    for other in runs[1:]:
        _check_alike(reference, other)
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


_EVALUATED: dict[str, Callable[[Run], object]] = {
    "data set": lambda run: run.dataset.name,
    "task": lambda run: run.method.task,
    "ways": lambda run: run.way,
    "shots": lambda run: run.shot,
    "split of the data set": lambda run: run.split,
    "data fingerprint": lambda run: run.dataset.fingerprint,
    "options of the data set": lambda run: dict(run.dataset.options),
    "number of references of each query": lambda run: run.references or "the protocol's own",
    "absent queries": lambda run: [fold.absent for fold in run.folds] if run.has_absent else "none drawn",
}
_COUNTED: dict[str, Callable[[Run], object]] = {
    "scoring size": lambda run: _scoring_size(run),
    "rule for pixels labelled 255": lambda run: run.protocol.ignore,
    "rule for classes without a ground-truth pixel": lambda run: run.protocol.absent,
    "rule for the query's pixels labelled 255 in prediction": lambda run: run.protocol.query_rim,
    "rule for base classes": lambda run: None if run.protocol.base is None else run.protocol.base.asked,
}
_SHORTENED = 12


def _scoring_size(run: Run) -> str:
    rules = run.protocol
    if rules.score_at == "original" and rules.resize not in ("pillow-and-back", "opencv-pad-squeezed"):
        return "original"
    return f"{rules.score_at} {rules.input[0]} x {rules.input[1]}, {rules.resize}"


def counted_alike(one: Run, other: Run) -> bool:
    """Return whether two runs have the same data, episode lists and rules of counting, so that they can be compared."""
    return _list_key(one) == _list_key(other)


def _list_key(run: Run) -> list[object]:
    lists = [(fold.fold, fold.episodes_hash, fold.run_length) for fold in run.folds]
    return [lists, *(field_of(run) for field_of in (*_EVALUATED.values(), *_COUNTED.values()))]


def _check_alike(reference: Results, other: Results) -> None:
    for what, field_of in _EVALUATED.items():
        if field_of(reference.run) != field_of(other.run):
            raise _differ(
                what, field_of(reference.run), field_of(other.run), reference, other, _again(reference, other)
            )
    folds = [[fold.fold for fold in results.run.folds] for results in (reference, other)]
    if folds[0] != folds[1]:
        raise _differ("folds", folds[0], folds[1], reference, other, _again(reference, other))
    for mine, theirs in zip(reference.run.folds, other.run.folds, strict=True):
        _check_list(mine, theirs, reference, other)
    for what, field_of in _COUNTED.items():
        if field_of(reference.run) != field_of(other.run):
            raise _differ(
                what, field_of(reference.run), field_of(other.run), reference, other, _again(reference, other)
            )


def _check_list(mine: FoldRecord, theirs: FoldRecord, reference: Results, other: Results) -> None:
    if mine.episodes_hash != theirs.episodes_hash:
        lists = [
            f"{fold.episodes} episodes drawn by {fold.drawn_by}, seed {fold.seed} ({fold.episodes_hash[:_SHORTENED]})"
            for fold in (mine, theirs)
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
        f"these runs can't be compared, as they differ in the {what}: "
        f"{mine} in {_where(reference)}, {theirs} in {_where(other)}",
        remedy,
    )


def _again(reference: Results, other: Results) -> str:
    """Return the command that evaluates the other run's method on the lists of the reference."""
    lists = f"{_where(reference)}/episodes-fold{{fold}}.json"
    method, run = other.run.method, reference.run
    command = ["fssbench", "eval", "--method", method_argument(method), "--dataset", run.dataset.name]
    command += ["--backbone", method.backbone] if method.backbone else []
    command += ["--variant", method.variant] if method.variant and method.task == run.method.task else []
    command += ["--episodes", lists]
    command += ["--protocol", protocol_argument(run.protocol)] if run.protocol.own is not None else []
    command += ["--fold", str(run.folds[0].fold)] if len(run.folds) == 1 else []
    command += ["--limit", str(run.limit)] if run.limit else []
    return f"{shlex.join(command)} --out NEW_FOLDER"


def _command(results: Results, option: str) -> str:
    """Return the command that started a run, with an option added."""
    typed = results.run.starts[-1].command if results.run.starts else ()
    scored = is_scored(results.run)
    verb, option = ("score", "--overwrite") if scored else ("eval", option)
    if not typed or typed[:2] != ("fssbench", verb):
        return f"fssbench {verb} ... --out {_where(results)} {option}"
    kept = [word for word in typed if word not in ("--overwrite", option)]
    if "--shard" in kept:  # the command of one of the shards that were merged
        place = kept.index("--shard")
        del kept[place : place + 2]
    kept = [word for word in kept if not word.startswith("--shard=")]
    return f"{shlex.join(kept)} {option}"


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
            f"{_where(results)} has {'all' if results.run.limit is None else f'only the first {results.run.limit}'}"
            for results in runs
        )
        notes.append(f"the runs have different parts of the same lists ({limits}): only common episodes are compared")
    elif any(results.run.requested(fold) < fold.episodes for results in runs for fold in results.run.folds):
        option = "--limit" if runs[0].run.until is None else "--until"
        notes.append(f"{option}: only the first {runs[0].run.limit} episodes of each list were evaluated")
    notes += [
        f"{_where(results)} has random weights: its numbers say nothing about the method"
        for results in runs
        if any(fold.weights.kind == "random" for fold in results.run.folds)
    ]
    parts = (results.frame[results.frame["episode"] < results.frame["fold"].map(common)] for results in runs)
    frames = [part.sort_values(["fold", "episode"], ignore_index=True) for part in parts]
    if partial := [_where(results) for results in runs if any(fold.unanswered for fold in results.run.folds)]:
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
            found.append(f"{_where(other)} read different {what} under the same names in {which}")
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
                f"fold {row['fold']}, episode {row['episode']} has another {column} in {_where(other)} than in "
                f"{_where(reference)}, though their lists are the same: the rows of one were changed",
                _command(other, "--overwrite"),
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
            f"these runs can't be compared: the masks of {len(changed)} queries are others in {_where(other)} than in "
            f"{_where(reference)}, the first that of {min(changed)}",
            _again(reference, other),
        )


def _where(results: Results) -> str:
    return "a run in memory" if results.folder is None else str(results.folder)


def run_names(runs: Sequence[Results]) -> tuple[str, ...]:
    """Return the name of each run: method, variant and backbone, with the folder if two have the same name."""
    plain = []
    for results in runs:
        method = results.run.method
        precision = None if results.run.precision == "float32" else results.run.precision
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
        name if plain.count(name) == 1 else f"{name} ({results.folder or f'run {number}'})"
        for number, (name, results) in enumerate(zip(plain, runs, strict=True), 1)
    )
