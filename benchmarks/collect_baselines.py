"""Write benchmarks/baselines/DATASET.csv from run folders: a row per method, form, ways, shots and fold.

Usage: python benchmarks/collect_baselines.py runs/baselines shapes20i

`fssbench check --update` replaces rows and keeps the others; this writes the file anew, from whole lists alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fssbench.checking.measured import measured
from fssbench.checking.update import update_baselines
from fssbench.files import write_text
from fssbench.results.run_reader import read_run
from fssbench.tables.runs import find_runs


def main() -> None:
    """Collect the runs of a folder."""
    runs, dataset = Path(sys.argv[1]), sys.argv[2]
    found = measured([folder for folder in find_runs(runs) if read_run(folder).dataset.name == dataset])
    if parts := [one.subject.folders for one in found if any(fold.part for fold in one.folds)]:
        raise SystemExit(f"{parts[0]} has the first episodes of its lists only")
    with TemporaryDirectory() as folder:
        written = Path(folder) / f"{dataset}.csv"
        update_baselines(found, written)
        write_text(Path(__file__).parent / "baselines" / written.name, written.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
