"""Measures time and memory of methods, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fssbench.engine.profiling.profile import PROFILE, Line, Profile
from fssbench.errors import FSSBenchError, UsageError
from fssbench.metrics.summary import summarise
from fssbench.progress import tracked
from fssbench.results.run_reader import Results, load_run


@dataclass(frozen=True)
class Case:
    """One row of a benchmark: the options of `fssbench eval` in which rows differ."""

    method: str
    shots: int
    precision: str


@dataclass(frozen=True)
class Measured:
    """The measurements of a case.

    Attributes:
        case: The case.
        profile: Where its time went.
        backbone: Name of the backbone; None if it has none.
        learnable_parameters: How many parameters training changes.
        miou: In per cent, over the evaluated episodes.
        random: Whether its weights are random, so that its mIoU means nothing.
    """

    case: Case
    profile: Profile
    backbone: str | None
    learnable_parameters: int | None
    miou: float
    random: bool

    @property
    def rate(self) -> float:
        """Episodes per second."""
        return self.profile.episodes / max(self.profile.seconds, 1e-9)

    def record(self) -> dict[str, str | int | float | None]:
        """Return a flat row for a CSV file."""
        profile = self.profile
        flops = sum(line.flops for line in profile.lines)
        return {
            "method": self.case.method,
            "backbone": self.backbone,
            "shots": self.case.shots,
            "precision": self.case.precision,
            "episodes": profile.episodes,
            "episodes_per_second": round(self.rate, 4),
            **{f"{line.stage}_ms": round(1000 * line.seconds / profile.episodes, 2) for line in profile.lines},
            "gflop_per_episode": round(flops / profile.episodes / 1e9, 2),
            "share_of_matmul_peak": round(flops / max(profile.seconds, 1e-9) / profile.peak_flops, 4),
            "images_encoded": profile.images,
            "store_hits": profile.hits,
            "store_misses": profile.misses,
            "peak_memory_mib": profile.peak_bytes >> 20,
            "learnable_parameters": self.learnable_parameters,
            "miou": None if self.random else round(self.miou, 4),
            "device": profile.device,
            "threads": profile.threads,
            "matmul_gflops": round(profile.peak_flops / 1e9, 1),
        }


def measure(cases: Sequence[Case], options: Sequence[str]) -> Iterator[Measured]:
    """Evaluate each case in a process of its own and yield its measurements; so cases share neither memory nor caches.

    Args:
        cases: The cases.
        options: Options of `fssbench eval` that are the same for all.

    Raises:
        UsageError: If `fssbench eval` fails, with its message.
    """
    for case in tracked(cases, "measuring", "cases"):
        with tempfile.TemporaryDirectory(prefix="fssbench-bench-") as folder:
            yield _measured(case, options, Path(folder) / "run")


def _measured(case: Case, options: Sequence[str], out: Path) -> Measured:
    arguments = ["--method", case.method, "--shots", str(case.shots), "--precision", case.precision, *options]
    results = evaluated(arguments, out, f"{case.method}, {case.shots}-shot, {case.precision}")
    return Measured(
        case=case,
        profile=read_profile(out / PROFILE),
        backbone=results.run.method.backbone,
        learnable_parameters=results.run.method.learnable_parameters,
        miou=summarise(results.frame, draws=0).miou,
        random=any(fold.weights.kind == "random" for fold in results.run.folds),
    )


def evaluated(arguments: Sequence[str], out: Path, what: str) -> Results:
    """Run `fssbench eval --profile` in a process of its own and return its run.

    Args:
        arguments: The other options of `fssbench eval`.
        out: The run folder.
        what: What is evaluated, for an error.

    Raises:
        UsageError: If it fails, with its message.
    """
    command = [sys.executable, "-m", "fssbench", "eval", *arguments, "--out", str(out), "--profile", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very program
    if done.returncode:
        raise _refusal(what, done.stderr)
    return load_run(out)


def read_profile(path: Path) -> Profile:
    """Return a profile that `fssbench.engine.profiling.profile.write_profile` has written."""
    record = json.loads(path.read_text(encoding="utf-8"))
    lines = tuple(Line(**line) for line in record.pop("lines"))
    return Profile(lines=lines, **record)


def _refusal(what: str, stderr: str) -> FSSBenchError:
    text = [line for line in stderr.strip().splitlines() if line.strip()]
    remedy = next((line.strip().removeprefix("try: ") for line in text if line.strip().startswith("try: ")), None)
    last = text[-1] if text else "it failed without a message"
    message = next((line.removeprefix("error: ") for line in text if line.startswith("error: ")), last)
    return UsageError(f"{what}: {message}", remedy)
