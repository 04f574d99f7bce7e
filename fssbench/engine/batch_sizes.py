"""How many episodes and images one call computes: as many as memory holds, and fewer after it has run out."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fssbench.engine.profiling.memory import return_freed_memory
from fssbench.errors import UsageError

if TYPE_CHECKING:
    import torch

    from fssbench.planning.settings import Settings

EPISODES_PER_THREAD = 4
"""Episodes of a call for each thread. With more episodes, threads wait less for the last one."""
MAX_EPISODES_PER_CALL = 16
"""Most episodes of a call on a CPU, because the features of all of them are in memory."""
MOST_ON_CARD = 32
"""Most images or episodes of a call on a graphics card, which does no more in the same time with more."""
SHARE_OF_FREE = 0.5
"""The part of a card's free memory that a larger batch may take: peaks differ between episodes."""

_NO_MEMORY = (
    *("can't allocate memory", "could not create a primitive", "could not create a memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)
"""What torch says where it raises no OutOfMemoryError: its allocator and oneDNN on a CPU, and libraries on a card."""
_LOG = logging.getLogger(__name__)


class BatchSizes:
    """The sizes of calls, which change while episodes are evaluated.

    Args:
        settings: Settings; a batch size that is given there is the largest.
        device: Where methods compute.
        at_once: How many episodes a CPU predicts at the same time.

    Attributes:
        episodes: Episodes of a call.
        images: Images that are encoded in one call.
        changes: Each number of episodes of a call so far.
    """

    def __init__(self, settings: Settings, device: torch.device, at_once: int) -> None:
        batch = settings.batch_on(device)
        self.images = batch
        self.episodes = batch if at_once == 1 else max(batch, min(EPISODES_PER_THREAD * at_once, MAX_EPISODES_PER_CALL))
        self.changes = [self.episodes]
        self._at_once = at_once
        self._device = device
        self._grows = device.type == "cuda" and settings.batch_size is None and not settings.deterministic

    def call(self, start: int, count: int) -> range:
        """Return which of `count` steps a call computes. On a CPU the first call has one for each thread.

        So the first rows come early: whoever looks sees that it works, and how long it takes.
        """
        first = self.episodes if self._at_once == 1 else min(self._at_once, self.episodes)
        return range(start, min(start + (self.episodes if start else first), count))

    @property
    def most(self) -> int:
        """The most episodes that a call may come to have."""
        return max(self.episodes, MOST_ON_CARD if self._grows else 0)

    def halve(self, reason: str) -> None:
        """Compute half as many from now on, after memory has run out.

        Args:
            reason: What torch said.

        Raises:
            UsageError: If a call has one episode already.
        """
        if self.episodes == 1:
            raise UsageError(
                f"memory runs out on {self._device} with one episode in a call and no features kept: {reason}",
                "end other programs there, --precision bfloat16, a smaller backbone, or --device cpu",
            )
        self._grows = False
        self.episodes = max(1, self.episodes // 2)
        self.images = min(self.images, self.episodes)
        self.changes.append(self.episodes)
        plural = "" if self.episodes == 1 else "s"
        _LOG.warning(
            "memory ran out on %s; from here %d episode%s in a call (%s)", self._device, self.episodes, plural, reason
        )

    def begin(self) -> None:
        """Measure what the next call takes, if batches may grow."""
        if self._grows:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)

    def grow(self, held: int, peak: int, free: int) -> None:
        """Compute more from now on, after a whole call, if there is memory for that.

        Args:
            held: Bytes in use after the call.
            peak: Most bytes in use during the call.
            free: Bytes that are free.
        """
        each = max(peak - held, 1) // self.episodes + 1
        fitting = int(free * SHARE_OF_FREE) // each
        self._grows = False
        size = self.episodes
        while size * 2 <= min(fitting, MOST_ON_CARD):
            size *= 2
        if size > self.episodes:
            self.episodes = self.images = size
            self.changes.append(size)

    def end(self, episodes: int) -> None:
        """Let batches grow after the first whole call on a graphics card.

        Args:
            episodes: How many it had; the last call of a fold may have fewer.
        """
        if self._grows and episodes == self.episodes:
            import torch

            memory = torch.cuda.memory_allocated(self._device), torch.cuda.max_memory_allocated(self._device)
            cached = torch.cuda.memory_reserved(self._device) - memory[0]
            self.grow(*memory, free=torch.cuda.mem_get_info(self._device)[0] + cached)


@dataclass
class Attempt:
    """Whether a call could be made: the reason if memory ran out, otherwise empty."""

    reason: str = ""


@contextmanager
def attempted() -> Iterator[Attempt]:
    """Go on after the block if memory runs out in it."""
    attempt = Attempt()
    try:
        yield attempt
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        attempt.reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory has run out."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def free_unused(device: torch.device) -> None:
    """Return to the system what is held for reuse."""
    gc.collect()
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
    elif device.type == "cpu":
        return_freed_memory()
