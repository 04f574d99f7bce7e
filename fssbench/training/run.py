"""Doing what was planned: build, train, write the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

import fssbench
from fssbench.atomic import write_bytes
from fssbench.checkpoints import file_sha256, read_state
from fssbench.engine.provenance import choose_device
from fssbench.errors import CheckpointError, UsageError
from fssbench.layers.pairwise import PairwiseMethod
from fssbench.training.episodic import train_head
from fssbench.training.loop import Watcher
from fssbench.training.plan import Plan
from fssbench.training.pretrain import pretrain

WEIGHTS_FILE = "weights.safetensors"
"""All of a network: what `fssbench eval --checkpoint` takes."""
HEAD_FILE = "head.safetensors"
"""A method without its backbone, for a registry that keeps backbones apart."""


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
    plan = replace(plan, device=str(choose_device(plan.device)))
    torch.manual_seed(plan.seed)
    if plan.method is None or plan.backbone_weights is None:
        net = pretrain(plan, watch)
        return write_weights(plan, net.state_dict())
    options: dict[str, Any] = dict(plan.recipe.options)
    method = fssbench.build(plan.method, backbone=plan.backbone, **options)
    if not isinstance(method, PairwiseMethod):
        raise UsageError(f"{plan.method} is not trained from pairs, and there is no other trainer")
    _load_backbone(method, plan.backbone, plan.backbone_weights)
    train_head(method, plan, watch, backbone_sha256=file_sha256(plan.backbone_weights))
    state = method.state_dict()
    write_weights(plan, {key: value for key, value in state.items() if not key.startswith("backbone.")}, HEAD_FILE)
    return write_weights(plan, state)


def write_weights(plan: Plan, state: Mapping[str, Tensor], name: str = WEIGHTS_FILE) -> Path:
    """Write weights with a note of what they are, and return the file."""
    kept = torch.float16 if plan.recipe.stored == "float16" else torch.float32
    tensors = {
        key: (tensor.to(kept) if tensor.is_floating_point() else tensor).contiguous() for key, tensor in state.items()
    }
    # `options` is what the network is built again with; see `fssbench.checkpoints.stated_options`.
    note = {
        "network": plan.method or plan.backbone,
        "backbone": plan.backbone,
        "options": json.dumps({key: list(value) for key, value in plan.recipe.options.items()}),
        "dataset": plan.dataset.name,
        "data_fingerprint": plan.dataset.fingerprint,
        "fold": str(plan.fold),
        "seed": str(plan.seed),
        "steps": str(plan.recipe.steps),
        "fssbench": fssbench.__version__,
        "torch": torch.__version__,
    }
    target = plan.folder / name
    write_bytes(target, save(tensors, metadata=note))
    return target


def _load_backbone(method: PairwiseMethod[Any], name: str, path: Path) -> None:
    own = method.backbone.state_dict()
    state = read_state(path)
    for key, tensor in own.items():
        if key not in state or state[key].shape != tensor.shape:
            raise CheckpointError(f"{path} does not hold the weights of {name}: {key} is missing or misshapen")
    method.backbone.load_state_dict({key: state[key].to(tensor.dtype) for key, tensor in own.items()})
