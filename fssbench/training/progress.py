"""The progress of a training: a bar on a terminal, plain lines elsewhere, and curves for TensorBoard on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fssbench.escape import printable
from fssbench.progress import INTERVAL, animated
from fssbench.training.loop import StepCallback
from fssbench.training.plan import Plan
from fssbench.training.recipes import stage_recipe
from fssbench.training.state import Step

_SMOOTHED = 50


class Pace:
    """Speed, remaining time, recent loss and last validation of a stage.

    Args:
        steps: Number of steps.
        measure: Name of the validation measure.
    """

    def __init__(self, steps: int, measure: str = "mIoU") -> None:
        self._steps = steps
        self._measure = measure
        self._started: tuple[int, float] | None = None
        self._recent: list[float] = []
        self._validation: float | None = None

    def text(self, done: Step) -> str:
        """Add a finished step and return e.g. "loss 0.3511, mIoU 41.2, 3.20 steps/s, 1:40 left".

        The first step starts the clock, so the speed is known from the second step on.
        """
        self._recent = [*self._recent[1 - _SMOOTHED :], done.loss]
        if done.validation is not None:
            self._validation = done.validation
        parts = [f"loss {sum(self._recent) / len(self._recent):.4f}"]
        if self._validation is not None:
            parts.append(f"{self._measure} {self._validation:.1f}")
        if self._started is None:
            self._started = done.step, time.monotonic()
        else:
            step, then = self._started
            rate = (done.step - step) / max(time.monotonic() - then, 1e-6)
            left = round((self._steps - done.step) / max(rate, 1e-9))
            parts += [f"{rate:.2f} steps/s", f"{left // 60}:{left % 60:02d} left"]
        return ", ".join(parts)


@contextmanager
def progress_callback(plan: Plan) -> Iterator[StepCallback]:
    """Give a callback that reports on stderr and, if the plan says so, to TensorBoard."""
    with ExitStack() as stack:
        callbacks = [stack.enter_context(_bar(plan) if animated(sys.stderr) else _lines(plan))]
        if plan.tensorboard:
            callbacks.append(stack.enter_context(_curves(plan)))

        def report(stage: str, steps: int, done: Step) -> None:
            for callback in callbacks:
                callback(stage, steps, done)

        yield report


def _title(plan: Plan, stage: str) -> str:
    parts = [plan.network, plan.variant, stage, plan.dataset.name, f"fold {plan.fold}"]
    return ", ".join(part for part in parts if part)


def _measure(plan: Plan, stage: str) -> str:
    validation = stage_recipe(plan.recipes, stage, plan.network).validation
    return "ER" if validation and validation.measure == "exact_ratio" else "mIoU"


@contextmanager
def _bar(plan: Plan) -> Iterator[StepCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("{task.fields[pace]}", markup=False))
    with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
        stages: dict[str, tuple[TaskID, Pace]] = {}

        def report(stage: str, steps: int, done: Step) -> None:
            if stage not in stages:
                title = printable(_title(plan, stage))
                progress.console.print(title, markup=False, emoji=False, highlight=False, soft_wrap=True)
                stages[stage] = progress.add_task(title, total=steps, pace=""), Pace(steps, _measure(plan, stage))
            task, pace = stages[stage]
            progress.update(task, completed=done.step, pace=pace.text(done))

        yield report


@contextmanager
def _lines(plan: Plan) -> Iterator[StepCallback]:
    """Print a line at the end of each stage, and before that one every `INTERVAL` seconds at most."""
    paces: dict[str, Pace] = {}
    printed = time.monotonic()

    def report(stage: str, steps: int, done: Step) -> None:
        nonlocal printed
        text = paces.setdefault(stage, Pace(steps, _measure(plan, stage))).text(done)
        if done.step == steps or time.monotonic() - printed >= INTERVAL:
            printed = time.monotonic()
            sys.stderr.write(f"{printable(_title(plan, stage))}: step {done.step}/{steps}, {text}\n")
            sys.stderr.flush()

    yield report


@contextmanager
def _curves(plan: Plan) -> Iterator[StepCallback]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(plan.folder / "tensorboard")) as writer:

        def report(stage: str, steps: int, done: Step) -> None:  # noqa: ARG001 - a watcher's arguments
            curves = {"loss": done.loss, "learning_rate": done.learning_rate}
            curves |= {f"loss/{name}": value for name, value in done.losses.items()}
            if done.validation is not None:
                curves["validation"] = done.validation
            for name, value in curves.items():
                writer.add_scalar(f"{stage}/{name}" if stage else name, value, done.step)

        yield report
