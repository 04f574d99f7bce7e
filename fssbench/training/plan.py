"""The plan of a training, checked before anything heavy is imported. No torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from fssbench.checkpoints import locate
from fssbench.checkpoints.hub import backbone_model
from fssbench.checkpoints.registry import find_backbone
from fssbench.datasets import open_dataset
from fssbench.datasets.catalogue import require_training
from fssbench.datasets.dataset import Dataset
from fssbench.errors import MissingError, UsageError
from fssbench.escape import in_path
from fssbench.hub.names import hub_name, is_hub_name
from fssbench.hub.networks import hub_network
from fssbench.methods.catalogue import MethodInfo, OwnSource, method_info
from fssbench.planning.base_classes import check_base_class_count
from fssbench.planning.defaults import FROM_SCRATCH, recipe_source
from fssbench.planning.spelling import spelled
from fssbench.protocols.rules import Protocol
from fssbench.results.weights_record import HubModel
from fssbench.training.draws import training_lists
from fssbench.training.recipe import Option, Recipe
from fssbench.training.recipes import recipes
from fssbench.training.request import (
    Request,
    changed,
    names_of,
    options_of,
    recipe_name,
    setting_of,
    trained_network,
    trained_variant,
)


@dataclass(frozen=True)
class Plan:
    """A training that can begin.

    Attributes:
        method: The method; None if a backbone is trained.
        variant: Its variant; empty where it has only one.
        backbone: Its backbone.
        backbone_weights: The file of the backbone's initial weights; None if a backbone is trained, or the method
            creates its own weights.
        recipes: The recipe of each stage ("" for stages without their own), with the user's changes; all lengths are in
            steps.
        options: Further arguments of `fssbench.build`.
        rules: The counting rules of the validation; None without one.
        dataset: The opened data set.
        fold: The fold whose classes are left out.
        seed: Seed of initial weights and episodes.
        device: Where to compute.
        folder: Where state, log and weights are written.
        resume: Whether to continue from the state file there.
        tensorboard: Whether curves for TensorBoard are written.
        own: The code of the method, if it is not registered.
        hub: The model of the Hugging Face hub that is the backbone; None for another backbone.
        borrowed: The recipe of another method that is used because there is no own recipe; empty if there is one.
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
    hub: HubModel | None = None
    borrowed: str = ""

    @property
    def network(self) -> str:
        """Name of the trained method or backbone."""
        return self.method or self.backbone

    @property
    def pinned_backbone(self) -> str:
        """The backbone as it is built: a model of the hub at its commit."""
        if self.hub is None:
            return self.backbone
        return str(replace(hub_name(self.backbone), revision=self.hub.revision))

    @property
    def way(self) -> int:
        """N of the training episodes."""
        return max(recipe.way for recipe in self.recipes.values())

    @property
    def shot(self) -> int:
        """K of the training episodes."""
        return max(1, *(recipe.shot for recipe in self.recipes.values()))

    def identity(self, recipe: Recipe) -> dict[str, str]:
        """Return what decides the result of a stage, by name."""
        protocol = None if self.rules is None or recipe.validation is None else self.rules.own
        files = {"code of the method": self.own, "protocol": protocol}
        imported = {} if self.own is None else {f"file {name}": sha256 for name, sha256 in self.own.imports}
        return (
            {name: file.sha256 for name, file in files.items() if file is not None}
            | imported
            | {
                "network": self.network,
                "variant": self.variant,
                "options": str(dict(self.options)),
                "recipe": str(recipe),
                "data": self.dataset.fingerprint,
                "fold": str(self.fold),
                "seed": str(self.seed),
            }
        )


def state_file(stage: str) -> str:
    """Return the name of a stage's state file."""
    return f"state-{stage}.pt" if stage else "state.pt"


