"""Measures time and memory of methods, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fssbench.engine.profiling.profile import PROFILE, Line, Profile
from fssbench.errors import FSSBenchError, UsageError
from fssbench.metrics.summary import summarise
from fssbench.progress import Activity
from fssbench.results.run_reader import Results, load_run
from fssbench.temporary import temporary_folder

_LOOK = 0.5
"""Seconds between two looks at the rows of a process."""


@dataclass(frozen=True)
class Case:
    """One row of a benchmark: the options of `fssbench eval` in which rows differ."""

    method: str
    shots: int
    precision: str

    def __str__(self) -> str:
        return f"{self.method}, {self.shots}-shot, {self.precision}"


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


def measure(cases: Sequence[Case], options: Sequence[str], episodes: int | None = None) -> Iterator[Measured]:
    """Evaluate each case in a process of its own and yield its measurements; so cases share neither memory nor caches.

    Args:
        cases: The cases.
        options: Options of `fssbench eval` that are the same for all.
        episodes: How many episodes each of them evaluates, if that is known; for the progress.

    Raises:
        UsageError: If `fssbench eval` fails, with its message.
    """
    for number, case in enumerate(cases, 1):
        doing = f"measuring {case} ({number} of {len(cases)})"
        with (
            temporary_folder("fssbench-bench") as folder,
            Activity(doing, episodes, "episodes") as now,
        ):
            yield _measured(case, options, folder / "run", now)


def _measured(case: Case, options: Sequence[str], out: Path, activity: Activity) -> Measured:
    arguments = ["--method", case.method, "--shots", str(case.shots), "--precision", case.precision, *options]
    results = evaluated(arguments, out, str(case), activity)
    return Measured(
        case=case,
        profile=read_profile(out / PROFILE),
        backbone=results.run.method.backbone,
        learnable_parameters=results.run.method.learnable_parameters,
        miou=summarise(results.frame, draws=0).miou,
        random=any(fold.weights.kind == "random" for fold in results.run.folds),
    )


def evaluated(arguments: Sequence[str], out: Path, what: str, activity: Activity) -> Results:
    """Run `fssbench eval --profile` in a process of its own and return its run; an interrupt ends that process, too.

    Args:
        arguments: The other options of `fssbench eval`.
        out: The run folder.
        what: What is evaluated, for an error.
        activity: Is told how many episodes have a row.

    Raises:
        UsageError: If it fails, with its message.
    """
    command = [sys.executable, "-m", "fssbench", "eval", *arguments, "--out", str(out), "--profile", "--quiet"]
    with subprocess.Popen(  # noqa: S603 - this very program
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            stderr = _wait(process, out / "rows.jsonl", activity)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise _refusal(what, stderr)
    return load_run(out)


def _wait(process: subprocess.Popen[str], rows: Path, activity: Activity) -> str:
    """Wait for a process, and return what it wrote on standard error."""
    while True:
        try:
            return process.communicate(timeout=_LOOK)[1]
        except subprocess.TimeoutExpired:
            with suppress(FileNotFoundError), rows.open("rb") as file:
                activity.done = sum(1 for _ in file)


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
