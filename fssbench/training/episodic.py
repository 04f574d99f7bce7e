"""The episodic trainer: any method, stage by stage, through the losses it says itself.

HSNet and ASNet were trained so: 1-way 1-shot whatever is evaluated later, Adam, the frozen backbone in eval mode.
Most releases keep the weights that do best on episodes of the novel classes; a recipe says whether that is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fssbench.layers.pairwise import PairwiseMethod
from fssbench.methods.method import Method, TrainingBatch
from fssbench.training.loop import Watch, Watcher, fit
from fssbench.training.losses import segmentation_loss
from fssbench.training.pictures import EpisodeBatches
from fssbench.training.plan import Plan
from fssbench.training.recipes import Recipe, of_stage
from fssbench.training.state import Place
from fssbench.training.validation import Validator

AnyMethod = Method[Any, Any]


def train(method: AnyMethod, plan: Plan, watcher: Watcher | None = None, *, backbone_sha256: str = "") -> None:
    """Train a method, whose backbone holds its weights already, in all its stages; leaves it in eval mode.

    Args:
        method: The method, with an initial head.
        plan: What is trained, on what, where.
        watcher: Is told of every step.
        backbone_sha256: Hash of the backbone's weights: a state on disk belongs to one backbone.
    """
    method.to(plan.device)
    for number, stage in enumerate(method.training_stages):
        recipe = of_stage(plan.recipes, stage, f"{plan.network}/{plan.dataset.name}")
        method.enter_training_stage(stage)
        freeze(method, recipe.frozen)
        _train_stage(method, plan, recipe, stage, number, watcher, backbone_sha256)
    method.cpu().eval()


def _train_stage(
    method: AnyMethod,
    plan: Plan,
    recipe: Recipe,
    stage: str,
    number: int,
    watcher: Watcher | None,
    backbone_sha256: str,
) -> None:
    batches = EpisodeBatches(plan.dataset, plan.fold, recipe, plan.seed, method.task, number)
    validator = None
    if recipe.validation is not None and plan.rules is not None:
        validator = Validator(plan.dataset, plan.fold, recipe, plan.rules, plan.device)
    watch = Watch(
        stage=stage,
        number=number,
        seed=plan.seed,
        validate=None if validator is None else lambda: validator(method),
        prepare=lambda: training_mode(method, recipe.batch_norm),
        watcher=watcher,
    )
    run = {**plan.identity(recipe), "stage": stage, "backbone": backbone_sha256}
    fit(
        method,
        lambda step: losses_of(method, batches.training_batch(step, plan.device)),
        recipe,
        Place(plan.folder, run, stage),
        resume=plan.resume,
        watch=watch,
    )


def losses_of(method: AnyMethod, batch: TrainingBatch) -> Mapping[str, Tensor]:
    """Return the losses of a batch by name."""
    if isinstance(method, PairwiseMethod) and type(method).losses is Method.losses:
        return pair_losses(method, batch)
    return method.losses(batch)


def pair_losses(method: PairwiseMethod[Any], batch: TrainingBatch) -> dict[str, Tensor]:
    """Return the segmentation loss of B episodes of one way and one shot."""
    pairs = len(batch.query)
    images = torch.cat([batch.query, batch.supports[:, 0, 0]])
    maps = method.encode(images)  # both in one pass: the backbone is frozen, and its batch norm with it
    query = tuple(feature[:pairs] for feature in maps)
    support = method.condition(tuple(feature[pairs:] for feature in maps), batch.support_masks[:, 0, 0])
    logits = method.score(query, support)
    return {"segmentation": segmentation_loss(logits, batch.query_masks[:, 0], batch.foreground_weight)}


def freeze(method: nn.Module, beginnings: tuple[str, ...]) -> None:
    """Freeze the parameters whose names begin so."""
    for name, parameter in method.named_parameters():
        if name.startswith(beginnings):
            parameter.requires_grad = False


def training_mode(method: nn.Module, batch_norm: str) -> None:
    """Put a method into training mode, its batch norms as a recipe says; see `Recipe.batch_norm`."""
    method.train()
    if batch_norm == "method":
        return
    for module in method.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            frozen = not any(parameter.requires_grad for parameter in module.parameters())
            module.train(batch_norm == "moving" or not frozen)
