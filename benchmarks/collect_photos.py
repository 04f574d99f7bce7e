"""Write benchmarks/baselines/photos.csv from run folders: a row per fold, and a row per class of it.

Usage: python benchmarks/collect_photos.py FOLDER pascal5i=ROOT coco20i=ROOT
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

import fssbench
from fssbench.files import write_text
from fssbench.results import Results, load_run
from fssbench.tables.runs import find_runs

COLUMNS = (
    *("dataset", "method", "variant", "backbone", "shots", "fold", "class", "episodes", "photos"),
    *("miou", "low", "high", "protocol", "episodes_hash", "weights", "sha256", "data_fingerprint", "torch"),
)


def rows_of(results: Results, names: Mapping[int, str]) -> list[list[object]]:
    """Return the rows of a finished run, as in `COLUMNS`; of a whole fold the class is "all"."""
    run, summary, frame = results.run, results.summary(), results.frame
    if results.missing or run.limit is not None:
        raise SystemExit(f"{results.folder} lacks episodes")
    rows: list[list[object]] = []
    for fold, total in zip(sorted(run.folds, key=lambda one: one.fold), summary.folds, strict=True):
        episodes = frame[frame["fold"] == fold.fold]
        interval = total.intervals["miou"]
        measured: list[tuple[str, pd.DataFrame, tuple[float, float, float]]] = [
            ("all", episodes, (total.miou, interval.low, interval.high))
        ]
        for one in summary.per_class[summary.per_class["fold"] == fold.fold].itertuples():
            of_class = episodes[[one.class_id in classes for classes in episodes["classes"]]]
            if len(of_class):
                measured.append((names[one.class_id], of_class, (one.iou, one.low, one.high)))
        weights = (fold.weights.checkpoint or "", fold.weights.sha256 or "")
        for name, counted, figures in measured:
            rows.append(
                [
                    *(run.dataset.name, run.method.name, run.method.variant or "", run.method.backbone or "", run.shot),
                    *(fold.fold, name, len(counted), photos_of(counted), *(f"{value:.2f}" for value in figures)),
                    *(run.protocol.name, fold.episodes_hash, *weights, fold.data_fingerprint),
                    run.starts[-1].environment.packages["torch"],
                ]
            )
    return rows


def photos_of(episodes: pd.DataFrame) -> int:
    """Return how many photos are in episodes, as query or as support."""
    names = set(episodes["query"])
    for supports in episodes["supports"]:
        names.update(name for shots in supports for name in shots)
    return len(names)


def main() -> None:
    """Collect the runs of a folder."""
    roots = dict(text.split("=", 1) for text in sys.argv[2:])
    names = {name: fssbench.open_dataset(name, Path(root)).class_names for name, root in roots.items()}
    runs = [load_run(folder) for folder in find_runs(Path(sys.argv[1]))]
    # A class has its place behind its fold, in the order of the data set.
    rows = [row for results in runs for row in rows_of(results, names[results.run.dataset.name])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows, key=lambda row: row[:6]))
    write_text(Path(__file__).parent / "baselines" / "photos.csv", text.getvalue())


if __name__ == "__main__":
    main()
