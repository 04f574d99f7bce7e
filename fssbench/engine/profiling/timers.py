"""Measures the time of an evaluation, and its operations, by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STAGES = ("decode", "encode", "condition", "predict", "score")
"""decode: photos and label maps are read and resized, as far as the main thread waits for them. encode: the method's
`encode` and `prepare_query`. condition, predict: these steps of the method. score: pixels are counted."""
COMPUTING = ("encode", "condition", "predict")
"""The stages whose operations are counted."""
PREPARE_QUERY = "prepare_query"
"""Has its own stopwatch within encode: its operations differ from those of `encode`, and flops are means per call."""
_FIRST, _EVERY = 2, 10


@dataclass
class Stopwatch:
    """The measurements of one stage.

    Attributes:
        entered: How often the stage was entered.
        calls: How many calls were made in it. A stage may predict several episodes at once; all others make one call.
        counted: How many of the calls had their operations counted.
        counted_flops: Operations of these calls; a multiply-add is two.
        timed_seconds: Time of all other calls. Counting itself takes time, so these are measured apart.
        counted_seconds: Time of the calls whose operations were counted.
    """

    entered: int = 0
    calls: int = 0
    counted: int = 0
    counted_flops: int = 0
    timed_seconds: float = 0.0
    counted_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Time of all calls; a counted call is taken to last as long as the mean of the others, if there are others."""
        timed = self.calls - self.counted
        return self.timed_seconds / timed * self.calls if timed else self.counted_seconds

    @property
    def flops(self) -> int:
        """Operations of all calls, estimated from the mean of the counted calls."""
        return round(self.counted_flops / self.counted * self.calls) if self.counted else 0


@dataclass
class StageTimers:
    """A stopwatch for each stage.

    Attributes:
        stopwatches: One for each stage, and one for `PREPARE_QUERY`.
        images: How many images were encoded.
        episodes: How many episodes were predicted.
        counting: Whether operations are counted: the first times that a stage is entered, and then every tenth time.
        waiting: Whether the end of each stage waits for the graphics card, so that the time belongs to the right stage.
        device: Where the method computes.
    """

    stopwatches: dict[str, Stopwatch] = field(
        default_factory=lambda: {name: Stopwatch() for name in (*STAGES, PREPARE_QUERY)}
    )
    images: int = 0
    episodes: int = 0
    counting: bool = False
    waiting: bool = False
    device: torch.device | None = None

    def seconds(self, stage: str) -> float:
        """Return the seconds of a stage."""
        return sum(watch.seconds for watch in self.watches(stage))

    def flops(self, stage: str) -> int:
        """Return the operations of a stage."""
        return sum(watch.flops for watch in self.watches(stage))

    def watches(self, stage: str) -> list[Stopwatch]:
        """Return the stopwatches of a stage."""
        return [self.stopwatches[stage], *([self.stopwatches[PREPARE_QUERY]] if stage == "encode" else [])]

    @contextmanager
    def stage(self, name: str, calls: int = 1) -> Iterator[None]:
        """Measure a stage in which `calls` calls are made."""
        watch = self.stopwatches[name]
        counted = (
            self.counting
            and name in (*COMPUTING, PREPARE_QUERY)
            and (watch.entered < _FIRST or watch.entered % _EVERY == 0)
        )
        began = time.perf_counter()
        try:
            if counted:
                with self._counted(watch):
                    yield
            else:
                yield
            self._synchronise()
        finally:
            passed = time.perf_counter() - began
            watch.entered += 1
            watch.calls += calls
            watch.counted += calls * counted
            if counted:
                watch.counted_seconds += passed
            else:
                watch.timed_seconds += passed

    @contextmanager
    def _counted(self, watch: Stopwatch) -> Iterator[None]:
        from fssbench.engine.profiling.flops import Operations

        with Operations() as operations:
            yield
        watch.counted_flops += operations.count

    def _synchronise(self) -> None:
        if self.waiting and self.device is not None and self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)
