"""The names of weights in files and in methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from fssbench.backbones import Backbone
from fssbench.methods.base.method import Method

AnyMethod = Method[Any, Any]

_COUNTER = ".num_batches_tracked"


def unwrapped_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without the "module." that DataParallel puts before every key."""
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def rename_for_method(state: Mapping[str, Tensor], method: AnyMethod) -> dict[str, Tensor]:
    """Return the weights of a checkpoint or of a backbone's file under the names that they have in the method.

    Args:
        state: From `read_state`. Prefixes that all keys share are removed until a key is a name of the method.
        method: Built for these weights.

    Returns:
        The weights by the method's names; under their own names if none fits.
    """
    bare = without_prefix(state, lambda names: _of_backbone(names, method) is not None or _fits(names, method))
    named = _of_backbone(bare, method)
    return bare if named is None else named


def rename_checkpoint(method: AnyMethod, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under the method's names: without a prefix that all keys share, with batch counters added."""
    bare = without_prefix(state, lambda names: _fits(method.from_release(names), method))
    return with_counters(method.from_release(bare), method)


def without_prefix(state: Mapping[str, Tensor], fits: Callable[[Mapping[str, Tensor]], bool]) -> dict[str, Tensor]:
    """Remove the first part of all keys, if they share it, until the names fit.

    The keys of a network inside another network begin with its name there: "module." (DataParallel), "model." and
    "net." (Lightning modules), "_orig_mod." (a compiled network), or several of them.

    Args:
        state: Any state dict.
        fits: Returns whether these are the wanted names.

    Returns:
        The state dict under shorter names; if none fits, without "module." only.
    """
    shorter = dict(state)
    while not fits(shorter):
        first = {key.partition(".")[0] for key in shorter}
        if len(first) != 1 or not all("." in key for key in shorter):
            return unwrapped_names(state)
        shorter = {key.partition(".")[2]: value for key, value in shorter.items()}
    return shorter


def with_counters(state: Mapping[str, Tensor], method: AnyMethod) -> dict[str, Tensor]:
    """Add batch counters of zero to each child of the method that has weights but no counters in the state dict.

    Files from before torch 0.4.1 have no counters, and converters leave them out; torch also starts them at zero. No
    prediction depends on them. If a child has some of its counters, a missing one is a fault of the file and is not
    added.
    """
    filled = {_child(key) for key in state}
    counted = {_child(key) for key in state if key.endswith(_COUNTER)}
    own = method.state_dict()
    absent = [key for key in own if key.endswith(_COUNTER) and _child(key) in filled - counted]
    return dict(state) | {key: torch.zeros_like(own[key]) for key in absent}


def backbone_state(method: AnyMethod, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a backbone's file under the names that they have in the method."""
    bare = without_prefix(state, lambda names: _of_backbone(names, method) is not None)
    return with_counters(method.from_imagenet(bare), method)


def preloaded(method: AnyMethod) -> dict[str, Tensor]:
    """Return the weights that the method was built with, by their names in it: those of a backbone from the hub."""
    names = [name for name, part in method.named_modules() if isinstance(part, Backbone) and part.preloaded]
    own = method.state_dict()
    return {key: own[key] for key in own if any(key.startswith(f"{name}.") for name in names)}


def backbone_keys(method: AnyMethod, named: Mapping[str, Tensor]) -> list[str]:
    """Return the method's keys of its backbone: those in the children that a backbone's file fills."""
    children = {_child(key) for key in named}
    return [key for key in method.state_dict() if _child(key) in children]


def _of_backbone(state: Mapping[str, Tensor], method: AnyMethod) -> dict[str, Tensor] | None:
    own = method.state_dict()
    named = with_counters(method.from_imagenet(state), method)
    if not named or any(key not in own for key in named) or any(key in own and key not in named for key in state):
        return None
    return named


def _fits(state: Mapping[str, Tensor], method: AnyMethod) -> bool:
    own = method.state_dict()
    return any(key in own for key in state)


def _child(key: str) -> str:
    return key.partition(".")[0]
