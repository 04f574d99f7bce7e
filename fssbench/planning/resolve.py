"""From the names on the command line to what they mean, in the same way for `eval`, `score` and `train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fssbench.episode.samplers import sampler
from fssbench.errors import UsageError, unknown_name
from fssbench.methods.build_arguments import check_build, check_weak
from fssbench.methods.catalogue import MethodInfo, list_backbones, method_info
from fssbench.planning.base_classes import check_base_classes_known, check_base_classes_shared
from fssbench.planning.defaults import protocol_source
from fssbench.planning.request import Task
from fssbench.protocols.rules import Protocol, ProtocolFile, ScoreAt, default_protocol, protocols_on
from fssbench.protocols.rules import protocol as protocol_of

Purpose = Literal["evaluate", "score", "train", "segment"]


@dataclass(frozen=True)
class Names:
    """The names on the command line; None where nothing was typed.

    Attributes:
        purpose: What the names are for. Only an evaluation has to fit the base classes of a method. A training has a
            protocol for its validation only, and may have other ways. One's own photos have no episodes, so that of the
            protocol only the input counts.
        dataset: The data set for evaluation or training.
        trained_on: The data set that the weights were trained on.
        method: None if predictions come from elsewhere, or a backbone is trained.
        variant: Variant of the method.
        task: "fss" or "fscs".
        backbone: Name of the backbone.
        recipe_backbone: The backbone of the recipe, used if none was named.
        protocol: Name of the protocol.
        score_at: Size at which IoU is counted.
        way: N.
        shot: K.
        weak: Whether the method learns from image-level labels.
        counted: Whether pixels are counted: a training without validation needs no protocol.
    """

    purpose: Purpose
    dataset: str
    trained_on: str
    method: str | None = None
    variant: str | None = None
    task: Task | None = None
    backbone: str | None = None
    recipe_backbone: str | None = None
    protocol: str | None = None
    score_at: ScoreAt | None = None
    way: int = 1
    shot: int = 1
    weak: bool = False
    counted: bool = True


@dataclass(frozen=True)
class Setting:
    """What is evaluated, scored or trained: the names exist and fit each other.

    Attributes:
        method: Catalogue entry of the method; None if predictions come from elsewhere, or a backbone is trained.
        variant: Its variant; empty where it has only one.
        backbone: Its backbone; None if it has none.
        protocol: The counting rules for the data set; None if nothing is counted.
        trained_on: The data set that the weights were trained on.
        dataset: The data set for evaluation or training.
        way: N.
        shot: K.
    """

    method: MethodInfo | None
    variant: str
    backbone: str | None
    protocol: Protocol | None
    trained_on: str
    dataset: str
    way: int
    shot: int

    @property
    def info(self) -> MethodInfo:
        """The method; only for a setting that has one."""
        assert self.method is not None  # noqa: S101 - an evaluation always has one
        return self.method

    @property
    def rules(self) -> Protocol:
        """The protocol; only for a setting that has one."""
        assert self.protocol is not None  # noqa: S101 - an evaluation and a score always have one
        return self.protocol


def resolve(names: Names) -> Setting:
    """Return what the names mean.

    Raises:
        UsageError: If a name does not exist or does not fit the others.
    """
    info = None if names.method is None else method_info(names.method)
    task = None if info is None else resolve_task(names, info)
    protocol = _protocol(names, info, task) if names.counted else None
    if protocol is not None and names.purpose in ("evaluate", "score"):
        if info is not None:
            check_base_classes_known(info, protocol)
            check_base_classes_shared(info, protocol, names.trained_on, names.dataset)
        protocol.check(names.dataset, names.way, names.shot)
    variant = "" if info is None or task is None else resolve_variant(names, info, task)
    if info is not None and names.weak:
        check_weak(info, variant)
    backbone = names.backbone if info is None else _backbone(names, info, protocol, variant)
    if names.method is not None:
        check_build(names.method, backbone, variant, names.way, names.shot)
    return Setting(info, variant, backbone, protocol, names.trained_on, names.dataset, names.way, names.shot)


def resolve_task(names: Names, info: MethodInfo) -> Task:
    """Return the task: the one that was named, or else that of the variant, of the protocol, or of the number of ways.

    Raises:
        UsageError: If the method has no variant for it, or the named variant is for another task.
    """
    if names.task is not None:
        task = names.task
    elif names.variant in info.tasks:
        task = info.tasks[names.variant]
    elif names.protocol is not None:
        task = protocol_of(names.protocol).task
    elif names.way > 1 and not _takes_ways(names, info):
        task = "fscs"
    else:
        task = next(iter(info.tasks.values()))
    if names.variant in info.tasks and info.tasks[names.variant] != task:
        other = info.tasks[names.variant]
        if names.purpose == "train":
            raise UsageError(f"{info.name} in variant {names.variant} is for the task {other}, not {task}")
        raise UsageError(
            f"{info.name}'s variant {names.variant} is for the task {other}, not {task}", "leave --task out"
        )
    if info.variant_for(task) is None:
        raise UsageError(f"{info.name} has no variant for the task {task}", "fssbench list methods")
    return task


def _takes_ways(names: Names, info: MethodInfo) -> bool:
    """Return whether the method's first variant and its release's protocol support this many ways on the data set."""
    task = next(iter(info.tasks.values()))
    most = info.most_ways(task)
    if names.purpose == "train" or task != "fss" or most is None or names.way > most:
        return False
    source = protocol_source(names.dataset, names.trained_on, names.backbone)
    rules = protocol_of(default_protocol(source, task, info.protocol_for(task, None, source)))
    return rules.takes(names.dataset) and names.way <= rules.on(names.dataset).way[1]


def resolve_variant(names: Names, info: MethodInfo, task: Task) -> str:
    """Return the variant: the one that was named, or the first variant for the task."""
    if names.variant is not None:
        return names.variant
    return info.variant_for(task) or next(iter(info.tasks))


def _protocol(names: Names, info: MethodInfo | None, task: Task | None) -> Protocol:
    """Return the protocol: the one that was named, or the one by which the method's release evaluates."""
    name = names.protocol
    if name is None:
        if info is None or task is None:
            raise UsageError("no protocol was named, and none is known", "--protocol NAME")
        source = protocol_source(names.dataset, names.trained_on, names.backbone)
        name = default_protocol(source, task, info.protocol_for(task, resolve_variant(names, info, task), source))
    protocol = protocol_of(name)
    required = task if names.purpose == "train" else names.task
    if required is not None and protocol.task != required:
        raise UsageError(
            f"protocol {protocol.name} is for the task {protocol.task}, not {required}", "fssbench list protocols"
        )
    if names.score_at is not None:
        protocol = protocol.at(names.score_at)
    try:
        here = protocol.on(names.dataset)
    except UsageError as error:
        others = protocols_on(names.dataset, protocol.task)
        if protocol.takes(names.dataset) or not others:
            raise
        named = f"--protocol {others[0]}" + (f"; or {', '.join(others[1:])}" if others[1:] else "")
        raise UsageError(error.message, named) from error
    if here.own is not None:
        _check_own(here, here.own)
    return here


def _check_own(protocol: Protocol, own: ProtocolFile) -> None:
    """Refuse a protocol from outside that names a sampler or a backbone that is not there."""
    try:
        sampler(protocol.sampler)
        if protocol.backbone is not None and protocol.backbone not in list_backbones():
            raise unknown_name("backbone", protocol.backbone, list_backbones(), "fssbench list backbones")
    except UsageError as error:
        raise UsageError(f"{own.path}: {error.message}", f"edit {own.path}") from error


def _backbone(names: Names, info: MethodInfo, protocol: Protocol | None, variant: str) -> str | None:
    """Return the backbone: the one that was named, or that of the recipe, of the protocol, or the variant's first."""
    backbones = info.backbones_for(variant)
    if not backbones:
        if names.backbone is not None:
            raise UsageError(f"{info.name} has no backbone", "leave --backbone out")
        return None
    if named := names.backbone or names.recipe_backbone:
        return named
    if protocol is not None and protocol.backbone in backbones:
        return protocol.backbone
    return backbones[0]
