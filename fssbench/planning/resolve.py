"""From the names that were typed to what they mean."""

from __future__ import annotations

from fssbench.errors import UsageError
from fssbench.methods.catalogue import MethodInfo
from fssbench.planning.defaults import protocol_source
from fssbench.planning.request import Request, Task
from fssbench.protocols.rules import Protocol, default_protocol
from fssbench.protocols.rules import protocol as protocol_of


def resolve_task(request: Request, info: MethodInfo) -> Task:
    """Return the task: the one that was named, or the one that the variant and the protocol share."""
    if request.task is not None:
        task = request.task
    elif request.variant in info.tasks:
        task = info.tasks[request.variant]
    elif request.protocol is not None:
        task = protocol_of(request.protocol).task
    elif (request.ways or 1) > 1:
        task = "fscs"
    else:
        task = next(iter(info.tasks.values()))
    if request.variant in info.tasks and info.tasks[request.variant] != task:
        raise UsageError(
            f"{info.name}'s form {request.variant} is for the task {info.tasks[request.variant]}, not {task}",
            "leave --task out",
        )
    if info.variant_for(task) is None:
        raise UsageError(f"{info.name} has no form for the task {task}", "fssbench list methods")
    return task


def resolve_protocol(request: Request, info: MethodInfo, task: Task) -> Protocol:
    """Return the protocol: the one that was named, or the one that the method's release evaluates by."""
    rules = protocol_source(request.dataset, request.trained_on, request.backbone)
    protocol = protocol_of(request.protocol or default_protocol(rules, task, info.protocols[task]))
    if request.task is not None and protocol.task != request.task:
        raise UsageError(
            f"protocol {protocol.name} is for the task {protocol.task}, not {request.task}", "fssbench list protocols"
        )
    if request.score_at is not None:
        protocol = protocol.at(request.score_at)
    return protocol.on(request.dataset)


def resolve_variant(request: Request, info: MethodInfo, task: str) -> str:
    """Return the variant: the one that was named, or the first of the task."""
    if request.variant is not None:
        return request.variant
    return info.variant_for(task) or next(iter(info.tasks))


def resolve_backbone(request: Request, info: MethodInfo, protocol: Protocol, variant: str) -> str | None:
    """Return the backbone: the one that was named, or the first of the variant."""
    backbones = info.backbones_for(variant)
    if not backbones:
        if request.backbone is not None:
            raise UsageError(f"{info.name} has no backbone", "leave --backbone out")
        return None
    if request.backbone is None and protocol.backbone in backbones:
        return protocol.backbone
    return request.backbone or backbones[0]
