"""The peak memory of each method's evaluation at default settings, as `fssbench eval --profile` has it.

    python benchmarks/speed/memory.py --root VOC2012 [--method hsnet,asnet] [--shots 1 5] [--episodes 4]

A few episodes fill no feature cache. So a row has the peak, the part of it that the cache held, and the bound for any
list: the rest, and a cache that is full. Weights are random.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fssbench
from fssbench.engine.profiling.memory import MOST
from fssbench.methods.catalogue import method_info

HERE = Path(__file__).resolve().parent
COLUMNS = ("method", "backbone", "shots", "threads", "episodes", "peak_mib", "cache_mib", "at_most_mib")


def profiled(name: str, given: argparse.Namespace, shots: int) -> list[object]:
    """Return the row of a method."""
    words = ["--method", name, "--backbone", given.backbone, "--dataset", "pascal5i", "--root", str(given.root)]
    words += ["--fold", "0", "--shots", str(shots), "--episodes", str(given.episodes), "--random-weights"]
    words += ["--skip-short-classes"] if given.short else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "fssbench", "eval", *words, "--out", str(out), "--profile", "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        profile = json.loads((out / "profile.json").read_text(encoding="utf-8"))
    peak, cached = profile["peak_bytes"], profile["store_bytes"]
    sizes = (number >> 20 for number in (peak, cached, peak - cached + MOST))
    return [name, given.backbone, shots, given.threads, given.episodes, *sizes]


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="Names, with commas; default all that have the backbone.")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--short", action="store_true", help="Leave classes out that have too few images.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "memory.csv", help="CSV to which the rows are added.")
    given = parser.parse_args()
    every = [name for name in fssbench.list_methods() if given.backbone in method_info(name).backbones_for(None)]
    for name in given.method.split(",") if given.method else every:
        for shots in given.shots:
            row = profiled(name, given, shots)
            print(dict(zip(COLUMNS, row, strict=True)), flush=True)
            new = not given.out.exists()
            with given.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([COLUMNS, row] if new else [row])


if __name__ == "__main__":
    main()
