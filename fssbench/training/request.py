"""What a training was requested to be, and the names and recipes that follow from it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fssbench.errors import UsageError, did_you_mean
from fssbench.methods.build_arguments import check_build
from fssbench.methods.catalogue import MethodInfo, list_methods, method_info
from fssbench.planning.defaults import FROM_SCRATCH, build_options
from fssbench.planning.resolve import Names, Setting, resolve, resolve_task, resolve_variant
from fssbench.training.recipe import Option, Recipe


@dataclass(frozen=True)
class Request:
    """The options of `fssbench train`; None for an option that the recipe decides."""

    dataset: str
    fold: int
    method: str | None = None
    variant: str | None = None
    task: Literal["fss", "fscs"] | None = None
    backbone: str | None = None
    backbone_weights: Path | None = None
    config: Path | None = None
    ways: int | None = None
    shots: int | None = None
    weak: bool = False
    steps: int | None = None
    batch: int | None = None
    seed: int = 0
    device: str = "cpu"
    out: Path | None = None
    root: Path | None = None
    resume: bool = False
    tensorboard: bool = False


def recipe_name(network: str, info: MethodInfo | None, variant: str, request: Request) -> tuple[str, str]:
    """Return the method and variant whose recipe is used.

    A method that is not registered uses the recipe that `--config` names after its class, "MyNet/pascal5i"; without a
    file it is trained like HSNet.
    """
    if info is None or info.own is None:
        return network, variant
    if request.config is not None:
        return info.name.rpartition(":")[2], variant
    return "hsnet", "fscs" if info.tasks[variant] == "fscs" else ""


def trained_network(request: Request) -> str:
    """Return the name of the method or backbone that is trained.

    Raises:
        UsageError: If none was named, or it can't be trained.
    """
    if request.seed < 0:
        raise UsageError(f"a seed is a number from 0, not {request.seed}")
    if request.method is not None:
        info = method_info(request.method)
        if info.trainable:
            return request.method
        if info.own is not None:
            raise UsageError(
                f"{info.name} has nothing to train: it has no losses",
                "give the class losses(batch), which returns the losses of a TrainingBatch by name",
            )
        trainable = [name for name in list_methods() if method_info(name).trainable]
        raise UsageError(f"{request.method} has nothing to train; there are {', '.join(trainable)}")
    if request.backbone is None:
        raise UsageError("no method or backbone was named", "--method hsnet; or --backbone small for a backbone")
    if request.backbone not in FROM_SCRATCH:
        raise UsageError(
            f"backbone '{request.backbone}' can't be trained here; {', '.join(FROM_SCRATCH)} can"
            f"{did_you_mean(request.backbone, FROM_SCRATCH)}"
        )
    return request.backbone


def names_of(request: Request) -> Names:
    """Return what the request names, for `fssbench.planning.resolve`."""
    return Names(
        purpose="train",
        dataset=request.dataset,
        trained_on=request.dataset,
        method=request.method,
        variant=request.variant,
        task=request.task,
        backbone=request.backbone,
        way=request.ways or 1,
        weak=request.weak,
    )


def trained_variant(names: Names, info: MethodInfo | None) -> str:
    """Return the trained variant, by which recipes are found: the one that was named, or the task's first."""
    if info is None or names.method is None:
        return ""
    if names.variant is not None:
        check_build(names.method, None, names.variant, 1, 1)
    return resolve_variant(names, info, resolve_task(names, info))


def setting_of(names: Names, info: MethodInfo | None, found: Mapping[str, Recipe]) -> Setting:
    """Return the setting of a training by its recipes, with the protocol of the validation."""
    ways = max(recipe.way for recipe in found.values())
    if info is not None and ways > 1 and resolve_task(names, info) == "fss":
        raise UsageError(f"{info.name} learns this task from 1-way episodes only, not {ways}-way", "leave --ways out")
    validated = [recipe.validation for recipe in found.values() if recipe.validation]
    protocols = {validation.protocol for validation in validated} or {""}
    return resolve(
        replace(
            names,
            recipe_backbone=_single_value("backbone", {recipe.backbone for recipe in found.values()}) or None,
            way=ways,
            counted=info is not None and bool(validated),
            protocol=_single_value("the protocol of their validation", protocols) or None,
        )
    )


def changed(chosen: Recipe, request: Request) -> Recipe:
    """Return a recipe with the numbers that the request has instead.

    Raises:
        UsageError: If one of them is below 1.
    """
    steps, shot = _number("--steps", request.steps), _number("--shots", request.shots)
    return replace(
        chosen,
        steps=steps or chosen.steps,
        epochs=None if steps else chosen.epochs,
        batch=_number("--batch", request.batch) or chosen.batch,
        way=_number("--ways", request.ways) or chosen.way,
        shot=(shot or chosen.shot) if chosen.shot else 0,
        backbone=(request.backbone if request.method else None) or chosen.backbone,
    )


def _number(option: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise UsageError(f"{option} is at least 1, not {value}")
    return value


def _single_value(what: str, values: set[str]) -> str:
    if len(values) > 1:
        raise UsageError(f"the recipes of the stages differ in {what}: {', '.join(sorted(values))}")
    return next(iter(values))


def options_of(request: Request, info: MethodInfo, variant: str, found: Mapping[str, Recipe]) -> dict[str, Option]:
    """Return the options that the method is built with, from the recipes of all stages.

    Raises:
        UsageError: If two stages differ in an option.
    """
    options: dict[str, Option] = {}
    # The options in HSNet's recipe are for HSNet only.
    borrowed = info.own is not None and request.config is None
    for recipe in () if borrowed else found.values():
        for name, value in recipe.options.items():
            if options.setdefault(name, value) != value:
                raise UsageError(f"the recipes of the stages differ in the option {name}, but all train one network")
    if request.weak:
        options["weak"] = True
    return build_options(info, variant, request.backbone, request.dataset, options)
