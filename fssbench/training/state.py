"""The files of a stage of training: its state, from which it can be resumed, and its log."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fssbench.checkpoints.files import check_contents, recognise
from fssbench.checkpoints.programs import check_program
from fssbench.errors import BrokenFileError, CheckpointError
from fssbench.files import remove_leftovers, write_bytes, write_text
from fssbench.training.continuing import Continued, continued_from, history_text, read_history
from fssbench.training.plan import state_file
from fssbench.training.recorded import same_recipe

_STATE: Mapping[str, type] = {
    "run": dict,
    "module": dict,
    "optimiser": dict,
    "own": dict,
    "names": list,
    "steps": list,
    "best": dict,
}
_HISTORY = "history"
"""Where the state of a training has how it was continued with more steps; it has none if it was not."""
_LOGGED = ("step", "learning_rate", "loss", "validation")


@dataclass(frozen=True)
class Step:
    """A finished step.

    Attributes:
        step: Its number, from 1.
        learning_rate: Learning rate of parameters without a factor.
        losses: Each loss by name.
        validation: Result of the validation after this step, if there was one.
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
    """The files of a stage.

    Attributes:
        folder: Their folder.
        run: What decides the result, by name. A state file in which it differs is refused.
        stage: Name of the stage.
    """

    folder: Path
    run: Mapping[str, str]
    stage: str = ""

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / state_file(self.stage)

    @property
    def log(self) -> Path:
        """The table of the steps."""
        return self.folder / (f"log-{self.stage}.csv" if self.stage else "log.csv")


@dataclass(frozen=True)
class Best:
    """The weights of the best validation.

    Attributes:
        value: Its result.
        module: The part of the state dict that training changes.
    """

    value: float
    module: dict[str, Tensor]


@dataclass
class TrainingState:
    """The steps so far.

    Attributes:
        steps: Every step.
        best: The best validation, if it is needed.
        history: How often it was given more steps, and after which.
    """

    steps: list[Step] = field(default_factory=list)
    best: Best | None = None
    history: tuple[Continued, ...] = ()

    def keep_if_best(self, done: Step, module: nn.Module) -> None:
        """Keep the weights if no earlier validation was better or equal."""
        if done.validation is not None and (self.best is None or done.validation > self.best.value):
            self.best = Best(
                done.validation, {name: tensor.detach().clone() for name, tensor in trainable_state(module).items()}
            )


def trainable_state(module: nn.Module) -> dict[str, Tensor]:
    """Return the part of a state dict that training can change: buffers, and all parameters that are not frozen."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def save(module: nn.Module, optimiser: torch.optim.Optimizer, place: StageFiles, state: TrainingState) -> None:
    """Write state and log, each atomically."""
    names = loss_names(state.steps)
    packed = io.BytesIO()
    torch.save(
        {
            "run": dict(place.run) | ({_HISTORY: history_text(state.history, 0)} if state.history else {}),
            "module": trainable_state(module),
            "optimiser": optimiser.state_dict(),
            "own": _own_state(module),
            "names": names,
            "steps": [
                [step.learning_rate, step.validation, *(step.losses.get(n) for n in names)] for step in state.steps
            ],
            "best": {} if state.best is None else {"value": state.best.value, "module": state.best.module},
        },
        packed,
    )
    write_bytes(place.state, packed.getvalue())
    write_text(place.log, log_text(state.steps))


def mend_files(place: StageFiles, state: TrainingState) -> None:
    """Finish what a killed command had begun to write: the state is written before the log, each in a temporary file.

    Args:
        place: The files of the stage.
        state: What was read from its state file.
    """
    for path in (place.state, place.log):
        remove_leftovers(place.folder, path.name)
    if state.steps:
        text = log_text(state.steps)
        if not place.log.exists() or place.log.read_bytes() != text.encode():
            write_text(place.log, text)


def loss_names(steps: Iterable[Step]) -> list[str]:
    """Return the names of the losses in the order of their first appearance."""
    return list(dict.fromkeys(name for step in steps for name in step.losses))


def log_text(steps: Sequence[Step]) -> str:
    """Return the log: step, learning rate, sum of the losses, result of the validation if there was one, each loss."""
    names = loss_names(steps)
    lines = [",".join((*_LOGGED, *names))]
    for step in steps:
        parts = [str(step.step), f"{step.learning_rate:.6g}", f"{step.loss:.6f}"]
        parts.append("" if step.validation is None else f"{step.validation:.3f}")
        parts += [f"{step.losses[name]:.6f}" if name in step.losses else "" for name in names]
        lines.append(",".join(parts))
    return "\n".join(lines) + "\n"


def restore(module: nn.Module, optimiser: torch.optim.Optimizer, place: StageFiles) -> TrainingState:
    """Load the state file into module and optimiser and return the steps so far; an empty state if there is no file.

    A state whose recipe has fewer steps than the current one is continued with more, as `TrainingState.history` says.

    Raises:
        CheckpointError: If it belongs to another training.
        UsageError: If the current recipe has fewer steps than that of the state.
        BrokenFileError: If it can't be read.
    """
    path = place.state
    if not path.exists():
        return TrainingState()
    remedy = f"remove {path}, or use another folder with --out"
    read = _read(path, remedy)
    recorded: Mapping[str, object] = read["run"]
    more = continued_from(recorded.get("recipe"), place.run.get("recipe", ""), len(read["steps"]), str(path))
    if other := [
        name
        for name, value in place.run.items()
        if not (more and name == "recipe") and not _same(name, recorded.get(name), value)
    ]:
        raise CheckpointError(f"{path} is the state of another training, which differs in {', '.join(other)}", remedy)
    if read["module"].keys() != trainable_state(module).keys():
        raise CheckpointError(f"{path} is the state of another network", remedy)
    try:
        module.load_state_dict(module.state_dict() | read["module"])
        optimiser.load_state_dict(read["optimiser"])
        steps = [_step(number, row, read["names"]) for number, row in enumerate(read["steps"], 1)]
        best = Best(float(read["best"]["value"]), dict(read["best"]["module"])) if read["best"] else None
        history = (*read_history(str(recorded.get(_HISTORY, "0"))), *([more] if more else []))
        if read["own"]:
            module.load_training_state(read["own"])  # type: ignore[operator]
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenFileError(f"{path} does not fit this network", remedy) from error
    return TrainingState(steps, best, history)


def _same(name: str, recorded: object, value: str) -> bool:
    return same_recipe(recorded, value) if name == "recipe" else recorded == value


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        kind = recognise(path)
        if kind == "torch-zip":
            check_contents(path)  # torch itself would read a changed byte as a weight
        check_program(path, legacy=kind == "torch-legacy")
        read = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can raise any error
        raise BrokenFileError(f"{path} is not a readable training state", remedy) from error
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
    """Return further state of a method, besides its parameters and buffers, if it has any."""
    training_state = getattr(module, "training_state", None)
    return dict(training_state()) if callable(training_state) else {}
