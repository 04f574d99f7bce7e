"""What many runs, a large run and a long run cost: processor time, memory and open files, as the commands take them.

    python benchmarks/speed/many_runs.py [--runs 500 1000 2000] [--rows 1000] [--large 50000 100000 200000]
        [--episodes 2000 20000] [--out benchmarks/speed/many_runs.csv]

The folders are those of tables.py: six methods, four seeds and four folds in turn, so that most are repeats. `cpu` is
user and system time of the whole command, its start included: on a machine with other work that is what to compare,
and `wall` only where nothing else runs. `load` says which it was: the mean number of processes that ran or wanted to
(the system's load average of a minute) when the command ended; empty where it was not noted. Above the number of cores
`wall` is mostly waiting, and `cpu` is higher, too, as cores share their caches. A long run is watched ten times a
second; `first` and `last` are its memory after a quarter of its rows and at its end.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import TypeAdapter
from tables import CLASSES, run_of

from fssbench.results import Run

HERE = Path(__file__).resolve().parent
COLUMNS = ("what", "runs", "rows", "cpu", "wall", "peak_mib", "first_mib", "last_mib", "files", "load")


@dataclass(frozen=True)
class Cost:
    """What a command cost: seconds, MiB, and the largest number of open files."""

    cpu: float
    wall: float
    peak: float
    first: float | None = None
    last: float | None = None
    files: int | None = None
    load: float = 0.0


def write(folder: Path, run: Run, rows: int, seed: int) -> None:
    """Write a run of random answers, each to another query, as text: a benchmark waits for it."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(TypeAdapter(Run).dump_json(run))
    generator = np.random.default_rng(seed)
    union = generator.integers(500, 40_000, (rows, 2))
    both = (union * generator.random((rows, 2))).astype(int)
    fold = run.folds[0].fold
    lines = (
        f'{{"episode":{n},"fold":{fold},"query":"2008_{n:06d}","classes":[{CLASSES[n % len(CLASSES)]}],'
        f'"supports":[["2009_{n:06d}"]],"intersection":[{a},{b}],"union":[{c},{d}],"present":[true],"truth":[true],'
        f'"seconds":0.1,"photos":["0123456789ab","ba9876543210"]}}\n'
        for n, ((a, b), (c, d)) in enumerate(zip(both.tolist(), union.tolist(), strict=True))
    )
    (folder / "rows.jsonl").write_text("".join(lines))


def cost_of(arguments: list[str], watched: Path | None = None, rows: int = 0, *, failing: bool = False) -> Cost:
    """Return what a command costs.

    Args:
        arguments: Its words.
        watched: The run folder that it writes, if it is watched on the way.
        rows: How many rows it writes.
        failing: Whether it may end with an error, as a check does.
    """
    began = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fssbench", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if failing else None,
        env=environment,
    )
    first, last, files = None, None, 0
    while watched is not None and process.poll() is None:
        memory, opened = _now(process.pid)
        done = _lines(watched / "rows.jsonl")
        if memory and done:
            first = memory if first is None and 4 * done >= rows else first
            last, files = memory, max(files, opened)
        time.sleep(0.1)
        if process.returncode is None and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not failing:
        raise SystemExit(f"exit {process.returncode}: fssbench {' '.join(arguments)}")
    wall = time.monotonic() - began
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    return Cost(cpu, wall, peak, first, last, files or None, os.getloadavg()[0])


def _now(number: int) -> tuple[float, int]:
    """Return the memory (MiB) and the number of open files of a process; 0 if it has ended."""
    try:
        status = Path(f"/proc/{number}/status").read_text()
        opened = len(list(Path(f"/proc/{number}/fd").iterdir()))
    except OSError:
        return 0.0, 0
    memory = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return (int(memory[0]) / 1024 if memory else 0.0), opened


def _lines(path: Path) -> int:
    try:
        return path.stat().st_size // 190
    except OSError:
        return 0


def photos(root: Path, count: int = 40) -> None:
    """Make data of one's own: small photos and label maps of two classes."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        label = np.zeros((64, 64), dtype=np.uint8)
        label[8:40, 8 : 20 + number % 30] = 1 + number % 2
        Image.fromarray(label).save(root / "masks" / f"p{number:03d}.png")
        pixels = generator.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"p{number:03d}.jpg")
    (root / "dataset.toml").write_text('[classes]\n1 = "one"\n2 = "two"\n')


def table_of(place: Path) -> list[str]:
    """Return the words of a table of all runs in a folder."""
    return ["table", "--runs", str(place), "--dataset", "pascal5i", "--source", "measured", "--format", "csv"]


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="*", default=[500, 1000, 2000])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--large", type=int, nargs="*", default=[50_000, 100_000, 200_000])
    parser.add_argument("--episodes", type=int, nargs="*", default=[2000, 20_000])
    parser.add_argument("--out", type=Path, default=HERE / "many_runs.csv")
    given = parser.parse_args()
    found: list[tuple[str, int, int, Cost]] = []

    def measured(what: str, runs: int, rows: int, cost: Cost) -> None:
        found.append((what, runs, rows, cost))
        print(f"{what}: {runs} x {rows} rows, {cost}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        place, made = Path(name), 0
        for count in sorted(given.runs):
            for number in range(made, count):
                write(place / "runs" / f"run{number:05d}", run_of(number, given.rows), given.rows, number)
            made = count
            measured("table", count, given.rows, cost_of(table_of(place / "runs")))
            # No verdict is possible, as the runs are of other protocols than most of what was printed.
            measured("check", count, given.rows, cost_of(["check", str(place / "runs")], failing=True))
        for rows in given.large:
            write(place / f"large{rows}" / "run", run_of(0, rows), rows, 0)
            measured("table", 1, rows, cost_of(table_of(place / f"large{rows}")))
        photos(place / "own")
        for count in given.episodes:
            out = place / f"long{count}"
            words = ["eval", "--method", "all-foreground", "--dataset", "folder", "--root", str(place / "own")]
            words += ["--fold", "0", "--episodes", str(count), "--quiet", "--out", str(out)]
            measured("eval", 1, count, cost_of(words, out, count))
    with given.out.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        for what, runs, rows, cost in found:
            numbers = (cost.cpu, cost.wall, cost.peak, cost.first, cost.last)
            texts = ("" if number is None else f"{number:.1f}" for number in numbers)
            lines.writerow([what, runs, rows, *texts, cost.files or "", f"{cost.load:.1f}"])


if __name__ == "__main__":
    main()
