"""Run folders to a report, for the command and the pytest plugin alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fssbench.checking.against_baselines import against_baselines
from fssbench.checking.against_published import against_published
from fssbench.checking.baselines import read_baselines
from fssbench.checking.measured import measured
from fssbench.checking.verdict import Report, Tolerance
from fssbench.errors import UsageError
from fssbench.files import shipped


def report_of(
    runs: Sequence[Path],
    against: Literal["published", "baseline"],
    stated: Tolerance | None = None,
    baselines: Path | None = None,
) -> Report:
    """Hold run folders against printed numbers or baselines.

    Args:
        runs: Run folders, or folders of runs.
        against: What is expected.
        stated: A tolerance instead of the rule's.
        baselines: Folder of baselines; default: this project's own.

    Raises:
        UsageError: If `baselines` is given and not wanted.
        MissingError: If a folder is not there, or holds no run.
        BrokenFileError: If a run or a file of baselines is damaged.
    """
    if baselines is not None and against != "baseline":
        raise UsageError("a folder of baselines needs --against baseline")
    found = measured(runs)
    if against == "published":
        return against_published(found, stated)
    known = read_baselines(baselines or shipped("benchmarks/baselines"), (one.run.dataset.name for one in found))
    return against_baselines(found, known, stated)
