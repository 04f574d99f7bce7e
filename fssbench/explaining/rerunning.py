"""A run again with one choice of another run: planned by its record, evaluated as `fssbench eval` does it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.explaining.rules import RULES, rules_of, with_choice, write_rules
from fssbench.planning.replay import recorded_root, request_of
from fssbench.results.run_reader import RUN, Existing, Results

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.explaining.causes import Key
    from fssbench.methods.base.method import Method
    from fssbench.methods.base.pairwise import PairwiseMethod
    from fssbench.planning.plan import Plan
    from fssbench.planning.request import Request
    from fssbench.planning.settings import Settings

NETWORK: tuple[Key, ...] = ("method", "backbone", "weights")
"""The choices that are of the network: it comes with its weights."""


@dataclass(frozen=True)
class Again:
    """How runs are evaluated again.

    Attributes:
        out: Folder of the runs.
        limit: Number of episodes of each list; None for all.
        root: Folder of the data; default the recorded one.
        device: As for `fssbench eval`.
        settings: How to compute.
        show: Evaluates plans, and shows the progress.
    """

    out: Path
    limit: int | None
    root: Path | None
    device: str
    settings: Settings
    show: Callable[[Sequence[Plan]], Sequence[Results]]


@dataclass(frozen=True, eq=False)
class Wanted:
    """A run that is wanted: `base` with one choice of `other`.

    Attributes:
        name: Name of its folder.
        base: The run that is changed.
        other: The run whose choice it gets.
        key: The choice; None for the run as it is.
        folds: The folds.
        own_rule: Whether the rule for K shots is a choice of its own, which has to be exchanged.
    """

    name: str
    base: Results
    other: Results
    key: Key | None
    folds: tuple[int, ...]
    own_rule: bool = False


def run_wanted(wanted: Sequence[Wanted], again: Again) -> dict[str, pd.DataFrame | FSSBenchError]:
    """Return for each wanted run its rows, or why it can't be evaluated.

    Runs that compute alike are evaluated together, so that photos are read and encoded once.
    """
    found: dict[str, pd.DataFrame | FSSBenchError] = {}
    planned: dict[str, list[Plan]] = {}
    for one in wanted:
        if one.own_rule:
            found[one.name] = _tried(lambda one=one: _merged_by(one, again))  # type: ignore[misc]
            continue
        plans = _tried(lambda one=one: plans_of(one, again))  # type: ignore[misc]
        if isinstance(plans, FSSBenchError):
            found[one.name] = plans
        else:
            planned[one.name] = plans
    groups: dict[str, list[str]] = {}
    for name, plans in planned.items():
        request = plans[0].request
        alike = (request.settings, request.root, request.dataset_options, request.trained_on, plans[0].shot)
        groups.setdefault(repr(alike), []).append(name)
    for names in groups.values():
        found |= _evaluated({name: planned[name] for name in names}, again)
    return found


def _tried(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `call` returns, or its error
    try:
        return call()
    except FSSBenchError as error:
        return error


def _evaluated(planned: dict[str, list[Plan]], again: Again) -> dict[str, pd.DataFrame | FSSBenchError]:
    """Evaluate plans together; if that fails one by one, so that one that can't be evaluated hinders no other."""
    import pandas as pd

    try:
        results = iter(again.show([plan for plans in planned.values() for plan in plans]))
        return {
            name: pd.concat([next(results).frame for _ in plans], ignore_index=True) for name, plans in planned.items()
        }
    except FSSBenchError as error:
        if len(planned) == 1:
            return dict.fromkeys(planned, error)
    found: dict[str, pd.DataFrame | FSSBenchError] = {}
    for name, plans in planned.items():
        found |= _evaluated({name: plans}, again)
    return found


def plans_of(one: Wanted, again: Again) -> list[Plan]:
    """Return the plans of a wanted run: one of all folds, or one for each if only some are wanted.

    Raises:
        UsageError: If the run can't be evaluated from its record.
        MissingError: If its data, weights or lists are missing.
    """
    from fssbench.planning.plan import plan

    request = _request(one, again)
    _check_code(one)
    whole = {fold.fold for fold in one.base.run.folds} == set(one.folds)
    out = again.out / one.name
    if whole:
        return [plan(replace(request, out=out, existing=_existing(out)))]
    plans: list[Plan] = []
    for fold in one.folds:
        here = out / f"fold{fold}"
        known = plans[0].dataset if plans else None
        plans.append(plan(replace(request, fold=str(fold), out=here, existing=_existing(here)), known))
    return plans


def plan_by_protocol(base: Results, protocol: str, again: Again) -> Plan:
    """Return the plan of a run by another protocol: its episodes, sizes and rules.

    Raises:
        UsageError: If the run can't be evaluated from its record, or the protocol does not fit it.
        MissingError: If its data or weights are missing.
    """
    from fssbench.planning.plan import plan

    request = request_of(base.run, base.folder or Path(), again.settings, again.root)
    out = again.out / "by-release"
    seed = request.seed if request.random_weights else None
    given = {"shots": base.run.shot, "ways": base.run.way, "episodes": None, "limit": again.limit, "seed": seed}
    changed = replace(request, protocol=protocol, device=again.device, out=out, existing=_existing(out), **given)  # type: ignore[arg-type]
    return plan(replace(changed, shard=None, label=None, label_backbone=None, until=None, ended=None, together=1))


def _check_code(one: Wanted) -> None:
    """Refuse a method in a file that was changed since its run."""
    source = one.other if one.key in NETWORK else one.base
    code = source.run.method.code
    if code is None or code.path is None or code.sha256 is None:
        return
    path = Path(code.path)
    if not path.is_file():
        raise MissingError(f"the code of {source.folder} is not here: {path}", "put the file back")
    if hashlib.sha256(path.read_bytes()).hexdigest() != code.sha256:
        raise UsageError(f"{path} was changed since {source.folder} was evaluated", "evaluate it again")


