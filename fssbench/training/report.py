"""Progress of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fssbench.training.loop import Watcher
from fssbench.training.plan import Plan

_LINES = 20
_SMOOTHED = 50


class Pace:
    """Rate, time left and recent loss of a run.

    Args:
        steps: How many steps it has.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._first: int | None = None
        self._started = time.monotonic()
        self._recent: list[float] = []

    def text(self, step: int, loss: float) -> str:
        """Take note of a finished step (1-based) and return e.g. "loss 0.3511, 3.2 steps/s, 1:40 left"."""
        if self._first is None:
            self._first = step - 1
        self._recent = [*self._recent[1 - _SMOOTHED :], loss]
        rate = (step - self._first) / max(time.monotonic() - self._started, 1e-6)
        left = round((self._steps - step) / max(rate, 1e-9))
        mean = sum(self._recent) / len(self._recent)
        return f"loss {mean:.4f}, {rate:.2f} steps/s, {left // 60}:{left % 60:02d} left"


@contextmanager
def reporter(plan: Plan) -> Iterator[Watcher]:
    """Give a watcher that reports on stderr."""
    steps = plan.recipe.steps
    pace = Pace(steps)
    title = f"{plan.method or plan.backbone}, {plan.dataset.name}, fold {plan.fold}"
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(title, total=steps, pace="")
            yield lambda step, loss: progress.update(task, completed=step, pace=pace.text(step, loss))
        return

    every = max(1, steps // _LINES)

    def line(step: int, loss: float) -> None:
        text = pace.text(step, loss)
        if step % every == 0 or step == steps:
            sys.stderr.write(f"{title}: step {step}/{steps}, {text}\n")
            sys.stderr.flush()

    yield line
