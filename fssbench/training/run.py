"""Carries out the plan of a training: builds, trains, writes the weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from fssbench.checkpoints import file_sha256, read_state
from fssbench.checkpoints.naming import backbone_keys, backbone_state, preloaded
from fssbench.checkpoints.weights import cast, check_not_zero
from fssbench.errors import CheckpointError, UsageError
from fssbench.files import write_bytes
from fssbench.methods import build
from fssbench.methods.base.method import Method
from fssbench.methods.building import check_unchanged
from fssbench.planning.settings import choose_device
from fssbench.results.weights_record import HubModel
from fssbench.training.continuing import history_text, note
from fssbench.training.episodic import train
from fssbench.training.loop import StepCallback, learning_rate
from fssbench.training.plan import Plan, state_file
from fssbench.training.pretrain import pretrain
from fssbench.training.recipe import Recipe
from fssbench.training.recipes import stage_recipe
from fssbench.training.state import TrainingState
from fssbench.version import __version__

WEIGHTS_FILE = "weights.safetensors"
"""All weights of a network, for `fssbench eval --checkpoint`."""
HEAD_FILE = "head.safetensors"
"""The weights of a method without its backbone, if training did not change the backbone."""


def run_plan(plan: Plan, callback: StepCallback | None = None, say: Callable[[str], None] | None = None) -> Path:
    """Train as planned and return the file of the weights.

    A training that is continued with more steps than it was begun with is recorded in the metadata of the weights, as
    `continued` (`fssbench.training.continuing`).

    Args:
        plan: From `fssbench.training.plan.plan`.
        callback: Called after every step.
        say: Called with a sentence about a training that is given more steps.

    Raises:
        UsageError: If the device does not exist, or a stage has no recipe.
        CheckpointError: If the backbone's weights, or a state file, do not fit.
        BrokenFileError: If one of them can't be read.
    """
    plan = replace(plan, device=str(choose_device(plan.device)))
    torch.manual_seed(plan.seed)
    history: dict[str, str] = {}

    def continued(stage: str, recipe: Recipe, state: TrainingState) -> None:
        history[stage] = history_text(state.history, recipe.steps or 0)
        done = len(state.steps)
        if say is not None and done == state.history[-1].done and 0 < done < (recipe.steps or 0):
            rates = state.steps[-1].learning_rate, learning_rate(recipe.optimiser, done, recipe.steps or 0)
            say(note(recipe, state.history[-1], rates))

    if plan.method is None:
        net = pretrain(plan, callback, continued)
        return write_weights(plan, net.state_dict(), history=history)
    variant = plan.variant or None
    options: dict[str, Any] = dict(plan.options)
    method = build(plan.method, plan.pinned_backbone, variant, plan.way, plan.shot, **options)
    check_unchanged(plan.own, method)
    for stage in method.training_stages:
        stage_recipe(plan.recipes, stage, f"{plan.network}/{plan.dataset.name}")
    if unknown := next((stage for stage in plan.recipes if stage and stage not in method.training_stages), None):
        raise UsageError(
            f"{plan.network} has no stage '{unknown}', for which there is a recipe",
            f"a table for one of its stages: {', '.join(stage or 'all at once' for stage in method.training_stages)}",
        )
    _check_folder(plan, method.training_stages)
    loaded, sha256 = preloaded(method), "" if plan.hub is None else plan.hub.sha256
    if plan.backbone_weights is not None:
        loaded, sha256 = load_backbone(method, plan.backbone, plan.backbone_weights), file_sha256(plan.backbone_weights)
    train(method, plan, callback, backbone_sha256=sha256, continued=continued)
    state = method.state_dict()
    if loaded and all(torch.equal(state[key], tensor) for key, tensor in loaded.items()):
        # The backbone is unchanged: a registry with separate backbones needs only the rest.
        head = {key: value for key, value in state.items() if key not in loaded}
        write_weights(plan, head, HEAD_FILE, history=history)
    return write_weights(plan, state, history=history)


def _check_folder(plan: Plan, stages: Sequence[str]) -> None:
    # State files are named after stages. A method with other stages would not notice them, and would overwrite the
    # weights.
    known = {state_file(stage) for stage in stages}
    stray = sorted(path.name for path in plan.folder.glob("state*.pt") if path.name not in known)
    if stray:
        raise CheckpointError(
            f"{plan.folder} holds {stray[0]}, the training state of another method",
            "use another folder with --out",
        )


def write_weights(
    plan: Plan,
    state: Mapping[str, Tensor],
    name: str = WEIGHTS_FILE,
    *,
    history: Mapping[str, str] | None = None,
) -> Path:
    """Write weights with metadata and return the file.

    Args:
        plan: The plan of the training.
        state: The weights.
        name: Name of the file.
        history: For each stage that was given more steps than it was begun with, the record of it.
    """
    recipes = plan.recipes.values()
    kept = torch.float16 if all(recipe.stored == "float16" for recipe in recipes) else torch.float32
    tensors = {
        key: (tensor.to(kept) if tensor.is_floating_point() else tensor).contiguous().clone()
        for key, tensor in state.items()
    }
    # The network is built again with `options`; see `fssbench.checkpoints.stated_options`.
    note = {
        "network": plan.network,
        "variant": plan.variant,
        "backbone": plan.backbone,
        **_of_hub(plan.hub),
        "options": json.dumps(dict(plan.options)),
        "way": str(plan.way),
        "shot": str(plan.shot),
        "dataset": plan.dataset.name,
        "data_fingerprint": plan.dataset.fingerprint,
        "fold": str(plan.fold),
        **_of_ledger(plan),
        "seed": str(plan.seed),
        "steps": "+".join(str(recipe.steps) for recipe in recipes),
        **_of_history(history or {}),
        "fssbench": __version__,
        "torch": torch.__version__,
    }
    target = plan.folder / name
    write_bytes(target, save(tensors, metadata=note))
    return target


def _of_ledger(plan: Plan) -> dict[str, str]:
    """Return what weights note for the contamination ledger: the classes that they have learnt, and the images."""
    dataset = plan.dataset
    lists = {"base alone" in (recipe.lists or "") for recipe in plan.recipes.values()}
    novel = "kept" if True not in lists else "removed" if lists == {True} else "removed in part"
    last = list(plan.recipes.values())[-1].validation
    best = last is not None and last.choose == "best"
    chosen_on = f"{last.classes} classes" if last is not None and best else "nothing"
    names = [dataset.class_names[c] for c in dataset.fold_classes(plan.fold, "train")]
    return {"trained_classes": json.dumps(names), "novel_images": novel, "chosen_on": chosen_on}


def _of_history(history: Mapping[str, str]) -> dict[str, str]:
    """Return what weights note of stages that were given more steps, e.g. "100/100 200"."""
    text = "; ".join(f"{stage}: {one}" if stage else one for stage, one in history.items())
    return {"continued": text} if text else {}


def _of_hub(model: HubModel | None) -> dict[str, str]:
    """Return what weights note of a backbone from the hub, by which an evaluation sees whether it is the same."""
    if model is None:
        return {}
    return {
        "backbone_revision": model.revision,
        "backbone_sha256": model.sha256,
        "backbone_layers": ",".join(map(str, model.layers)),
    }


def load_backbone(method: Method[Any, Any], name: str, path: Path) -> dict[str, Tensor]:
    """Load the initial weights of a method's backbone and return them by their names in the method.

    Raises:
        CheckpointError: If one is missing, has another shape, or is not a valid weight: not finite, integer, or all
            zero.
    """
    own = method.state_dict()
    named = backbone_state(method, read_state(path))
    keys = backbone_keys(method, named)
    wrong = [key for key in keys if key not in named or named[key].shape != own[key].shape]
    if wrong or not keys:
        example = wrong[0] if wrong else "all of it"
        raise CheckpointError(f"{path} does not hold the weights of {name}: {example} is missing or misshapen")
    try:
        loaded = {key: cast(key, named[key], own[key]) for key in keys}
        check_not_zero(loaded)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.remedy) from error
    method.load_state_dict(own | loaded)
    return loaded
