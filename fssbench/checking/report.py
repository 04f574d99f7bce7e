"""From run folders to a report, for the command and for the pytest plugin."""

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
    """Compare run folders with printed numbers or baselines.

    Args:
        runs: Run folders, or folders of runs.
        against: What to compare with.
        stated: A tolerance that replaces the one of the tier.
        baselines: Folder of baselines; default: those of this project.

    Raises:
        UsageError: If `baselines` is set, but `against` is not "baseline".
        MissingError: If a folder does not exist, or has no run.
        BrokenFileError: If a run or a file of baselines is damaged.
    """
    if baselines is not None and against != "baseline":
        raise UsageError("a folder of baselines needs --against baseline")
    found = measured(runs)
    if against == "published":
        return against_published(found, stated)
    known = read_baselines(baselines or shipped("benchmarks/baselines"), (one.run.dataset.name for one in found))
    return against_baselines(found, known, stated)