def _existing(folder: Path) -> Existing:
    return Existing.RESUME if (folder / RUN).exists() else Existing.REFUSE


def _request(one: Wanted, again: Again) -> Request:
    base, other = one.base, one.other
    folder = base.folder or Path()
    request = request_of(base.run, folder, again.settings, again.root)
    rules = rules_of(base.run)
    if one.key in RULES:
        rules = with_choice(rules, one.key, other.run.protocol)
    elif one.key == "episodes":
        request = replace(request, episodes=str((other.folder or Path()) / "episodes-fold{fold}.json"), limit=None)
        rules = replace(rules, way=(other.run.way, other.run.way), split=other.run.split)
    elif one.key in NETWORK:
        theirs = request_of(other.run, other.folder or Path(), again.settings, again.root)
        names = ("method", "backbone", "variant", "checkpoint", "random_weights", "seed", "weak", "train_dataset")
        request = replace(request, **{name: getattr(theirs, name) for name in names})
    elif one.key == "data":
        options = other.run.dataset.options
        given = ("labels", "lists", "part")
        values = {name: None if options.get(name) is None else str(options[name]) for name in given}
        request = replace(request, root=again.root or recorded_root(other.run), **values)  # type: ignore[arg-type]
    elif one.key == "precision":
        request = replace(request, settings=replace(request.settings, precision=other.run.precision))
    elif one.key == "form":
        request = replace(request, settings=replace(request.settings, plain=other.run.plain))
    of_list = other if one.key == "episodes" else base
    limits = [limit for limit in (again.limit, _evaluated_of(of_list)) if limit is not None]
    path = again.out / f"explain-{one.name}.toml"
    again.out.mkdir(parents=True, exist_ok=True)
    write_rules(path, {one.name: rules})
    return replace(
        request,
        protocol=f"{path}:{one.name}",
        limit=min(limits, default=None),
        device=again.device,
        shard=None,
        label=None,
        label_backbone=None,
        until=None,
        ended=None,
        together=1,
    )


def _evaluated_of(results: Results) -> int | None:
    """Return how many episodes of each list a run has; None for all of them."""
    if results.run.until is None:
        return results.run.limit
    return int(results.frame["episode"].max()) + 1  # it has ended where its interval was narrow


def _merged_by(one: Wanted, again: Again) -> pd.DataFrame:
    """Return the rows of a run whose supports are put together by the rule of one method, and all else is of another.

    For the choice "shots" the rule is the other run's, for "method" all but the rule is.
    """
    import pandas as pd

    from fssbench.engine.fold_methods import fold_methods
    from fssbench.engine.folds import RunJob, evaluate_runs
    from fssbench.engine.runner import build_planned
    from fssbench.planning.plan import planned_run
    from fssbench.planning.settings import choose_device

    rule = cast("type[PairwiseMethod[Any]]", _class_of(one.other if one.key == "shots" else one.base))
    frames = []
    for plan in plans_of(replace(one, key=None) if one.key == "shots" else one, again):
        method = build_planned(plan)
        method.__class__ = type(f"{type(method).__name__}With{rule.__name__}", (type(method),), {"merge": rule.merge})
        methods = fold_methods(method, plan.sources)
        job = RunJob(
            planned_run(plan), plan.lists, methods.method_of, plan.protocol, all_in_memory=methods.all_in_memory
        )
        device = choose_device(plan.request.device)
        frames.append(evaluate_runs([job], plan.dataset, device, plan.request.settings)[0].frame)
    return pd.concat(frames, ignore_index=True)


def shot_rules(a: Results, b: Results) -> tuple[bool, bool]:
    """Return whether the rules of two methods for K shots differ and can be exchanged, and whether nothing else does.

    That is so of methods that score one support at a time (`PairwiseMethod`). Their code is imported.

    Raises:
        UsageError: If a method can't be imported.
    """
    from fssbench.methods.base.pairwise import PairwiseMethod

    first, second = _class_of(a), _class_of(b)
    if not (issubclass(first, PairwiseMethod) and issubclass(second, PairwiseMethod)):
        return False, False
    if _same_code(first.merge, second.merge) or a.run.method.task != b.run.method.task:
        return False, False
    return True, _only_merge(first, second) or _only_merge(second, first)


def _class_of(results: Results) -> type[Method[Any, Any]]:
    from fssbench.methods.catalogue import REGISTRY
    from fssbench.results.arguments import method_argument

    cls = REGISTRY.get(method_argument(results.run.method))
    # Code that is named by its file comes in a subclass of its name, which checks what the steps return.
    behind = cls.__mro__[1]
    named = (cls.__module__, cls.__qualname__) == (behind.__module__, behind.__qualname__)
    return cast("type[Method[Any, Any]]", behind) if named else cls


def _same_code(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Return whether two functions are the same one, also if its file was imported twice."""
    code, more = one.__code__, other.__code__
    return (code.co_filename, code.co_qualname) == (more.co_filename, more.co_qualname)


def _only_merge(parent: type, child: type) -> bool:
    """Return whether a class is another one with its own rule for K shots, and nothing else."""
    names = [(inspect.getfile(cls), cls.__qualname__) for cls in child.__mro__ if cls.__module__ != "builtins"]
    own = (inspect.getfile(parent), parent.__qualname__)
    if own not in names:
        return False
    between = child.__mro__[: names.index(own)]
    changed = {name for cls in between for name in vars(cls) if not name.startswith("__") or name == "__init__"}
    return changed <= {"merge", "info", "_abc_impl"}
