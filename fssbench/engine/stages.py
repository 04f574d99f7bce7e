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
and `as_query`. condition, predict: the method's. score: label maps counted."""


@dataclass
class Stages:
    """A stopwatch for each stage.

    Attributes:
        seconds: By stage.
        flops: Operations by stage, a multiply-add being two; counted only if `counting`.
        images: How many images were encoded.
        episodes: How many episodes were answered.
        counting: Whether operations are counted, which slows small networks down.
        device: Where the method computes; a graphics card is waited for at each end of a stage if `counting`.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    flops: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    images: int = 0
    episodes: int = 0
    counting: bool = False
    device: torch.device | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.perf_counter()
        try:
            if self.counting and name in ("encode", "condition", "predict"):
                with self._counted(name):
                    yield
            else:
                yield
        finally:
            self.seconds[name] += time.perf_counter() - began

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        with counter:
            yield
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.flops[name] += counter.get_total_flops()
