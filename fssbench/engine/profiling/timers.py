"""Where the time of an evaluation goes: seconds and multiply-adds by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STAGES = ("decode", "encode", "condition", "predict", "score")
"""decode: photos and label maps read and resized, as far as the main thread waits for it. encode: the method's `encode`
and `prepare_query`. condition, predict: the method's. score: label maps counted."""
COMPUTING = ("encode", "condition", "predict")
"""StageTimers whose operations are counted."""
PREPARE_QUERY = "prepare_query"
"""A stopwatch of its own within encode: it takes other operations, and operations are those of the mean call."""
_FIRST, _EVERY = 2, 10


@dataclass
class Stopwatch:
    """One stage.

    Attributes:
        entered: How often it was entered.
        calls: How much was asked meanwhile: several episodes may be answered at once, all else is one.
        counted: How many of the calls had their operations counted.
        counted_flops: Operations of those, a multiply-add being two.
        timed_seconds: Time of all others: counting takes time itself.
        counted_seconds: Time of the counted ones.
    """

    entered: int = 0
    calls: int = 0
    counted: int = 0
    counted_flops: int = 0
    timed_seconds: float = 0.0
    counted_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Of all calls; the counted ones are taken to last as long as the others, where there are others."""
        timed = self.calls - self.counted
        return self.timed_seconds / timed * self.calls if timed else self.counted_seconds

    @property
    def flops(self) -> int:
        """Of all calls, by the mean of the counted ones."""
        return round(self.counted_flops / self.counted * self.calls) if self.counted else 0


@dataclass
class StageTimers:
    """A stopwatch for each stage.

    Attributes:
        of: By stage, and `PREPARE_QUERY`.
        images: How many images were encoded.
        episodes: How many episodes were answered.
        counting: Whether operations are counted, the first times a stage is entered and every tenth time.
        waiting: Whether a graphics card is waited for at the end of each stage, so that its time is this stage's.
        device: Where the method computes.
    """

    of: dict[str, Stopwatch] = field(default_factory=lambda: {name: Stopwatch() for name in (*STAGES, PREPARE_QUERY)})
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
        """Return the stopwatches that make up a stage."""
        return [self.of[stage], *([self.of[PREPARE_QUERY]] if stage == "encode" else [])]

    @contextmanager
    def stage(self, name: str, calls: int = 1) -> Iterator[None]:
        """Time a stage in which so many calls are made."""
        watch = self.of[name]
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
