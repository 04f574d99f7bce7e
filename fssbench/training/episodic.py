"""The episodic trainer: trains any method, stage by stage, with the method's own losses.

HSNet and ASNet were trained like this: 1-way 1-shot for every later evaluation, with Adam and the frozen backbone in
eval mode. Most releases keep the weights that are best on episodes of novel classes; a recipe says whether that is
done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from fssbench.errors import UsageError
from fssbench.methods.base.method import Method
from fssbench.training.batches import EpisodeBatches
from fssbench.training.loop import Hooks, OnContinued, StepCallback, fit
from fssbench.training.plan import Plan, state_file
from fssbench.training.recipe import Recipe
from fssbench.training.recipes import stage_recipe
from fssbench.training.state import StageFiles, TrainingState
from fssbench.training.validation import Validator

AnyMethod = Method[Any, Any]


def train(
    method: AnyMethod,
    plan: Plan,
    callback: StepCallback | None = None,
    *,
    backbone_sha256: str = "",
    continued: OnContinued | None = None,
) -> None:
    """Train a method in all its stages. Its backbone already has its weights. The method is left in eval mode.

    Args:
        method: The method, with an initial head.
        plan: The plan of the training.
        callback: Called after every step.
        backbone_sha256: Hash of the backbone's weights. A state file belongs to one backbone.
        continued: Called for a stage that was given more steps than it was begun with.

    Raises:
        UsageError: If a stage is given more steps after a later one has begun, which learns from its end; or if the
            method can't read the name of a class.
        MissingError: If a file is missing with which the method reads names.
    """
    if method.reads_class_names:
        method.check_names(plan.dataset.class_names[one] for one in plan.dataset.fold_classes(plan.fold, "train"))
    method.to(plan.device)
    for number, stage in enumerate(method.training_stages):
        recipe = stage_recipe(plan.recipes, stage, f"{plan.network}/{plan.dataset.name}")
        method.enter_training_stage(stage)
        freeze(method, recipe.frozen)
        hooks = Hooks(
            stage=stage,
            number=number,
            seed=plan.seed,
            callback=callback,
            continued=_checked(method.training_stages[number + 1 :], plan, continued),
        )
        _train_stage(method, plan, recipe, hooks, backbone_sha256)
    method.cpu().eval()


def _train_stage(
    method: AnyMethod,
    plan: Plan,
    recipe: Recipe,
    hooks: Hooks,
    backbone_sha256: str,
) -> None:
    batches = EpisodeBatches(plan.dataset, plan.fold, recipe, plan.seed, method.task, hooks.number)
    validator = None
    if recipe.validation is not None and plan.rules is not None:
        validator = Validator(plan.dataset, plan.fold, recipe, plan.rules, plan.device)
    hooks = replace(
        hooks,
        validate=None if validator is None else lambda: validator(method),
        prepare=lambda: training_mode(method, recipe.batch_norm),
    )
    run = {**plan.identity(recipe), "stage": hooks.stage, "backbone": backbone_sha256}
    fit(
        method,
        lambda step: method.losses(batches.training_batch(step, plan.device)),
        recipe,
        StageFiles(plan.folder, run, hooks.stage),
        resume=plan.resume,
        hooks=hooks,
    )


def _checked(later: Sequence[str], plan: Plan, continued: OnContinued | None) -> OnContinued:
    """Return `continued`, after a check that no later stage has begun: it began where this one ended."""

    def check(stage: str, recipe: Recipe, state: TrainingState) -> None:
        begun = next((name for name in later if (plan.folder / state_file(name)).exists()), None)
        if begun is not None and len(state.steps) < (recipe.steps or 0):
            raise UsageError(
                f"stage {stage} of {plan.network} can't be continued: stage {begun} has begun, from where it ended",
                "train anew with another --out; or more steps for the last stage alone, by a recipe in --config",
            )
        if continued is not None:
            continued(stage, recipe, state)

    return check


def freeze(method: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Freeze the parameters whose names have one of these prefixes."""
    for name, parameter in method.named_parameters():
        if name.startswith(prefixes):
            parameter.requires_grad = False


def training_mode(method: nn.Module, batch_norm: str) -> None:
    """Put a method into training mode, and its batch norms into the mode of the recipe; see `Recipe.batch_norm`."""
    method.train()
    if batch_norm == "method":
        return
    for module in method.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            frozen = not any(parameter.requires_grad for parameter in module.parameters())
            module.train(batch_norm == "moving" or not frozen)
