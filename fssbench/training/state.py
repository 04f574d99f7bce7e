"""What a stage of training keeps on disk: its state, to go on from, and its log, to look at."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fssbench.checkpoints.files import check_contents, recognise
from fssbench.errors import BrokenFileError, CheckpointError
from fssbench.files import write_bytes, write_text
from fssbench.training.plan import state_file

_STATE: Mapping[str, type] = {
    "run": dict,
    "module": dict,
    "optimiser": dict,
    "own": dict,
    "names": list,
    "steps": list,
    "best": dict,
}
_LOGGED = ("step", "learning_rate", "loss", "validation")


@dataclass(frozen=True)
class Step:
    """A finished step.

    Attributes:
        step: Its number, from 1.
        learning_rate: Of parameters without a factor of their own.
        losses: Each loss by name.
        validation: What the validation gave, if there was one after this step.
    """

    step: int
    learning_rate: float
    losses: Mapping[str, float]
    validation: float | None = None

    @property
    def loss(self) -> float:
        """The sum that was minimised."""
        return sum(self.losses.values())


@dataclass(frozen=True)
class StageFiles:
    """Where a stage keeps its state.

    Attributes:
        folder: Its folder.
        run: What decides the result, by name: a state that differs in it is refused.
        stage: Name of the stage.
    """

    folder: Path
    run: Mapping[str, str]
    stage: str = ""

    @property
    def state(self) -> Path:
        """The file to go on from."""
        return self.folder / state_file(self.stage)

    @property
    def log(self) -> Path:
        """The table of steps."""
        return self.folder / (f"log-{self.stage}.csv" if self.stage else "log.csv")


@dataclass(frozen=True)
class Best:
    """The weights of the best validation.

    Attributes:
        value: What it gave.
        module: The part of the state dict that training changes.
    """

    value: float
    module: dict[str, Tensor]


@dataclass
class TrainingState:
    """What has happened so far.

    Attributes:
        steps: Every step.
        best: The best validation, if one is looked for.
    """

    steps: list[Step] = field(default_factory=list)
    best: Best | None = None

    def keep_if_best(self, done: Step, module: nn.Module) -> None:
        """Keep the weights if no validation was better; of equal ones the first stays."""
        if done.validation is not None and (self.best is None or done.validation > self.best.value):
            self.best = Best(done.validation, {name: its.detach().clone() for name, its in moving(module).items()})


def moving(module: nn.Module) -> dict[str, Tensor]:
    """Return the part of a state dict that training can change: all but the frozen parameters; buffers belong to it."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def save(module: nn.Module, optimiser: torch.optim.Optimizer, place: StageFiles, state: TrainingState) -> None:
    """Write state and log, each whole or not at all."""
    names = loss_names(state.steps)
    packed = io.BytesIO()
    torch.save(
        {
            "run": dict(place.run),
            "module": moving(module),
            "optimiser": optimiser.state_dict(),
            "own": _own_state(module),
            "names": names,
            "steps": [[its.learning_rate, its.validation, *(its.losses.get(n) for n in names)] for its in state.steps],
            "best": {} if state.best is None else {"value": state.best.value, "module": state.best.module},
        },
        packed,
    )
    write_bytes(place.state, packed.getvalue())
    write_text(place.log, log_text(state.steps))


def loss_names(steps: Iterable[Step]) -> list[str]:
    """Return the names of the losses in the order in which they come up."""
    return list(dict.fromkeys(name for its in steps for name in its.losses))


def log_text(steps: Sequence[Step]) -> str:
    """Return the log: step, learning rate, the sum of the losses, the validation where there was one, each loss."""
    names = loss_names(steps)
    lines = [",".join((*_LOGGED, *names))]
    for its in steps:
        parts = [str(its.step), f"{its.learning_rate:.6g}", f"{its.loss:.6f}"]
        parts.append("" if its.validation is None else f"{its.validation:.3f}")
        parts += [f"{its.losses[name]:.6f}" if name in its.losses else "" for name in names]
        lines.append(",".join(parts))
    return "\n".join(lines) + "\n"


def restore(module: nn.Module, optimiser: torch.optim.Optimizer, place: StageFiles) -> TrainingState:
    """Bring module and optimiser to the state on disk and return what has happened; nothing where there is none.

    Raises:
        CheckpointError: If it is another run's.
        BrokenFileError: If it can't be read.
    """
    path = place.state
    if not path.exists():
        return TrainingState()
    remedy = f"remove {path}, or train into another folder with --out"
    read = _read(path, remedy)
    if other := [name for name, value in place.run.items() if read["run"].get(name) != value]:
        raise CheckpointError(f"{path} is the state of another run: its {', '.join(other)} differ", remedy)
    if read["module"].keys() != moving(module).keys():
        raise CheckpointError(f"{path} is the state of another network", remedy)
    try:
        module.load_state_dict(module.state_dict() | read["module"])
        optimiser.load_state_dict(read["optimiser"])
        steps = [_step(number, row, read["names"]) for number, row in enumerate(read["steps"], 1)]
        best = Best(float(read["best"]["value"]), dict(read["best"]["module"])) if read["best"] else None
        if read["own"]:
            module.load_training_state(read["own"])  # type: ignore[operator]
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenFileError(f"{path} does not fit this network", remedy) from error
    return TrainingState(steps, best)


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        if recognise(path) == "torch-zip":
            check_contents(path)  # torch itself takes a changed byte for a weight
        read = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken file makes the reader raise
        raise BrokenFileError(f"{path} is not a training state that can be read", remedy) from error
    if not isinstance(read, dict) or any(not isinstance(read.get(name), kind) for name, kind in _STATE.items()):
        raise BrokenFileError(f"{path} is not a training state", remedy)
    return read


def _step(number: int, row: Sequence[float | None], names: Sequence[str]) -> Step:
    rate, validation, *losses = row
    if rate is None:
        raise ValueError(f"step {number} has no learning rate")
    named = zip(names, losses, strict=True)
    return Step(number, rate, {name: loss for name, loss in named if loss is not None}, validation)


def _own_state(module: nn.Module) -> dict[str, Any]:
    """Return what a method keeps beside its parameters and buffers, if it says so."""
    said = getattr(module, "training_state", None)
    return dict(said()) if callable(said) else {}
