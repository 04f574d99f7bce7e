"""Whether two runs were evaluated on the same episodes and counted by the same rules, and if not, what differs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from fssbench.comparison.run_names import where
from fssbench.errors import UsageError
from fssbench.results.arguments import method_argument, protocol_argument

if TYPE_CHECKING:
    from fssbench.results import Results, Run
    from fssbench.results.record import FoldRecord

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


def check_alike(reference: Results, other: Results) -> None:
    """Refuse to compare two runs that differ in their data, episode lists or rules of counting.

    Raises:
        UsageError: With the first difference, and the command that evaluates the other method as the reference was.
    """
    _check_fields(_EVALUATED, reference, other)
    folds = [[fold.fold for fold in results.run.folds] for results in (reference, other)]
    if folds[0] != folds[1]:
        raise _differ("folds", folds[0], folds[1], reference, other, again(reference, other))
    for mine, theirs in zip(reference.run.folds, other.run.folds, strict=True):
        _check_list(mine, theirs, reference, other)
    _check_fields(_COUNTED, reference, other)


def _check_fields(fields: Mapping[str, Callable[[Run], object]], reference: Results, other: Results) -> None:
    for what, field_of in fields.items():
        mine, theirs = field_of(reference.run), field_of(other.run)
        if mine != theirs:
            raise _differ(what, mine, theirs, reference, other, again(reference, other))


def _check_list(mine: FoldRecord, theirs: FoldRecord, reference: Results, other: Results) -> None:
    if mine.episodes_hash != theirs.episodes_hash:
        lists = [
            f"{fold.episodes} episodes drawn by {fold.drawn_by}, seed {fold.seed} ({fold.episodes_hash[:_SHORTENED]})"
            for fold in (mine, theirs)
        ]
        what = f"episode list of fold {mine.fold}"
        raise _differ(what, lists[0], lists[1], reference, other, again(reference, other))
    if mine.run_length != theirs.run_length:
        raise _differ("number of episodes per run", mine.run_length, theirs.run_length, reference, other, None)


def _differ(
    what: str, mine: object, theirs: object, reference: Results, other: Results, remedy: str | None
) -> UsageError:
    if isinstance(mine, str) and what == "data fingerprint":
        mine, theirs = mine[:_SHORTENED], str(theirs)[:_SHORTENED]
    return UsageError(
        f"these runs can't be compared, as they differ in the {what}: "
        f"{mine} in {where(reference)}, {theirs} in {where(other)}",
        remedy,
    )


def again(reference: Results, other: Results) -> str:
    """Return the command that evaluates the other run's method on the lists of the reference."""
    lists = f"{where(reference)}/episodes-fold{{fold}}.json"
    method, run = other.run.method, reference.run
    command = ["fssbench", "eval", "--method", method_argument(method), "--dataset", run.dataset.name]
    command += ["--backbone", method.backbone] if method.backbone else []
    command += ["--variant", method.variant] if method.variant and method.task == run.method.task else []
    command += ["--episodes", lists]
    command += ["--protocol", protocol_argument(run.protocol)] if run.protocol.own is not None else []
    command += ["--fold", str(run.folds[0].fold)] if len(run.folds) == 1 else []
    command += ["--limit", str(run.limit)] if run.limit else []
    return f"{shlex.join(command)} --out NEW_FOLDER"
