"""Several methods, data sets and numbers of shots as one evaluation: a plan for each of their combinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.datasets.catalogue import REGISTRY as DATASETS
from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import CheckpointError, FSSBenchError, MissingError, UsageError, unknown_name
from fssbench.escape import in_path
from fssbench.methods.catalogue import REGISTRY as METHODS
from fssbench.methods.catalogue import info_at_hand, list_methods
from fssbench.planning.plan import Plan, plan, with_folder

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.planning.request import Request

_WILD = frozenset("*?")
_OPTIONS = {"method": "--method", "data set": "--dataset"}


@dataclass(frozen=True)
class Named:
    """A name of an option that takes several.

    Attributes:
        name: The name.
        wild: Whether only a wildcard stands for it. Then what can't be evaluated is left out.
    """

    name: str
    wild: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A combination that wildcards stand for and that can't be evaluated.

    Attributes:
        method: The method.
        dataset: The data set.
        shot: The number of shots; None for the default.
        reason: Why it can't be evaluated.
    """

    method: str
    dataset: str
    shot: int | None
    reason: str


@dataclass(frozen=True)
class Several:
    """The plans of several runs, data set by data set, and what was left out.

    Attributes:
        plans: The plans.
        left_out: The combinations that were left out.
        methods: How many methods there are.
        datasets: How many data sets.
        shots: How many numbers of shots.
    """

    plans: tuple[Plan, ...]
    left_out: tuple[LeftOut, ...] = ()
    methods: int = 1
    datasets: int = 1
    shots: int = 1


def plan_several(
    request: Request, methods: Sequence[str], datasets: Sequence[str], shots: Sequence[int | None]
) -> Several:
    """Return a plan for each method, data set and number of shots; those of several go to folders of their own.

    Args:
        request: What all have in common.
        methods: Names of methods; `*` and `?` are wildcards.
        datasets: Names of data sets; also wildcards.
        shots: Numbers of shots; None for the default.

    Raises:
        FSSBenchError: If one that was named can't be evaluated, or none of those that wildcards stand for.
    """
    names = named("method", [METHODS.spelled(name) for name in methods], list_methods())
    sets = named("data set", [DATASETS.spelled(name) for name in datasets], list_datasets())
    wild = any(one.wild for one in (*names, *sets))
    if not wild and len(names) == len(sets) == len(shots) == 1:
        return Several((plan(replace(request, method=names[0].name, dataset=sets[0].name, shots=shots[0])),))
    _check_options(request, several_methods=len(names) > 1, several_sets=len(sets) > 1)
    in_sets = len(sets) > 1 or sets[0].wild
    # --backbone is for those that have one, unless none has.
    infos = filter(None, (info_at_hand(one.name) for one in names))
    floors = {info.name for info in infos if not info.all_backbones}
    without_backbone = floors if len(floors) < len(names) else set()
    plans: list[Plan] = []
    left_out: list[LeftOut] = []
    first: FSSBenchError | None = None
    for dataset in sets:
        opened: Dataset | None = None
        folder = request.out / in_path(dataset.name).strip("-.") if request.out is not None and in_sets else request.out
        together = len(names) * len(shots)
        for method in names:
            for shot in shots:
                one = replace(request, method=method.name, dataset=dataset.name, shots=shot, together=together)
                one = replace(one, backbone=None if method.name in without_backbone else request.backbone)
                out = None if folder is None else own_folder(request, folder, method.name, shot, len(shots))
                made = _plan_or_reason(replace(one, out=out), opened, optional=method.wild or dataset.wild)
                if isinstance(made, Plan):
                    plans.append(made)
                    opened = made.dataset
                else:
                    first = first or made
                    left_out.append(LeftOut(method.name, dataset.name, shot, made.message))
    if not plans and first is not None:
        raise type(first)(f"none of {len(left_out)} runs can be evaluated; the first: {first.message}", first.remedy)
    return Several(tuple(plans), tuple(left_out), len(names), len(sets), len(shots))


def named(kind: str, texts: Sequence[str], known: Sequence[str]) -> list[Named]:
    """Return the names that texts stand for, each once; a name that also stands there itself is not wild.

    Raises:
        UsageError: If nothing fits a wildcard, or a name is there twice in two spellings.
    """
    given = set(texts)
    found: dict[str, Named] = {}
    for text in texts:
        if not is_wild(text):
            if text in found:
                raise UsageError(f"the {kind} {text} is there twice", f"name it once after {_OPTIONS[kind]}")
            found[text] = Named(text)
            continue
        fitting = [name for name in known if fnmatchcase(name, text.lower().replace("[", "[[]"))]
        if not fitting:
            raise unknown_name(kind, text, known)
        for name in fitting:
            if name not in given:
                found.setdefault(name, Named(name, wild=True))
    return list(found.values())


