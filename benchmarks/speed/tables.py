"""Time a table over many runs, and a check of a run that nothing was printed of.

    python benchmarks/speed/tables.py [--runs 250 500 1000] [--rows 1000] [--large 200000]

Runs are of several methods, of one fold each, in four configurations a method that differ in their seed, and every so
many of one configuration are repeats.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from fssbench.checking import report_of
from fssbench.results import Row, Run
from fssbench.results.method_record import MethodRecord
from fssbench.results.record import DatasetRecord, Environment, FoldRecord, ProtocolRecord, Start
from fssbench.results.rows import line_of
from fssbench.results.weights_record import Weights
from fssbench.tables import Comparison, compare, render
from fssbench.tables.measured import measured_entries
from fssbench.tables.measurements import measurements

METHODS = ("hsnet", "pfenet", "asgnet", "panet", "bam", "ntrenet")
CLASSES = (1, 2, 3, 4, 5)
_WHERE = Environment("3.11", "Linux", {}, "cpu", "a processor", 1, None)
_STARTS = (Start("2024-01-01T00:00:00+00:00", (), "0.1.0", _WHERE),)


def run_of(number: int, rows: int) -> Run:
    """Return the record of one of many runs."""
    method, seed, fold = METHODS[number % len(METHODS)], number // len(METHODS) % 4, number // 24 % 4
    record = FoldRecord(
        fold, CLASSES, rows, f"list{fold}-{seed}", "hsnet", seed, "release", "data", (), Weights("random", seed=0)
    )
    return Run(
        method=MethodRecord(method, None, "resnet50", "fss", {}, 2_573_000),
        dataset=DatasetRecord("pascal5i", "data", "release", {}),
        protocol=ProtocolRecord("hsnet", "fss", (400, 400), "pillow-bilinear", "input", "background"),
        way=1,
        shot=1,
        split="val",
        folds=(record,),
        limit=None,
        starts=_STARTS,
    )


def write(folder: Path, run: Run, rows: int, seed: int) -> None:
    """Write a run of random answers, each to another query."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(TypeAdapter(Run).dump_json(run))
    generator = np.random.default_rng(seed)
    union = generator.integers(500, 40_000, (rows, 2))
    both = (union * generator.random((rows, 2))).astype(int)
    lines = [
        line_of(
            Row(
                episode=number,
                fold=run.folds[0].fold,
                query=f"2008_{number:06d}",
                classes=(CLASSES[number % len(CLASSES)],),
                supports=((f"2009_{number:06d}",),),
                intersection=tuple(both[number].tolist()),
                union=tuple(union[number].tolist()),
                present=(True,),
                truth=(True,),
                seconds=0.1,
            )
        )
        for number in range(rows)
    ]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")


def seconds(do: Callable[..., object], *arguments: object) -> float:
    """Return the processor time of something."""
    started = time.process_time()
    do(*arguments)
    return time.process_time() - started


def table_of(place: Path, form: str) -> str:
    """Return the table of all runs in a folder."""
    return render(compare(Comparison(source="measured", runs=place)), form)


def times(place: Path, count: int, rows: int) -> str:
    """Return the processor time of reading, of the entries, and of the whole table, in words."""
    folders = sorted(place.iterdir())
    found = measurements(folders)
    entries = seconds(measured_entries, found, {})
    del found
    reading, whole = seconds(measurements, folders), seconds(table_of, place, "terminal")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{count} runs of {rows} rows: read {reading:.2f} s, entries {entries:.3f} s, table {whole:.1f} s, "
        f"at most {peak:.0f} MiB"
    )


def main() -> None:
    """Print the times for each number of runs, and that of a check of a large one that nothing was printed of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--large", type=int, default=200_000, help="Rows of the large run.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, made = Path(folder), 0
        for count in sorted(given.runs):
            for number in range(made, count):
                write(place / f"run{number:05d}", run_of(number, given.rows), given.rows, number)
            made = count
            print(times(place, count, given.rows), flush=True)
        run = run_of(0, given.large)
        large = replace(run, method=replace(run.method, name="none-of-these"))
        write(place / "large", large, given.large, 0)
        print(f"check of {given.large} rows: {seconds(report_of, [place / 'large'], 'published'):.1f} s")


if __name__ == "__main__":
    main()