def plan(request: Request) -> Plan:
    """Return the plan of a training.

    Raises:
        UsageError: If a name or number does not exist, or they do not fit each other.
        MissingError: If data, weights or a file of recipes are missing.
        BrokenFileError: If the file of recipes is not valid.
    """
    request = spelled(request)
    network = trained_network(request)
    info = method_info(request.method) if request.method else None
    names = names_of(request)
    variant = trained_variant(names, info)
    require_training(request.dataset, "--dataset pascal5i")
    fallback = recipe_source(request.dataset, request.backbone)
    recipe_network, recipe_variant = recipe_name(network, info, variant, request)
    found = recipes(
        recipe_network, request.dataset, request.config, variant=recipe_variant, weak=request.weak, fallback=fallback
    )
    usual = next(iter(found.values()))
    found = {stage: changed(recipe, request) for stage, recipe in found.items()}
    setting = setting_of(replace(names, variant=variant or None), info, found)
    backbone = setting.backbone or network
    options = {} if info is None else options_of(request, info, variant, found)
    dataset = open_dataset(request.dataset, request.root)
    dataset.check_fold(request.fold)
    dataset.check_learnable(request.fold)
    if info is not None:
        base_count = len(dataset.fold_classes(request.fold, "train"))
        if info.base_classes and base_count != info.base_classes:
            options.setdefault("base_classes", base_count)  # a method with base classes learns those of the fold
        check_base_class_count(info, options, dataset, request.fold)
    hub = _hub_model(request, backbone) if is_hub_name(backbone) else None
    weights = None if hub or _starts_alone(request, info, backbone) else _weights(request, backbone)
    folder = request.out or _default_folder(request, network, variant, info, usual)
    if not request.resume and any(folder.glob("state*.pt")):
        raise UsageError(f"{folder} already holds a training", "--resume to continue it, or another --out")
    if request.tensorboard:
        _check_tensorboard()
    return Plan(
        method=request.method,
        variant=variant,
        backbone=backbone,
        backbone_weights=weights,
        recipes={stage: in_steps(recipe, dataset, request.fold) for stage, recipe in found.items()},
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
        hub=hub,
        borrowed=found[next(iter(found))].name if info is not None and info.own and request.config is None else "",
    )


def in_steps(chosen: Recipe, dataset: Dataset, fold: int) -> Recipe:
    """Return a recipe whose length and validations are counted in steps; an incomplete last batch is dropped."""
    every = chosen.validation.every if chosen.validation else 1
    if chosen.steps is not None and isinstance(every, int):
        return chosen
    images = chosen.epoch or len(set(chain.from_iterable(training_lists(dataset, fold, chosen.lists).values())))
    epoch = max(1, images // chosen.batch)
    steps = chosen.steps or (chosen.epochs or 1) * epoch
    if isinstance(every, str):
        every = epoch * (1 if every == "epoch" else int(every.split()[0]))
    validation = chosen.validation and replace(chosen.validation, every=every)
    return replace(chosen, steps=steps, epochs=None, validation=validation)


def _default_folder(request: Request, network: str, variant: str, info: MethodInfo | None, usual: Recipe) -> Path:
    """Return the folder where none was named; ways and shots that are those of the recipe are not in its name."""
    folder = _folder(request, network, variant, info, usual)
    before = _folder(request, network, variant, info, None)
    return before if request.resume and before.exists() and not folder.exists() else folder


def _folder(request: Request, network: str, variant: str, info: MethodInfo | None, usual: Recipe | None) -> Path:
    ways = None if usual is not None and request.ways == usual.way else request.ways
    shots = None if usual is not None and request.shots == usual.shot else request.shots
    first = info is None or variant == next(iter(info.tasks))
    parts = [
        in_path(network if info is None else info.name),
        "" if first else variant,
        "weak" if request.weak else "",
        request.dataset,
    ]
    parts += [f"{ways}way" if ways else "", f"{shots}shot" if shots else ""]
    return Path("runs") / "-".join(["train", *(part for part in parts if part), f"fold{request.fold}"])


def _check_tensorboard() -> None:
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError("TensorBoard is not installed here", "pip install 'fssbench[tensorboard]'")


def _starts_alone(request: Request, info: MethodInfo | None, backbone: str) -> bool:
    """Return whether training needs no backbone's weights: a backbone is trained, or the method has none."""
    if info is None:
        return True
    if backbone not in info.random_start:
        return info.own is not None and not info.backbones
    if request.backbone_weights is not None:
        raise UsageError(
            f"{info.name} with {backbone} is trained from random weights, because it has a network of its own",
            "leave --backbone-weights out",
        )
    return True


def _hub_model(request: Request, backbone: str) -> HubModel:
    """Return the model of the hub that is the backbone; it is downloaded if necessary."""
    if request.backbone_weights is not None:
        raise UsageError(
            f"{backbone} names the weights of the backbone, and --backbone-weights others",
            "leave --backbone-weights out",
        )
    return backbone_model(hub_network(backbone))


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
        f"{request.method} is trained on a frozen {backbone}, whose weights were not named and are not registered",
        remedy,
    )
