"""Write benchmarks/baselines/references.csv and absent.csv from run folders: a row per fold, and one per class of it.

Usage: python benchmarks/collect_lists.py FOLDER
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from fssbench.files import write_text
from fssbench.results import Results, load_run
from fssbench.results.record import FoldRecord
from fssbench.results.studies import absent_queries, reference_study
from fssbench.tables.runs import find_runs

RUN = ("dataset", "method", "variant", "backbone", "shots", "fold")
LIST = ("protocol", "episodes_hash", "base_hash", "weights", "sha256", "data_fingerprint", "torch")
REFERENCES = (
    *(*RUN, "class", "queries", "references", "miou", "std", "lowest", "highest", "worst", "best"),
    *("share_reference", "share_query", "share_class", *LIST),
)
"""Of a whole fold: mIoU over its references. Of a class: means over its queries, and the root mean square of std."""
ABSENT = (
    *(*RUN, "episodes", "absent", "empty", "false_area", "false_area_median", "wrongly_empty", "miou", "miou_present"),
    *LIST,
)


def of_run(results: Results, fold: FoldRecord) -> list[object]:
    """Return the columns `RUN` of a fold."""
    run = results.run
    return [run.dataset.name, run.method.name, run.method.variant, run.method.backbone, run.shot, fold.fold]


def of_list(results: Results, fold: FoldRecord) -> list[object]:
    """Return the columns `LIST` of a fold."""
    weights, torch = fold.weights, results.run.starts[-1].environment.packages["torch"]
    hashes = (fold.episodes_hash, fold.base_hash, weights.checkpoint, weights.sha256, fold.data_fingerprint)
    return [results.run.protocol.name, *hashes, torch]


def reference_rows(results: Results) -> list[list[object]]:
    """Return the rows of a run with references, as in `REFERENCES`; none of another run."""
    rows: list[list[object]] = []
    for fold in results.run.folds:
        part = Results(results.frame[results.frame["fold"] == fold.fold], results.run)
        study = reference_study(part)
        if study is None:
            continue
        total, shares = study.total, study.components.shares or {}
        parts = [shares.get(name, math.nan) for name in ("reference", "query", "class")]
        numbers = [total.miou, total.std, total.lowest, total.highest, total.worst, total.best, *parts]
        count, ends = study.references, of_list(results, fold)
        rows.append([*of_run(results, fold), "all", total.queries, count, *numbers, *ends])
        names = results.run.class_names(fold.fold)
        for one in study.classes:
            numbers = [one.mean, one.std, math.nan, math.nan, one.worst, one.best, *[math.nan] * 3]
            rows.append([*of_run(results, fold), names[one.class_id], one.queries, count, *numbers, *ends])
    return rows


def absent_rows(results: Results) -> list[list[object]]:
    """Return the rows of a run with absent queries, as in `ABSENT`; none of another run."""
    found = {one.fold: one for one in absent_queries(results) or ()}
    rows: list[list[object]] = []
    for fold in results.run.folds:
        if (one := found.get(fold.fold)) is not None:
            rates = [one.empty, one.false_area, one.false_area_median, one.wrongly_empty, one.miou, one.miou_present]
            rows.append([*of_run(results, fold), fold.episodes, one.absent, *rates, *of_list(results, fold)])
    return rows


def write(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a file of rows, sorted by run and fold; what is no number is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in sorted(rows, key=lambda row: [str(cell) for cell in row[: len(RUN)]]):
        writer.writerow(["" if cell != cell else f"{cell:.2f}" if isinstance(cell, float) else cell for cell in row])
    write_text(Path(__file__).parent / "baselines" / name, text.getvalue())


def main() -> None:
    """Collect the runs of a folder."""
    runs = [load_run(folder) for folder in find_runs(Path(sys.argv[1]))]
    for results in runs:
        if results.missing or results.run.limit is not None:
            raise SystemExit(f"{results.folder} lacks episodes")
    write("references.csv", REFERENCES, [row for results in runs for row in reference_rows(results)])
    write("absent.csv", ABSENT, [row for results in runs for row in absent_rows(results)])


if __name__ == "__main__":
    main()
