"""The training loop: steps, learning rate, state on disk, log."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from fssbench.atomic import write_bytes, write_text
from fssbench.errors import BrokenFileError, CheckpointError
from fssbench.training.recipes import Optimiser, Recipe

STATE_FILE = "state.pt"
LOG_FILE = "log.csv"
SAVE_EVERY = 100
"""Steps between two states on disk."""
_STATE: Mapping[str, type] = {"run": dict, "module": dict, "optimiser": dict, "losses": list}


class Watcher(Protocol):
    """Is told of every step."""

    def __call__(self, step: int, loss: float) -> None:
        """Look at the mean loss of a finished step (1-based)."""


@dataclass(frozen=True)
class Place:
    """Where a run keeps its state.

    Attributes:
        folder: Its folder.
        run: What decides the result, by name: a state that differs in it is refused.
    """

    folder: Path
    run: Mapping[str, str]


def fit(
    module: nn.Module,
    loss_at: Callable[[int], Tensor],
    recipe: Recipe,
    place: Place,
    *,
    resume: bool = False,
    watch: Watcher | None = None,
) -> list[float]:
    """Train the parameters of `module` that want a gradient; the weights after the last step are the result.

    All randomness is in `loss_at`, which depends on the step alone, so weights and optimiser are the whole state: a run
    that is killed and resumed ends with the weights it would have had.

    Args:
        module: In training mode, on its device.
        loss_at: Returns the loss of a step, 0-based.
        recipe: How many steps, and the optimiser.
        place: Where state and log are kept.
        resume: Go on from the state on disk, if there is one.
        watch: Is told of every step.

    Returns:
        The loss of every step.

    Raises:
        CheckpointError: If the state on disk is another run's.
        BrokenFileError: If it can't be read.
    """
    optimiser, steps = recipe.optimiser, recipe.steps
    place.folder.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in module.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(parameters, lr=optimiser.learning_rate, weight_decay=optimiser.weight_decay)
    losses = _restore(module, adam, place) if resume else []
    for step in range(len(losses), steps):
        for group in adam.param_groups:
            group["lr"] = learning_rate(optimiser, step, steps)
        loss = loss_at(step)
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        losses.append(loss.item())
        if watch is not None:
            watch(step + 1, losses[-1])
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            _save(module, adam, place, losses)
    return losses


def learning_rate(optimiser: Optimiser, step: int, steps: int) -> float:
    """Return the learning rate of a step: constant, or a linear rise over the first tenth and half a cosine down."""
    if optimiser.schedule == "constant":
        return optimiser.learning_rate
    rise = max(1, steps // 10)
    if step < rise:
        return optimiser.learning_rate * (step + 1) / rise
    return optimiser.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _moving(module: nn.Module) -> dict[str, Tensor]:
    """Return the part of a state dict that training can change: all but the frozen parameters."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def _save(module: nn.Module, adam: torch.optim.Optimizer, place: Place, losses: list[float]) -> None:
    state = {
        "run": dict(place.run),
        "module": _moving(module),
        "optimiser": adam.state_dict(),
        "losses": losses,
    }
    packed = io.BytesIO()
    torch.save(state, packed)
    write_bytes(place.folder / STATE_FILE, packed.getvalue())
    rows = (f"{step},{loss:.6f}\n" for step, loss in enumerate(losses, 1))
    write_text(place.folder / LOG_FILE, "step,loss\n" + "".join(rows))


def _restore(module: nn.Module, adam: torch.optim.Optimizer, place: Place) -> list[float]:
    path = place.folder / STATE_FILE
    if not path.exists():
        return []
    remedy = f"remove {path}, or train into another folder with --out"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken file makes the reader raise
        raise BrokenFileError(f"{path} is not a training state that can be read", remedy) from error
    if not isinstance(state, dict) or any(not isinstance(state.get(name), kind) for name, kind in _STATE.items()):
        raise BrokenFileError(f"{path} is not a training state", remedy)
    if other := [name for name, value in place.run.items() if state["run"].get(name) != value]:
        raise CheckpointError(f"{path} is the state of another run: its {', '.join(other)} differ", remedy)
    if state["module"].keys() != _moving(module).keys():
        raise CheckpointError(f"{path} is the state of another network", remedy)
    try:
        module.load_state_dict(module.state_dict() | state["module"])
        adam.load_state_dict(state["optimiser"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise BrokenFileError(f"{path} does not fit this network", remedy) from error
    return [float(loss) for loss in state["losses"]]
