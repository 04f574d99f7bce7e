"""What a training run is, checked before anything heavy is imported. No torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from fssbench.checkpoints import locate
from fssbench.checkpoints.registry import find_backbone
from fssbench.datasets import open_dataset
from fssbench.datasets.catalogue import require_training
from fssbench.datasets.dataset import Dataset
from fssbench.errors import MissingError, UsageError
from fssbench.escape import in_path
from fssbench.methods.catalogue import MethodInfo, OwnSource, check_build, list_methods, method_info
from fssbench.planning.base_classes import check_base_class_count
from fssbench.planning.defaults import FROM_SCRATCH, options_source, recipe_source
from fssbench.planning.resolve import Names, Setting, resolve, resolve_task, resolve_variant
from fssbench.protocols.rules import Protocol
from fssbench.training.draws import training_lists
from fssbench.training.recipe import Option, Recipe
from fssbench.training.recipes import recipes


@dataclass(frozen=True)
class Request:
    """What the user asked for; None = as the recipe says. The fields are the options of `fssbench train`."""

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


@dataclass(frozen=True)
class Plan:
    """A training run that can begin.

    Attributes:
        method: The method, None if the backbone is what is trained.
        variant: Its form; empty where it has only one.
        backbone: Its backbone.
        backbone_weights: The file of the weights its backbone starts with; None if the backbone is what is trained, or
            the method makes its own.
        recipes: How it is trained, by stage ("" for what holds where a stage has none), with what the user changed;
            every length is in steps.
        options: What it is built with besides.
        rules: How answers are counted in validation; None without one.
        dataset: The opened data set.
        fold: The fold whose classes are not seen.
        seed: Seed of initial weights and episodes.
        device: Where it is computed.
        folder: Where state, log and result go.
        resume: Whether to go on from the state there.
        tensorboard: Whether curves are written for TensorBoard too.
        own: Where the code of the method is, if it is not registered.
        borrowed: The recipe of another method that it is trained by, for want of one of its own; empty if it is not.
    """

    method: str | None
    variant: str
    backbone: str
    backbone_weights: Path | None
    recipes: Mapping[str, Recipe]
    options: Mapping[str, Option]
    rules: Protocol | None
    dataset: Dataset
    fold: int
    seed: int
    device: str
    folder: Path
    resume: bool
    tensorboard: bool = False
    own: OwnSource | None = None
    borrowed: str = ""

    @property
    def network(self) -> str:
        """What is trained."""
        return self.method or self.backbone

    @property
    def way(self) -> int:
        """N of the training episodes."""
        return max(its.way for its in self.recipes.values())

    @property
    def shot(self) -> int:
        """K of the training episodes."""
        return max(1, *(its.shot for its in self.recipes.values()))

    def identity(self, recipe: Recipe) -> dict[str, str]:
        """What decides the result of a stage, by name."""
        protocol = None if self.rules is None or recipe.validation is None else self.rules.own
        files = {"code of the method": self.own, "protocol": protocol}
        return {name: file.sha256 for name, file in files.items() if file is not None} | {
            "network": self.network,
            "variant": self.variant,
            "options": str(dict(self.options)),
            "recipe": str(recipe),
            "data": self.dataset.fingerprint,
            "fold": str(self.fold),
            "seed": str(self.seed),
        }


def state_file(stage: str) -> str:
    """Return the name of the file that a stage goes on from."""
    return f"state-{stage}.pt" if stage else "state.pt"


def plan(request: Request) -> Plan:
    """Return the run that was asked for.

    Raises:
        UsageError: If a name or number does not exist, or they do not fit each other.
        MissingError: If data, weights or a file of recipes are not there.
        BrokenFileError: If the file of recipes is not one.
    """
    network = _network(request)
    info = method_info(request.method) if request.method else None
    names = _names(request)
    variant = _variant(names, info)
    require_training(request.dataset, "--dataset pascal5i")
    like = recipe_source(request.dataset, request.backbone)
    called, form = _recipe_name(network, info, variant, request)
    found = recipes(called, request.dataset, request.config, variant=form, weak=request.weak, like=like)
    found = {stage: _changed(its, request) for stage, its in found.items()}
    setting = _setting(replace(names, variant=variant or None), info, found)
    backbone = setting.backbone or network
    options = {} if info is None else _options(request, info, variant, found)
    dataset = open_dataset(request.dataset, request.root)
    dataset.check_fold(request.fold)
    dataset.check_learnable(request.fold)
    if info is not None:
        there = len(dataset.fold_classes(request.fold, "train"))
        if info.base_classes and there != info.base_classes:
            options.setdefault("base_classes", there)  # what learns base classes learns those that the fold has
        check_base_class_count(info, options, dataset, request.fold)
    weights = None if _starts_alone(request, info, backbone) else _weights(request, backbone)
    folder = request.out or _default_folder(request, network, variant, info)
    if not request.resume and any(folder.glob("state*.pt")):
        raise UsageError(f"{folder} holds a training run already", "--resume to go on with it, or another --out")
    if request.tensorboard:
        _check_tensorboard()
    return Plan(
        method=request.method,
        variant=variant,
        backbone=backbone,
        backbone_weights=weights,
        recipes={stage: in_steps(its, dataset, request.fold) for stage, its in found.items()},
        options=options,
        rules=setting.protocol,
        dataset=dataset,
        fold=request.fold,
        seed=request.seed,
        device=request.device,
        folder=folder,
        resume=request.resume,
        tensorboard=request.tensorboard,
        own=None if info is None else info.own,
        borrowed=found[next(iter(found))].name if info is not None and info.own and request.config is None else "",
    )


def in_steps(chosen: Recipe, dataset: Dataset, fold: int) -> Recipe:
    """Return a recipe whose length, and whose validations, are counted in steps; a last part of a batch is dropped."""
    every = chosen.validation.every if chosen.validation else 1
    if chosen.steps is not None and isinstance(every, int):
        return chosen
    pictures = chosen.epoch or len(set(chain.from_iterable(training_lists(dataset, fold, chosen.lists).values())))
    epoch = max(1, pictures // chosen.batch)
    steps = chosen.steps or (chosen.epochs or 1) * epoch
    if isinstance(every, str):
        every = epoch * (1 if every == "epoch" else int(every.split()[0]))
    validation = chosen.validation and replace(chosen.validation, every=every)
    return replace(chosen, steps=steps, epochs=None, validation=validation)


def _recipe_name(network: str, info: MethodInfo | None, variant: str, request: Request) -> tuple[str, str]:
    """Return by which method's recipe, and variant of it, a network is trained.

    A method that is not registered has the recipe that `--config` names after its class, "MyNet/pascal5i"; without a
    file it is trained as HSNet is.
    """
    if info is None or info.own is None:
        return network, variant
    if request.config is not None:
        return info.name.rpartition(":")[2], variant
    return "hsnet", "fscs" if info.tasks[variant] == "fscs" else ""


def _network(request: Request) -> str:
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
        able = [name for name in list_methods() if method_info(name).trainable]
        raise UsageError(f"{request.method} has nothing to train; there are {', '.join(able)}")
    if request.backbone is None:
        raise UsageError("nothing is named that could be trained", "--method hsnet; or --backbone small for a backbone")
    if request.backbone not in FROM_SCRATCH:
        raise UsageError(f"backbone '{request.backbone}' can't be trained here; {', '.join(FROM_SCRATCH)} can")
    return request.backbone


def _names(request: Request) -> Names:
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


def _variant(names: Names, info: MethodInfo | None) -> str:
    """Return the form that is trained, by which recipes are found: the one that was named, or the task's first."""
    if info is None or names.method is None:
        return ""
    if names.variant is not None:
        check_build(names.method, None, names.variant, 1, 1)
    return resolve_variant(names, info, resolve_task(names, info))


