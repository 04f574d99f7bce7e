"""The training loop: steps, learning rate, validation, state files, log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fssbench.errors import UsageError
from fssbench.training.optimisers import make_optimiser
from fssbench.training.recipe import Optimiser, Recipe
from fssbench.training.state import StageFiles, Step, TrainingState, mend_files, restore, save

SAVE_EVERY = 100
"""Largest number of steps between two state files; the state is also written after each validation."""

SAVE_AFTER = 60.0
"""Largest number of seconds between two state files, if `SAVE_EVERY` slow steps take longer."""


class StepCallback(Protocol):
    """Called after every step."""

    def __call__(self, stage: str, steps: int, done: Step) -> None:
        """Handle a finished step of a stage that has `steps` steps."""


class OnContinued(Protocol):
    """Called where a stage was given more steps than it was begun with."""

    def __call__(self, stage: str, recipe: Recipe, state: TrainingState) -> None:
        """Record it."""


@dataclass(frozen=True)
class Hooks:
    """Functions that the training loop calls.

    Attributes:
        stage: Name of the stage.
        number: Number of the stage, from 0.
        seed: Seed of random numbers in the losses.
        validate: Returns the result of a validation.
        prepare: Puts the module into training mode, at the start and after each validation.
        callback: Called after every step.
        continued: Called at the start of a stage that was given more steps than it was begun with: with its name,
            recipe and state.
    """

    stage: str = ""
    number: int = 0
    seed: int = 0
    validate: Callable[[], float] | None = None
    prepare: Callable[[], None] = field(default=lambda: None)
    callback: StepCallback | None = None
    continued: OnContinued | None = None


def fit(
    module: nn.Module,
    losses_at: Callable[[int], Mapping[str, Tensor]],
    recipe: Recipe,
    place: StageFiles,
    *,
    resume: bool = False,
    hooks: Hooks = Hooks(),
) -> list[Step]:
    """Train the parameters of `module` that require a gradient.

    `losses_at` depends on the step only: its random numbers are its own, or come from torch's generator, which is
    seeded at every step. So the module and the optimiser are the whole state, and a training that is stopped and
    resumed gives the same weights as one that is not. A finished stage is not run again.

    Args:
        module: On its device.
        losses_at: Returns the losses of a step, 0-based, by name; their sum is minimised.
        recipe: Has the number of steps, the optimiser, and the choice of the final weights.
        place: Where state and log are written.
        resume: Continue from the state file, if there is one.
        hooks: Functions that are called during training.

    Returns:
        Every step. The module holds the result.

    Raises:
        UsageError: If a loss is not finite, there is nothing to train, or another command has written its state to the
            same folder.
        CheckpointError: If the state file belongs to another training.
        BrokenFileError: If it can't be read.
    """
    steps = recipe.steps or 0
    place.folder.mkdir(parents=True, exist_ok=True)
    optimiser = make_optimiser(module, recipe.optimiser)
    state = TrainingState()
    if resume:
        state = restore(module, optimiser, place)
        mend_files(place, state)
        if state.history and hooks.continued is not None:
            hooks.continued(hooks.stage, recipe, state)
    expected = place.state.exists()
    chooses = recipe.validation is not None and recipe.validation.choose == "best"
    hooks.prepare()
    saved = time.monotonic()
    for step in range(len(state.steps), steps):
        torch.manual_seed(step_seed(hooks.seed, hooks.number, step))
        rate = learning_rate(recipe.optimiser, step, steps)
        for group in optimiser.param_groups:
            if "factor" in group:  # without one it keeps its rate
                group["lr"] = rate * group["factor"]
        losses = losses_at(step)
        total = torch.stack(list(losses.values())).sum() if len(losses) > 1 else next(iter(losses.values()))
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        values = {name: loss.item() for name, loss in losses.items()}
        _check_finite(values, hooks.stage, step + 1)
        optimiser.step()
        done = Step(step + 1, rate, values)
        if hooks.validate is not None and _is_validated(recipe, step + 1, steps):
            done = Step(step + 1, rate, values, hooks.validate())
            hooks.prepare()
            if chooses:
                state.keep_if_best(done, module)
        state.steps.append(done)
        if hooks.callback is not None:
            hooks.callback(hooks.stage, steps, done)
        due = (step + 1) % SAVE_EVERY == 0 or time.monotonic() - saved >= SAVE_AFTER
        if due or done.validation is not None or step + 1 == steps:
            if place.state.exists() and not expected:
                raise UsageError(
                    f"another command has trained in {place.folder} since this one began; its state is kept",
                    "use another folder with --out",
                )
            save(module, optimiser, place, state)
            expected = True
            saved = time.monotonic()
    if chooses and state.best is not None:
        module.load_state_dict(module.state_dict() | state.best.module)
    return state.steps


def learning_rate(optimiser: Optimiser, step: int, steps: int) -> float:
    """Return the learning rate of a step, 0-based; see `Optimiser.schedule`.

    "poly" counts steps from 1, as the releases do, so the last step changes nothing.
    """
    if optimiser.schedule == "constant":
        return optimiser.learning_rate
    if optimiser.schedule == "poly":
        return float(optimiser.learning_rate * (1.0 - (step + 1) / steps) ** optimiser.power)
    if optimiser.schedule == "drops":
        return optimiser.learning_rate * optimiser.drop ** sum(step >= milestone for milestone in optimiser.milestones)
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
        raise UsageError(f"training failed at {where}: {', '.join(wrong)}", "use a smaller learning rate")
