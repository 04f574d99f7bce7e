"""How long `fssbench --help` takes, and an evaluation from the moment its weights are read to its first episode.

    python benchmarks/speed/start.py [--method hsnet --dataset pascal5i --root VOC2012 --episodes 1000]

The command runs with random weights and is ended at its first row; before it is measured it runs once, so that files
are in memory and the index of the data set is in its cache. `cpu` is processor time of all threads, what to compare
where others use the machine, too; `wall` counts only where nothing else runs. The first episodes are predicted
together, as many as there are threads, so the first row is there when all of them are. `main` is the processor time
of the main thread, which waits for photos and for other threads' part of a layer only: with idle cores, that is `wall`.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kernels import processor

HERE = Path(__file__).resolve().parent
COLUMNS = ("what", "method", "dataset", "threads", "cpu", "main", "wall", "repeats", "machine")
CHILD = """
import os, runpy, sys, time
import fssbench.engine.runner as runner
from fssbench.results.run_writer import RunFolder

read, seconds = runner.fold_methods, []

def timed(*arguments):
    methods = read(*arguments)
    seconds[:] = time.perf_counter(), time.process_time(), time.thread_time()
    return methods

def first(folder, *arguments, **options):
    now = time.process_time(), time.thread_time(), time.perf_counter()
    print(now[0] - seconds[1], now[1] - seconds[2], now[2] - seconds[0], flush=True)
    os._exit(0)

runner.fold_methods, RunFolder.append = timed, first
sys.argv = ["fssbench", *sys.argv[1:]]
runpy.run_module("fssbench", run_name="__main__")
"""


def help_seconds() -> list[float]:
    """Return processor time, that of the main thread, and wall time of `fssbench --help` as a process."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "fssbench", "--help"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("fssbench --help failed")
    cpu = used.ru_utime + used.ru_stime
    return [cpu, cpu, time.perf_counter() - began]


def first_row_seconds(words: list[str], threads: int) -> list[float]:
    """Return the same of an evaluation, from its weights to its first row."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, "eval", *words, "--out", str(Path(folder) / "run"), "--quiet"],
            check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )  # fmt: skip
    return [float(figure) for figure in done.stdout.split()[-3:]]


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="hsnet")
    parser.add_argument("--dataset", default="shapes20i")
    parser.add_argument("--root", type=Path, help="Of the data set, if it has files.")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--short", action="store_true", help="Leave classes out that have too few images.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "start.csv", help="CSV to which the rows are added.")
    given = parser.parse_args()
    words = ["--method", given.method, "--dataset", given.dataset, "--fold", "0", "--random-weights"]
    words += ["--episodes", str(given.episodes), *(["--root", str(given.root)] if given.root else [])]
    words += ["--skip-short-classes"] if given.short else []
    measured: dict[str, Callable[[], list[float]]] = {
        "--help": help_seconds,
        "first row": lambda: first_row_seconds(words, given.threads),
    }
    rows: list[list[object]] = []
    for what, seconds in measured.items():
        seconds()
        figures = map(statistics.median, zip(*(seconds() for _ in range(given.repeats)), strict=True))
        of = [given.method, given.dataset, given.threads] if what == "first row" else ["", "", 1]
        rows.append([what, *of, *(f"{figure:.2f}" for figure in figures), given.repeats, processor()])
        print(dict(zip(COLUMNS, rows[-1], strict=True)), flush=True)
    new = not given.out.exists()
    with given.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *rows] if new else rows)


if __name__ == "__main__":
    main()