def is_wild(text: str) -> bool:
    """Return whether a text is a pattern, and not a name."""
    return bool(_WILD & set(text))


def by_dataset(plans: Sequence[Plan]) -> list[list[Plan]]:
    """Return plans in groups of one data set, as they follow each other."""
    return [list(group) for _, group in groupby(plans, key=lambda one: one.request.dataset)]


def left_out_lines(several: Several) -> list[str]:
    """Return a line for each reason, with what was left out for it."""
    by_reason: dict[str, list[LeftOut]] = {}
    for one in several.left_out:
        by_reason.setdefault(one.reason, []).append(one)
    return [f"left out: {'; '.join(_titles(several, ones))}: {reason}" for reason, ones in by_reason.items()]


def _titles(several: Several, left_out: Sequence[LeftOut]) -> list[str]:
    titles: list[str] = []
    for dataset in dict.fromkeys(one.dataset for one in left_out):
        here = [one for one in left_out if one.dataset == dataset]
        if several.datasets > 1 and len(here) == several.methods * several.shots:
            titles.append(f"all on {dataset}")
            continue
        where = f" on {dataset}" if several.datasets > 1 else ""
        for method in dict.fromkeys(one.method for one in here):
            counts = [one.shot or 1 for one in here if one.method == method]
            which = "" if len(counts) == several.shots else f", {','.join(map(str, counts))}-shot"
            titles.append(f"{method}{where}{which}")
    return titles


def own_folder(request: Request, out: Path, method: str, shot: int | None, shot_counts: int) -> Path:
    """Return the folder of one method and one number of shots in the folder of all.

    One shot is the default: where it is the only number its folder does not name it, typed or not. A run that was begun
    in a folder of the other name is continued there.
    """
    from fssbench.results.run_reader import RUN, Existing

    short = out / in_path(method).strip("-.")
    long = short.with_name(f"{short.name}-{shot or 1}shot")
    folder, other = (short, long) if shot_counts == 1 and shot in (None, 1) else (long, short)
    elsewhere = shot in (None, 1) and (other / RUN).exists() and not (folder / RUN).exists()
    return other if elsewhere and request.existing is Existing.RESUME else folder


def _check_options(request: Request, *, several_methods: bool, several_sets: bool) -> None:
    if request.label is not None and several_methods:
        raise UsageError(
            "--label names one method", "evaluate the methods one by one, or fssbench table --label METHOD=NAME"
        )
    if request.checkpoint is not None and several_methods:
        raise UsageError(
            "--checkpoint is of one method", "evaluate the methods one by one, or register the checkpoints"
        )
    if not several_sets:
        return
    if request.checkpoint is not None and request.train_dataset is None:
        raise UsageError(
            "--checkpoint was trained on one data set, and several are evaluated",
            "--train-dataset NAME says on which, or evaluate the data sets one by one",
        )
    if request.episodes is not None and not request.episodes.strip().isdecimal():
        raise UsageError("a list of episodes is of one data set", "evaluate the data sets one by one")


def _plan_or_reason(request: Request, opened: Dataset | None, *, optional: bool) -> Plan | FSSBenchError:
    """Return a plan; of a run that only wildcards stand for, the error by which it can't be evaluated.

    Its folder is checked apart: a run that is there already is never left out in silence.
    """
    if not optional:
        return plan(request, opened)
    try:
        found = plan(replace(request, leads=False), opened)
        _check_shots(found)
    except (UsageError, MissingError, CheckpointError) as error:
        return error
    return with_folder(replace(found, request=replace(found.request, leads=request.leads)))


def _check_shots(found: Plan) -> None:
    """Refuse registered weights for other numbers of shots.

    Raises:
        CheckpointError: Naming them.
    """
    from fssbench.checkpoints import records

    names = {name for source in found.sources.values() for name in (source.checkpoint or "").split("+")}
    for entry in records():
        if entry.id in names and entry.shots and found.shot not in entry.shots:
            numbers = ",".join(map(str, entry.shots))
            name = found.info.name
            raise CheckpointError(f"the weights of {name} are for {numbers}-shot episodes", f"--method {name}")