def _setting(names: Names, info: MethodInfo | None, found: Mapping[str, Recipe]) -> Setting:
    """Return what is trained as recipes say, and by whose rules it is validated."""
    ways = max(recipe.way for recipe in found.values())
    if info is not None and ways > 1 and resolve_task(names, info) == "fss":
        raise UsageError(f"{info.name} learns this task from 1-way episodes only, not {ways}-way", "leave --ways out")
    validated = [recipe.validation for recipe in found.values() if recipe.validation]
    protocols = {validation.protocol for validation in validated} or {""}
    return resolve(
        replace(
            names,
            recipe_backbone=_same("backbone", {recipe.backbone for recipe in found.values()}) or None,
            way=ways,
            counted=info is not None and bool(validated),
            protocol=_same("the protocol of their validation", protocols) or None,
        )
    )


def _changed(chosen: Recipe, request: Request) -> Recipe:
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


def _number(option: str, asked: int | None) -> int | None:
    if asked is not None and asked < 1:
        raise UsageError(f"{option} is at least 1, not {asked}")
    return asked


def _same(what: str, said: set[str]) -> str:
    if len(said) > 1:
        raise UsageError(f"the stages have recipes that differ in {what}: {', '.join(sorted(said))}")
    return next(iter(said))


def _options(request: Request, info: MethodInfo, variant: str, found: Mapping[str, Recipe]) -> dict[str, Option]:
    options: dict[str, Option] = {}
    # The options of HSNet's recipe are HSNet's.
    borrowed = info.own is not None and request.config is None
    for its in () if borrowed else found.values():
        for name, value in its.options.items():
            if options.setdefault(name, value) != value:
                raise UsageError(f"the stages have recipes that differ in the option {name}: they train one network")
    if request.weak:
        options["weak"] = True
    return info.options_on(options_source(request.dataset, info, request.backbone), variant) | options


