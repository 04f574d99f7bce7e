"""Where the time of an evaluation went, compared with the peak speed of the machine."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.profiling.memory import peak_memory
from fssbench.engine.profiling.timers import STAGES, StageTimers
from fssbench.results.run_reader import write_atomically

if TYPE_CHECKING:
    import torch

PROFILE = "profile.json"
_SIDE = 2048
_REPEATS = 5


@dataclass(frozen=True)
class Line:
    """One stage of `timers.STAGES`: its seconds, their share of the total, and its operations (0 if not counted)."""

    stage: str
    seconds: float
    share: float
    flops: int


@dataclass(frozen=True)
class Profile:
    """Where the time went.

    Attributes:
        lines: One for each stage.
        episodes: How many episodes were predicted.
        images: How many images were encoded.
        hits: How often the feature cache held what an episode needs.
        misses: How often it did not.
        evicted: How many cached values were evicted although they were needed again.
        store_bytes: Largest size of the feature cache.
        peak_bytes: Largest memory of the process.
        peak_flops: Measured operations per second of a matrix product on this device.
        threads: Threads that one operation uses on a CPU.
        device: "cpu" or "cuda:N".
    """

    lines: tuple[Line, ...]
    episodes: int
    images: int
    hits: int
    misses: int
    evicted: int
    store_bytes: int
    peak_bytes: int
    peak_flops: float
    threads: int
    device: str

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum(line.seconds for line in self.lines)

    @property
    def sentences(self) -> list[str]:
        """The text below the table of stages."""
        computing = sum(line.seconds for line in self.lines if line.flops)
        flops = sum(line.flops for line in self.lines)
        lookups = max(self.hits + self.misses, 1)
        sentences = [
            f"{self.episodes / max(self.seconds, 1e-9):.2f} episodes/s on {self.device}, {self.threads} threads; "
            f"{self.images} images encoded for {self.episodes} episodes",
            f"features: {self.hits / lookups:.0%} of {lookups} look-ups were in the cache, which held at most "
            f"{self.store_bytes / 2**30:.2f} GiB and evicted {self.evicted} values too early; "
            f"peak memory {self.peak_bytes / 2**30:.2f} GiB",
        ]
        if flops:
            sentences.append(
                f"{flops / max(computing, 1e-9) / 1e9:.0f} GFLOP/s while computing; over the whole run "
                f"{flops / max(self.seconds, 1e-9) / self.peak_flops:.0%} of the {self.peak_flops / 1e9:.0f} GFLOP/s "
                "of a matrix product here (operations counted in every tenth call)"
            )
        return sentences


def make_profile(timers: StageTimers, counts: CacheCounts) -> Profile:
    """Return the profile of an evaluation. The device's peak speed is measured now, which takes about a second."""
    import torch

    device = timers.device or torch.device("cpu")
    seconds = {name: timers.seconds(name) for name in STAGES}
    total = max(sum(seconds.values()), 1e-9)
    lines = tuple(
        Line(name, time_spent, time_spent / total, timers.flops(name)) for name, time_spent in seconds.items()
    )
    return Profile(
        lines=lines,
        episodes=timers.episodes,
        images=timers.images,
        hits=counts.hits,
        misses=counts.misses,
        evicted=counts.evicted,
        store_bytes=counts.peak_bytes,
        peak_bytes=peak_memory(device),
        peak_flops=matmul_peak(device),
        threads=torch.get_num_threads(),
        device=str(device),
    )


def matmul_peak(device: torch.device) -> float:
    """Return the operations per second of a float32 matrix product, the best of a few; a multiply-add is two."""
    import torch

    left, right = (torch.rand(_SIDE, _SIDE, device=device) for _ in range(2))
    best = 0.0
    for _ in range(_REPEATS):
        began = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * _SIDE**3 / (time.perf_counter() - began))
    return best


def write_profile(profile: Profile, folder: Path) -> None:
    """Write profile.json into a run folder.

    Raises:
        UsageError: If it can't be written.
    """
    write_atomically(folder / PROFILE, json.dumps(asdict(profile), indent=1) + "\n")
