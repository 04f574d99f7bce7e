"""The training loop: steps, learning rate, validation, state on disk, log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fssbench.errors import UsageError
from fssbench.training.recipe import Optimiser, Recipe
from fssbench.training.state import StageFiles, Step, TrainingState, restore, save

SAVE_EVERY = 100
"""Steps between two states on disk, at most: the state is written after each validation, too."""

SAVE_AFTER = 60.0
"""Seconds from one state to the next where steps are so slow that `SAVE_EVERY` of them take longer."""


class StepCallback(Protocol):
    """Is told of every step."""

    def __call__(self, stage: str, steps: int, done: Step) -> None:
        """Look at a finished step of a stage of so many steps."""


@dataclass(frozen=True)
class Hooks:
    """What is done beside the steps.

    Attributes:
        stage: Name of the stage.
        number: Its number, from 0.
        seed: Seed of what the losses draw.
        validate: Returns what a validation gives.
        prepare: Puts the module into training mode, at the start and after each validation.
        watcher: Is told of every step.
    """

    stage: str = ""
    number: int = 0
    seed: int = 0
    validate: Callable[[], float] | None = None
    prepare: Callable[[], None] = field(default=lambda: None)
    watcher: StepCallback | None = None


def fit(
    module: nn.Module,
    losses_at: Callable[[int], Mapping[str, Tensor]],
    recipe: Recipe,
    place: StageFiles,
    *,
    resume: bool = False,
    watch: Hooks = Hooks(),
) -> list[Step]:
    """Train the parameters of `module` that want a gradient.

    What `losses_at` draws depends on the step alone: on its own, or from torch's generator, which is seeded at every
    step. So what `module` and optimiser hold is the whole state, and a run that is killed and resumed ends with the
    weights it would have had. A stage that is finished is not run again.

    Args:
        module: On its device.
        losses_at: Returns the losses of a step, 0-based, by name; their sum is minimised.
        recipe: How many steps, the optimiser, and which weights are the result.
        place: Where state and log are kept.
        resume: Go on from the state on disk, if there is one.
        watch: What is done beside.

    Returns:
        Every step. The module holds the result.

    Raises:
        UsageError: If a loss is no finite number, there is nothing to move, or another command has written its state
            there meanwhile.
        CheckpointError: If the state on disk is another run's.
        BrokenFileError: If it can't be read.
    """
    steps = recipe.steps or 0
    place.folder.mkdir(parents=True, exist_ok=True)
    optimiser = make_optimiser(module, recipe.optimiser)
    state = TrainingState()
    if resume:
        state = restore(module, optimiser, place)
    expected = place.state.exists()
    chooses = recipe.validation is not None and recipe.validation.choose == "best"
    watch.prepare()
    saved = time.monotonic()
    for step in range(len(state.steps), steps):
        torch.manual_seed(step_seed(watch.seed, watch.number, step))
        rate = learning_rate(recipe.optimiser, step, steps)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        losses = losses_at(step)
        total = torch.stack(list(losses.values())).sum() if len(losses) > 1 else next(iter(losses.values()))
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        values = {name: loss.item() for name, loss in losses.items()}
        _check_finite(values, watch.stage, step + 1)
        optimiser.step()
        done = Step(step + 1, rate, values)
        if watch.validate is not None and _is_validated(recipe, step + 1, steps):
            done = Step(step + 1, rate, values, watch.validate())
            watch.prepare()
            if chooses:
                state.keep_if_best(done, module)
        state.steps.append(done)
        if watch.watcher is not None:
            watch.watcher(watch.stage, steps, done)
        due = (step + 1) % SAVE_EVERY == 0 or time.monotonic() - saved >= SAVE_AFTER
        if due or done.validation is not None or step + 1 == steps:
            if place.state.exists() and not expected:
                raise UsageError(
                    f"another command has trained into {place.folder} since this one began; its state stays as it is",
                    "train into another folder with --out",
                )
            save(module, optimiser, place, state)
            expected = True
            saved = time.monotonic()
    if chooses and state.best is not None:
        module.load_state_dict(module.state_dict() | state.best.module)
    return state.steps


def make_optimiser(module: nn.Module, recipe: Optimiser) -> torch.optim.Optimizer:
    """Return the optimiser of the parameters that want a gradient, grouped by their learning rate and weight decay.

    Raises:
        UsageError: If there is none.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            fitting = [start for start in recipe.rates if name.startswith(start)]
            factor = recipe.rates[max(fitting, key=len)] if fitting else 1.0
            if name.endswith("bias"):
                kind = (factor * recipe.bias_rate, recipe.weight_decay * recipe.bias_decay)
            else:
                kind = (factor, recipe.weight_decay)
            groups.setdefault(kind, []).append(parameter)
    if not groups:
        raise UsageError("no parameter of the network is left to train", "leave parameters out of `frozen`")
    given: list[dict[str, Any]] = [
        {"params": members, "factor": factor, "weight_decay": decay} for (factor, decay), members in groups.items()
    ]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.kind == "sgd":
        return torch.optim.SGD(given, lr=rate, momentum=recipe.momentum, weight_decay=decay, nesterov=recipe.nesterov)
    made = torch.optim.Adam if recipe.kind == "adam" else torch.optim.AdamW
    return made(given, lr=rate, weight_decay=decay)


def learning_rate(optimiser: Optimiser, step: int, steps: int) -> float:
    """Return the learning rate of a step, 0-based; see `Optimiser.schedule`.

    poly counts steps from 1, as the releases do: the last step moves nothing.
    """
    if optimiser.schedule == "constant":
        return optimiser.learning_rate
    if optimiser.schedule == "poly":
        return float(optimiser.learning_rate * (1.0 - (step + 1) / steps) ** optimiser.power)
    if optimiser.schedule == "drops":
        return optimiser.learning_rate * optimiser.drop ** sum(step >= its for its in optimiser.milestones)
    if optimiser.schedule == "half-cosine":
        fall = 0.5 * (1.0 + math.cos(math.pi * step / steps))
        return optimiser.floor + (optimiser.learning_rate - optimiser.floor) * fall
    rise = max(1, steps // 10)
    if step < rise:
        return optimiser.learning_rate * (step + 1) / rise
    return optimiser.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def step_seed(seed: int, stage: int, step: int) -> int:
    """Return the seed of torch's generator at a step."""
    return int(np.random.SeedSequence([seed, stage, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _is_validated(recipe: Recipe, step: int, steps: int) -> bool:
    if recipe.validation is None or isinstance(recipe.validation.every, str):
        return step == steps
    every = recipe.validation.every
    # BAM's train.py validates after the batch of index round(length / 2), which is one step later.
    halfway = recipe.validation.halfway and step > every and step % every == round(every / 2) + 1
    return halfway or step % every == 0 or step == steps


def _check_finite(losses: Mapping[str, float], stage: str, step: int) -> None:
    wrong = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        where = f"stage {stage}, step {step}" if stage else f"step {step}"
        raise UsageError(f"training broke down at {where}: {', '.join(wrong)}", "a smaller learning rate")
