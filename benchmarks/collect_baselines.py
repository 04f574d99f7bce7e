"""Write benchmarks/baselines/DATASET.csv from run folders: a row per method, form, ways, shots and fold.

Usage: python benchmarks/collect_baselines.py runs/baselines shapes20i
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from fssbench.checking.against_baselines import PRECISION
from fssbench.files import write_text
from fssbench.results import load_run
from fssbench.tables.runs import find_runs

COLUMNS = (
    "method",
    "variant",
    "backbone",
    "task",
    "train_dataset",
    "ways",
    "shots",
    "fold",
    "protocol",
    "episodes",
    "episodes_hash",
    "miou",
    "miou_low",
    "miou_high",
    "fb_iou",
    "exact_ratio",
    "checkpoint",
    "checkpoint_sha256",
    "backbone_sha256",
    "data_fingerprint",
    "torch",
)


def rows_of(folder: Path) -> list[list[object]]:
    """Return a row per fold of a finished run, as in `COLUMNS`."""
    results = load_run(folder)
    if results.missing:
        raise SystemExit(f"{folder} lacks {results.missing} episodes")
    run = results.run
    if run.is_shard or run.limit is not None:
        raise SystemExit(f"{folder} has a part of its lists only: --limit {run.limit}, shard {run.as_shard}")
    if run.precision != PRECISION:
        raise SystemExit(f"{folder} was computed in {run.precision}; baselines are measured in {PRECISION}")
    rows: list[list[object]] = []
    for asked, answered in zip(sorted(run.folds, key=lambda fold: fold.fold), results.summary().folds, strict=True):
        interval = answered.intervals["miou"]
        weights = asked.weights
        rows.append(
            [
                run.method.name,
                run.method.variant or "",
                run.method.backbone or "",
                run.method.task,
                run.train_dataset or "",
                run.way,
                run.shot,
                asked.fold,
                run.protocol.name,
                asked.episodes,
                asked.episodes_hash,
                *(f"{value:.2f}" for value in (answered.miou, interval.low, interval.high, answered.fb_iou)),
                f"{answered.exact_ratio:.2f}" if run.method.task == "fscs" else "",
                weights.checkpoint or "",
                weights.sha256 or "",
                weights.backbone_sha256 or "",
                asked.data_fingerprint,
                run.starts[-1].environment.packages["torch"],
            ]
        )
    return rows


def main() -> None:
    """Collect the runs of a folder."""
    runs, dataset = Path(sys.argv[1]), sys.argv[2]
    folders = [folder for folder in find_runs(runs) if load_run(folder).run.dataset.name == dataset]
    rows = sorted(row for folder in folders for row in rows_of(folder))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_text(Path(__file__).parent / "baselines" / f"{dataset}.csv", text.getvalue())


if __name__ == "__main__":
    main()
