"""Doing what was planned: build, train, write the weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import fssbench
from fssbench.errors import BrokenFileError, CheckpointError, UsageError
from fssbench.layers.pairwise import PairwiseMethod
from fssbench.training.episodic import train_head
from fssbench.training.loop import Watcher
from fssbench.training.plan import Plan
from fssbench.training.pretrain import pretrain

WEIGHTS_FILE = "weights.safetensors"


def run_plan(plan: Plan, watch: Watcher | None = None) -> Path:
    """Train what was planned and return the file of its weights.

    Args:
        plan: From `fssbench.training.plan.plan`.
        watch: Is told of every step.

    Raises:
        UsageError: If the device is not there.
        CheckpointError: If the backbone's weights, or a state to go on from, do not fit.
        BrokenFileError: If one of them can't be read.
    """
    _check_device(plan.device)
    torch.manual_seed(plan.seed)
    if plan.method is None or plan.backbone_weights is None:
        net = pretrain(plan, watch)
        return write_weights(plan, net.state_dict())
    options: dict[str, Any] = dict(plan.recipe.options)
    method = fssbench.build(plan.method, backbone=plan.backbone, **options)
    if not isinstance(method, PairwiseMethod):
        raise UsageError(f"{plan.method} is not trained from pairs, and there is no other trainer")
    _load_backbone(method, plan.backbone, plan.backbone_weights)
    train_head(method, plan, watch, backbone_sha256=_sha256(plan.backbone_weights))
    return write_weights(plan, method.state_dict())


def write_weights(plan: Plan, state: Mapping[str, Tensor]) -> Path:
    """Write weights with a note of what they are, atomically, and return the file."""
    kept = torch.float16 if plan.recipe.stored == "float16" else torch.float32
    tensors = {
        name: (tensor.to(kept) if tensor.is_floating_point() else tensor).contiguous() for name, tensor in state.items()
    }
    note = {
        "network": plan.method or plan.backbone,
        "backbone": plan.backbone,
        "dataset": plan.dataset.name,
        "data_fingerprint": plan.dataset.fingerprint,
        "fold": str(plan.fold),
        "seed": str(plan.seed),
        "steps": str(plan.recipe.steps),
        "fssbench": fssbench.__version__,
        "torch": torch.__version__,
    }
    target = plan.folder / WEIGHTS_FILE
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    save_file(tensors, temporary, metadata=note)
    temporary.replace(target)
    return target


def _load_backbone(method: PairwiseMethod[object], name: str, path: Path) -> None:
    state = _read(path)
    own = method.backbone.state_dict()
    fits = {key: tensor.to(own[key].dtype) for key, tensor in state.items() if key in own}
    try:
        method.backbone.load_state_dict(fits)
    except RuntimeError as error:
        first = next((key for key in own if key not in state or state[key].shape != own[key].shape), "")
        raise CheckpointError(f"{path} does not hold the weights of {name}: {first} is missing or misshapen") from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken file makes the readers raise
        raise BrokenFileError(f"{path} is no file of weights that can be read") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BrokenFileError(f"{path} holds no state dict")
    return state


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"there is no device '{device}' here: {str(error).splitlines()[0]}", "--device cpu") from error
