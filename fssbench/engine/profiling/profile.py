"""Where an evaluation's time went, beside what this machine could do."""

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
    """One stage (`timers.STAGES`): its seconds, their share of all, operations (0 if not counted)."""

    stage: str
    seconds: float
    share: float
    flops: int


@dataclass(frozen=True)
class Profile:
    """Where the time went.

    Attributes:
        lines: By stage.
        episodes: How many episodes were answered.
        images: How many images were encoded.
        hits: How often what an episode needs was in the store of features.
        misses: How often it was not.
        evicted: How often something went from the store though it was needed again.
        store_bytes: The most that the store held.
        peak_bytes: The most memory that the process had.
        peak_flops: Operations per second of this device when it multiplies matrices, measured.
        threads: Threads of one operation on the processor.
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
        """Of all stages."""
        return sum(line.seconds for line in self.lines)

    @property
    def sentences(self) -> list[str]:
        """What is said below the table of stages."""
        computing = sum(line.seconds for line in self.lines if line.flops)
        flops = sum(line.flops for line in self.lines)
        asked = max(self.hits + self.misses, 1)
        said = [
            f"{self.episodes / max(self.seconds, 1e-9):.2f} episodes/s on {self.device}, {self.threads} threads; "
            f"{self.images} images encoded for {self.episodes} episodes",
            f"features: {self.hits / asked:.0%} of {asked} were in the store, which held "
            f"{self.store_bytes / 2**30:.2f} GiB at most and let {self.evicted} go early; "
            f"memory {self.peak_bytes / 2**30:.2f} GiB at most",
        ]
        if flops:
            said.append(
                f"{flops / max(computing, 1e-9) / 1e9:.0f} GFLOP/s while computing; over the whole run "
                f"{flops / max(self.seconds, 1e-9) / self.peak_flops:.0%} of the {self.peak_flops / 1e9:.0f} GFLOP/s "
                "of a matrix product here (operations counted in every tenth call)"
            )
        return said


def make_profile(stages: StageTimers, count: CacheCounts) -> Profile:
    """Return the profile of what a stopwatch has seen; the device's peak is measured now, in about a second."""
    import torch

    device = stages.device or torch.device("cpu")
    seconds = {name: stages.seconds(name) for name in STAGES}
    total = max(sum(seconds.values()), 1e-9)
    lines = tuple(Line(name, its, its / total, stages.flops(name)) for name, its in seconds.items())
    return Profile(
        lines=lines,
        episodes=stages.episodes,
        images=stages.images,
        hits=count.hits,
        misses=count.misses,
        evicted=count.evicted,
        store_bytes=count.peak_bytes,
        peak_bytes=peak_memory(device),
        peak_flops=matmul_peak(device),
        threads=torch.get_num_threads(),
        device=str(device),
    )


def matmul_peak(device: torch.device) -> float:
    """Return the operations per second of a float32 matrix product: the best of a few, a multiply-add being two."""
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
