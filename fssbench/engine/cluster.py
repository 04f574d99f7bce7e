"""Runs an evaluation as jobs of a cluster through submitit, one job for each shard."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.errors import MissingError, UsageError
from fssbench.stopping import DEADLINE

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

Cluster = Literal["slurm", "local"]

RESTARTS = 20
"""How often a job that reaches its time limit is queued again; one that is preempted always is."""
_POLL = 0.1
"""Seconds between looks at whether a shard has ended."""


@dataclass(frozen=True)
class Resources:
    """The resources of each job.

    Attributes:
        minutes: Time limit.
        cpus: CPU cores.
        gpus: Graphics cards.
        memory_gb: Memory in GB.
        partition: Slurm partition; None for the cluster's default.
        at_once: How many jobs may run at the same time; None for all.
        extra: Further parameters of submitit, e.g. {"slurm_account": "vision"}.
    """

    minutes: int = 240
    cpus: int = 4
    gpus: int = 0
    memory_gb: int = 16
    partition: str | None = None
    at_once: int | None = None
    extra: Mapping[str, str] | None = None


def shard_commands(arguments: Sequence[str], shards: int) -> list[list[str]]:
    """Return the command of each shard. A job that is started again continues its own rows.

    Args:
        arguments: The words after `fssbench`: "eval" and its options, with --out.
        shards: Number of shards.

    Raises:
        UsageError: If the command is no evaluation that can be divided, or `shards` is below 1.
    """
    if not arguments or arguments[0] != "eval":
        raise UsageError("only an evaluation can be launched", "fssbench launch --shards 8 -- eval --method hsnet ...")
    for option, reason in (
        ("--shard", "launch sets it for each job"),
        ("--overwrite", "a job that is started again would delete its rows"),
        ("--save-predictions", "only a single process can save predictions"),
        ("--until", "the intervals are of all rows, and each job has a part"),
    ):
        if any(part == option or part.startswith(f"{option}=") for part in arguments):
            raise UsageError(f"{option} can't be launched: {reason}", f"leave {option} out")
    if not any(part == "--out" or part.startswith("--out=") for part in arguments):
        raise UsageError("the shards need a common folder", "... eval ... --out DIR")
    if shards < 1:
        raise UsageError(f"--shards is at least 1, not {shards}")
    start = [sys.executable, "-m", "fssbench", *arguments]
    resume = [] if "--resume" in arguments else ["--resume"]
    return [[*start, *resume, "--quiet", "--shard", f"{part}/{shards}"] for part in range(1, shards + 1)]


def submit(commands: Sequence[Sequence[str]], folder: Path, cluster: Cluster, resources: Resources) -> list[str]:
    """Submit the commands to the cluster as one job array and return the ids of the jobs.

    Args:
        commands: One for each job.
        folder: Where the cluster writes its logs.
        cluster: "slurm", or "local" for processes on this machine.
        resources: The resources of each job.

    Raises:
        MissingError: If submitit is not installed, or the cluster is not available.
        UsageError: If submitit rejects a parameter.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources is deprecated, which users can't change
            import pkg_resources  # noqa: F401 - submitit imports it later, with an unclear error if it is missing
            import submitit
    except ImportError as error:
        raise MissingError(
            f"submitit, which submits the jobs, can't be imported: {error}", "pip install 'fssbench[slurm]'"
        ) from error
    try:
        executor = submitit.AutoExecutor(
            folder=str(folder), cluster=cluster, **{f"{cluster}_max_num_timeout": RESTARTS}
        )
    except RuntimeError as error:
        raise MissingError(f"there is no {cluster} here: {str(error).splitlines()[0]}", "--cluster local") from error
    parameters: dict[str, object] = {
        "name": "fssbench",
        "timeout_min": resources.minutes,
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus,
        "mem_gb": resources.memory_gb,
    }
    if cluster == "slurm":
        parameters["slurm_array_parallelism"] = resources.at_once or len(commands)
        if resources.partition:
            parameters["slurm_partition"] = resources.partition
    try:
        executor.update_parameters(**parameters, **dict(resources.extra or {}))
    except (NameError, TypeError, ValueError) as error:
        raise UsageError(f"submitit refuses a parameter: {str(error).splitlines()[0]}") from error
    return [str(job.job_id) for job in executor.map_array(ShardJob(), [list(command) for command in commands])]


class ShardJob:
    """A job of submitit that runs one shard, and is queued again if its time is over or it has to make room.

    Submitit calls it, and calls `checkpoint` at the signal that the cluster sends before it ends the job.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, command: Sequence[str]) -> int:
        """Run the command of a shard and return 0. Its output goes to the log of the job.

        Raises:
            subprocess.CalledProcessError: If it fails.
        """
        sys.stdout.write(f"{shlex.join(command)}\n")
        sys.stdout.flush()
        self._process = subprocess.Popen(list(command))  # noqa: S603 - the command that a person has launched
        # Not by `wait`, which holds a lock that `checkpoint`, called by a signal in the same thread, would wait for.
        while self._process.poll() is None:
            time.sleep(_POLL)
        if self._process.returncode:
            raise subprocess.CalledProcessError(self._process.returncode, list(command))
        return 0

    def checkpoint(self, command: Sequence[str]) -> DelayedSubmission:
        """End the shard, which finishes the episodes that are predicted at that moment, and return the job to queue.

        The rows are all that it leaves: the command has --resume.
        """
        from submitit.helpers import DelayedSubmission

        process = self._process
        if process is not None:
            process.terminate()
            last = time.monotonic() + DEADLINE + 5
            while process.poll() is None and time.monotonic() < last:
                time.sleep(_POLL)
            process.kill()
        return DelayedSubmission(ShardJob(), list(command))