def _default_folder(request: Request, network: str, variant: str, info: MethodInfo | None) -> Path:
    first = info is None or variant == next(iter(info.tasks))
    parts = [
        in_path(network if info is None else info.name),
        "" if first else variant,
        "weak" if request.weak else "",
        request.dataset,
    ]
    parts += [f"{request.ways}way" if request.ways else "", f"{request.shots}shot" if request.shots else ""]
    return Path("runs") / "-".join(["train", *(part for part in parts if part), f"fold{request.fold}"])


def _check_tensorboard() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError("TensorBoard is not installed here", "pip install 'fssbench[tensorboard]'")


def _starts_alone(request: Request, info: MethodInfo | None, backbone: str) -> bool:
    """Return whether training starts from no backbone's weights: what is trained is a backbone, or has none."""
    if info is None:
        return True
    if backbone not in info.random_start:
        return info.own is not None and not info.backbones
    if request.backbone_weights is not None:
        raise UsageError(
            f"{info.name} with {backbone} is trained from random weights: that is a network of its own there",
            "leave --backbone-weights out",
        )
    return True


def _weights(request: Request, backbone: str) -> Path:
    remedy = "--backbone-weights FILE with its ImageNet weights, as torchvision names them"
    if backbone in FROM_SCRATCH:
        remedy = (
            f"fssbench train --backbone {backbone} --dataset {request.dataset} --fold {request.fold} --out DIR, "
            "then --backbone-weights DIR/weights.safetensors"
        )
    if request.backbone_weights is not None:
        if not request.backbone_weights.is_file():
            raise MissingError(f"there is no file {request.backbone_weights}", remedy)
        return request.backbone_weights
    registered = find_backbone(backbone, request.dataset, request.fold)
    if registered is not None:
        return locate(registered)[0]
    raise MissingError(
        f"{request.method} is trained on a frozen {backbone}, whose weights were not given and are not registered",
        remedy,
    )
