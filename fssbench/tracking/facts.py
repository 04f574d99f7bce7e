"""What trackers are told of a run: its settings, its tags, its metrics, its files."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.results.pace import RunningMeanIoU
from fssbench.results.run_reader import ROWS, RUN, SUMMARY
from fssbench.version import __version__

if TYPE_CHECKING:
    from fssbench.metrics.summary import FoldSummary, Summary
    from fssbench.results.record import Run
    from fssbench.results.rows import Row
    from fssbench.tracking.callback import Value

INTERVAL = 10.0
"""Seconds between two running numbers of a run."""


def name_of(run: Run, folder: Path | None) -> str:
    """Return the name of a run: that of its folder, or its method and data set."""
    return folder.name if folder is not None else f"{run.method.name}-{run.dataset.name}"


def settings_of(run: Run) -> dict[str, Value]:
    """Return what was evaluated, and by which rules."""
    method, rules = run.method, run.protocol
    found: dict[str, Value | None] = {
        "method": method.name,
        "variant": method.variant,
        "backbone": method.backbone,
        "task": method.task,
        "learnable_parameters": method.learnable_parameters,
        "dataset": run.dataset.name,
        "train_dataset": run.train_dataset,
        "folds": ",".join(str(fold.fold) for fold in run.folds),
        "way": run.way,
        "shot": run.shot,
        "split": run.split,
        "limit": run.limit,
        "protocol": rules.name,
        "input": f"{rules.input[0]}x{rules.input[1]}",
        "resize": rules.resize,
        "score_at": rules.score_at,
        "ignore": rules.ignore,
        "precision": run.precision,
        "weights": run.folds[0].weights.checkpoint or run.folds[0].weights.kind,
        **{f"option_{name}": str(value) for name, value in method.options.items()},
        **{f"dataset_{name}": str(value) for name, value in run.dataset.options.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def tags_of(run: Run) -> dict[str, str]:
    """Return what identifies the numbers: version, protocol, episode lists, data, weights."""
    found = {
        "fssbench.version": run.starts[-1].fssbench if run.starts else __version__,
        "fssbench.protocol": run.protocol.name,
        "fssbench.data": run.dataset.fingerprint,
    }
    for fold in run.folds:
        found[f"fssbench.list.fold{fold.fold}"] = fold.episodes_hash
        if fold.weights.sha256:
            found[f"fssbench.weights.fold{fold.fold}"] = fold.weights.sha256
    return found


def metrics_of(summary: Summary) -> dict[str, float]:
    """Return the metrics of a run in per cent: of the mean and of each fold, with the ends of their intervals."""
    found = {"episodes": float(summary.episodes)}
    parts: list[tuple[Summary | FoldSummary, str]] = [(summary, "")]
    parts += [(fold, f"_fold{fold.fold}") for fold in summary.folds]
    for part, suffix in parts:
        for name in ("miou", "fb_iou", "exact_ratio", "base_miou", "total_miou"):
            value = getattr(part, name)
            if value is None:
                continue
            found[f"{name}{suffix}"] = float(value)
            interval = part.intervals.get(name)
            if interval is not None:
                found |= {f"{name}{suffix}_low": interval.low, f"{name}{suffix}_high": interval.high}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def files_of(folder: Path | None, *, rows: bool) -> Iterator[Path]:
    """Yield the files of a run that are there: its record, its summary and, with `rows`, its rows."""
    if folder is not None:
        yield from (path for name in (RUN, SUMMARY, *((ROWS,) if rows else ())) if (path := folder / name).is_file())


class Running:
    """The running mIoU of a run, now and then.

    Args:
        interval: Seconds between two numbers.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval, self._last = interval, time.monotonic()
        self._mean, self._count = RunningMeanIoU(), 0

    def add(self, row: Row) -> tuple[int, float] | None:
        """Add an episode; return the number of episodes and the mIoU in per cent if it is time for them."""
        self._mean.add(row)
        self._count += 1
        if time.monotonic() - self._last < self._interval:
            return None
        self._last = time.monotonic()
        return self._count, self._mean.value
