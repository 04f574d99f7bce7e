"""The shard of a job that a scheduler started: from plain variables, or from those of a Slurm job array."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fssbench.errors import UsageError
from fssbench.escape import printable
from fssbench.results.run_reader import SHARDS
from fssbench.results.shard import Shard

NUMBER, COUNT = "FSSBENCH_SHARD", "FSSBENCH_SHARDS"
"""The variables that any scheduler can set: the number of the shard, from 1, and the number of shards."""
WHOLE_RUN = "none"
"""`--shard none` evaluates the whole run, whatever the variables say."""

_SLURM = "SLURM_ARRAY_TASK_"
_PARTS = ("ID", "COUNT", "MIN", "MAX", "STEP")
_FOLDER = re.compile(r"shard-\d{1,9}-of-(\d{1,9})")


@dataclass(frozen=True)
class Scheduled:
    """A shard by environment variables.

    Attributes:
        shard: The shard.
        variable: The variable that says which.
    """

    shard: Shard
    variable: str


def scheduled_shard(environment: Mapping[str, str]) -> Scheduled | None:
    """Return the shard that environment variables define, which may be the only one; None if they define none.

    `FSSBENCH_SHARD` and `FSSBENCH_SHARDS` come before Slurm's variables. In a Slurm array the first index is shard 1
    and the last one the last, so that its indices may begin anywhere and have any step.

    Args:
        environment: Environment variables.

    Raises:
        UsageError: If variables are missing, empty or no numbers, or do not fit each other.
    """
    if NUMBER in environment or COUNT in environment:
        number, count = (_number(environment, name, least=1) for name in (NUMBER, COUNT))
        if number is None or count is None:
            there, missing = (NUMBER, COUNT) if count is None else (COUNT, NUMBER)
            raise UsageError(
                f"{there} is set, but {missing} is not: a shard has a number, from 1, and a count",
                f"export {NUMBER}=1 {COUNT}=8, or unset {there}",
            )
        if number > count:
            raise UsageError(
                f"there is no shard {number} of {count}: {NUMBER} counts from 1 to {COUNT}",
                f"export {NUMBER}=1 {COUNT}={count}, or --shard none for the whole run",
            )
        return Scheduled(Shard(number, count), NUMBER)
    return _of_slurm(environment)


def _of_slurm(environment: Mapping[str, str]) -> Scheduled | None:
    names = {part: f"{_SLURM}{part}" for part in _PARTS}
    if names["ID"] not in environment and names["COUNT"] not in environment:
        return None
    index, count = _number(environment, names["ID"]), _number(environment, names["COUNT"], least=1)
    if index is None or count is None:
        there, missing = (names["ID"], names["COUNT"]) if count is None else (names["COUNT"], names["ID"])
        raise UsageError(
            f"{there} is set, but {missing} is not, so this is no job of an array as Slurm starts them",
            "--shard 1/8, or --shard none for the whole run",
        )
    first = _number(environment, names["MIN"]) or 0
    step = _number(environment, names["STEP"], least=1) or 1
    last = _number(environment, names["MAX"])
    last = first + step * (count - 1) if last is None else last
    if names["MIN"] not in environment and not 0 <= index < count:
        raise UsageError(
            f"{names['ID']} is {index} in an array of {count} jobs, and {names['MIN']}, its first index, is not set",
            f"sbatch --array=0-{count - 1}, or --shard N/{count}",
        )
    if (last - first) != step * (count - 1) or not first <= index <= last or (index - first) % step:
        raise UsageError(
            f"the Slurm array has {count} jobs from {first} to {last} in steps of {step}, and this is {index}: "
            "which shard each job evaluates can be told only for indices without gaps",
            f"sbatch --array=0-{count - 1}, or --shard N/COUNT in each job",
        )
    return Scheduled(Shard((index - first) // step + 1, count), names["ID"])


def check_same_count(out: Path, scheduled: Scheduled) -> None:
    """Refuse a job of a smaller or larger array than the one that the shards in a folder are of.

    Otherwise jobs of an array that are submitted again, without the others, would divide the whole run among them.

    Args:
        out: The folder of the whole run.
        scheduled: The shard of this job.

    Raises:
        UsageError: If there are shards, and all of another count.
    """
    found = {int(named[1]) for path in out.glob(SHARDS) if (named := _FOLDER.fullmatch(path.name))}
    if found and scheduled.shard.count not in found:
        counts = " and ".join(map(str, sorted(found)))
        raise UsageError(
            f"{scheduled.variable} makes this shard {scheduled.shard}, but {out} has shards of {counts}",
            f"--shard N/{max(found)} says which one it is, or name another --out",
        )


def _number(environment: Mapping[str, str], name: str, least: int = 0) -> int | None:
    """Return the number in a variable; None if it is not set."""
    text = environment.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        shown = "empty" if not text else f"'{printable(text[:40])}'"
        raise UsageError(
            f"the environment variable {name} is {shown}, not a number from {least}",
            f"unset {name}, set it to a number, or --shard none for the whole run",
        )
    return int(text)
