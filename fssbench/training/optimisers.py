"""The optimiser of a training: groups of parameters with their rates, and one or two algorithms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from fssbench.errors import UsageError
from fssbench.training.recipe import Apart, Optimiser


class Pair(torch.optim.Optimizer):
    """Two optimisers of different parameters that step together.

    Args:
        first: Of some parameters.
        second: Of others.
    """

    def __init__(self, first: torch.optim.Optimizer, second: torch.optim.Optimizer) -> None:
        self._both = (first, second)
        super().__init__([*first.param_groups, *second.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Let each optimiser take its step; there is no closure."""
        del closure
        for one in self._both:
            one.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both."""
        return {name: one.state_dict() for name, one in zip(("first", "second"), self._both, strict=True)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state of both; their groups are new objects then."""
        for name, one in zip(("first", "second"), self._both, strict=True):
            one.load_state_dict(state_dict[name])
        self.param_groups = [group for one in self._both for group in one.param_groups]


def make_optimiser(module: nn.Module, recipe: Optimiser) -> torch.optim.Optimizer:
    """Return the optimiser of the parameters that require a gradient, grouped by learning rate and weight decay.

    Groups whose rate follows the schedule of the recipe have a "factor".

    Raises:
        UsageError: If there is no such parameter, or none that `apart` or the others would train.
    """
    named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    if recipe.apart is None:
        return _scheduled(named, recipe)
    apart = [(name, parameter) for name, parameter in named if name.startswith(recipe.apart.prefix)]
    if not apart:
        raise UsageError(
            f"no parameter of the network begins with '{recipe.apart.prefix}'", "correct the prefix of `apart`"
        )
    others = [(name, parameter) for name, parameter in named if not name.startswith(recipe.apart.prefix)]
    return Pair(_scheduled(others, recipe), _constant(apart, recipe.apart))


def _scheduled(named: Iterable[tuple[str, nn.Parameter]], recipe: Optimiser) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        fitting = [start for start in recipe.rates if name.startswith(start)]
        factor = recipe.rates[max(fitting, key=len)] if fitting else 1.0
        if name.endswith("bias"):
            kind = (factor * recipe.bias_rate, recipe.weight_decay * recipe.bias_decay)
        else:
            kind = (factor, recipe.weight_decay)
        groups.setdefault(kind, []).append(parameter)
    if not groups:
        raise UsageError("no parameter of the network is left to train", "remove prefixes from `frozen`")
    parameter_groups: list[dict[str, Any]] = [
        {"params": members, "factor": factor, "weight_decay": decay} for (factor, decay), members in groups.items()
    ]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.kind == "sgd":
        momentum = recipe.momentum
        return torch.optim.SGD(
            parameter_groups, lr=rate, momentum=momentum, weight_decay=decay, nesterov=recipe.nesterov
        )
    optimiser_class = torch.optim.Adam if recipe.kind == "adam" else torch.optim.AdamW
    return optimiser_class(parameter_groups, lr=rate, weight_decay=decay)


def _constant(named: Iterable[tuple[str, nn.Parameter]], recipe: Apart) -> torch.optim.Optimizer:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named:
        decay = recipe.weight_decay * (recipe.bias_decay if name.endswith("bias") else 1.0)
        groups.setdefault(decay, []).append(parameter)
    parameter_groups: list[dict[str, Any]] = [
        {"params": members, "weight_decay": decay} for decay, members in groups.items()
    ]
    return torch.optim.AdamW(parameter_groups, lr=recipe.learning_rate)
