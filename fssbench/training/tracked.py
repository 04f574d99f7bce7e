"""A training that trackers are told of."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from fssbench.tracking.callback import Callback, Value
from fssbench.tracking.facts import INTERVAL
from fssbench.tracking.guarded import Guarded, closing
from fssbench.training.loop import StepCallback
from fssbench.training.plan import Plan
from fssbench.training.state import Step


@contextmanager
def tracked(
    plan: Plan, told: Sequence[Guarded], shown: StepCallback
) -> Iterator[tuple[StepCallback, Callable[[Path], None]]]:
    """Give a callback that tells trackers, too, and what is called with the weights when they are written.

    A step is told where there was a validation, at the end of a stage, and else every ten seconds.
    """
    if not told:
        yield shown, lambda _: None
        return
    for one in told:
        one.tell(partial(_started, plan.folder.name, settings_of(plan), plan.folder))
    last = -math.inf

    def report(stage: str, steps: int, done: Step) -> None:
        nonlocal last
        shown(stage, steps, done)
        if done.validation is not None or done.step == steps or time.monotonic() - last >= INTERVAL:
            last = time.monotonic()
            for one in told:
                one.tell(partial(_step, stage, done.step, _values(done)), spare=True)

    def finished(weights: Path) -> None:
        for one in told:
            one.tell(partial(_finished, weights))

    with closing(told):
        yield report, finished


def settings_of(plan: Plan) -> dict[str, Value]:
    """Return what is trained, and by which recipe."""
    found: dict[str, Value] = {
        "method": plan.network,
        "variant": plan.variant,
        "backbone": plan.backbone,
        "dataset": plan.dataset.name,
        "fold": plan.fold,
        "seed": plan.seed,
        "device": plan.device,
    }
    for stage, recipe in plan.recipes.items():
        start = f"{stage}_" if stage else ""
        found |= {
            f"{start}steps": recipe.steps or 0,
            f"{start}batch": recipe.batch,
            f"{start}optimiser": recipe.optimiser.kind,
            f"{start}learning_rate": recipe.optimiser.learning_rate,
        }
    return {name: value for name, value in found.items() if value != ""}


def _values(done: Step) -> dict[str, float]:
    values = {"loss": done.loss, "learning_rate": done.learning_rate}
    values |= {f"loss_{name}": value for name, value in done.losses.items()}
    if done.validation is not None:
        values["validation"] = done.validation
    return values


def _started(name: str, settings: Mapping[str, Value], folder: Path, callback: Callback) -> None:
    callback.training_started(name, settings, folder)


def _step(stage: str, step: int, values: Mapping[str, float], callback: Callback) -> None:
    callback.training_step(stage, step, values)


def _finished(weights: Path, callback: Callback) -> None:
    callback.training_finished(weights)
