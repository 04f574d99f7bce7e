"""The peak memory of each method's evaluation at default settings.

    python benchmarks/speed/memory.py --root VOC2012 [--method hsnet,asnet] [--shots 1 5] [--episodes 10] [--full 60]

The largest memory of the whole command, as the system has it, where no features are kept: a few episodes would fill no
feature cache. The bound for any list adds a full one, with the room that the default leaves it; features of the
episodes in a call count twice in it, since they are part of that room. With --full, more episodes are evaluated at
default settings as well, enough to fill the cache. Weights are random.
Memory depends on no other work of the machine, but on its number of threads: that many episodes are predicted at once,
and four times as many are in a call, whose features are all in memory. A full call follows the first, small one: with
two threads that takes ten episodes, and with fewer the peak is that of a smaller call.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import fssbench
from fssbench.engine.features.room import LEAST
from fssbench.engine.profiling.memory import MOST, WHOLE
from fssbench.methods.catalogue import method_info

HERE = Path(__file__).resolve().parent
COLUMNS = ("method", "backbone", "shots", "threads", "episodes", "peak_mib", "at_most_mib", "full_episodes", "full_mib")


def peak(name: str, given: argparse.Namespace, shots: int, episodes: int, cache: Sequence[str]) -> int:
    """Return the largest memory of an evaluation, in bytes.

    Args:
        name: The method.
        given: What was typed.
        shots: Supports per class.
        episodes: How many are evaluated.
        cache: The option that sets the feature cache; empty for the default.
    """
    words = ["--method", name, "--backbone", given.backbone, "--dataset", "pascal5i", "--root", str(given.root)]
    words += ["--fold", "0", "--shots", str(shots), "--episodes", str(episodes), "--random-weights"]
    words += ["--skip-short-classes"] if given.short else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fssbench", "eval", *words, "--out", f"{folder}/run", "--quiet"]
        process = subprocess.Popen([*command, *cache], stdout=subprocess.DEVNULL, env=environment)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit {process.returncode}: {' '.join(command[2:])}")
    return int(used.ru_maxrss) << 10


def bound(most: int) -> int:
    """Return the largest memory with a full feature cache of the default size, in bytes."""
    return most + min(MOST, max(LEAST, WHOLE - most))


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="Names, with commas; default all that have the backbone.")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--full", type=int, help="Episodes of a further run, which keeps features as the default does.")
    parser.add_argument("--short", action="store_true", help="Leave classes out that have too few images.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "memory.csv", help="CSV to which the rows are added.")
    given = parser.parse_args()
    every = [name for name in fssbench.list_methods() if given.backbone in method_info(name).backbones_for(None)]
    for name in given.method.split(",") if given.method else every:
        for shots in given.shots:
            most = peak(name, given, shots, given.episodes, ["--feature-cache", "0"])
            sizes = [number >> 20 for number in (most, bound(most))]
            full = [given.full, peak(name, given, shots, given.full, []) >> 20] if given.full else ["", ""]
            row = [name, given.backbone, shots, given.threads, given.episodes, *sizes, *full]
            print(dict(zip(COLUMNS, row, strict=True)), flush=True)
            new = not given.out.exists()
            with given.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([COLUMNS, row] if new else [row])


if __name__ == "__main__":
    main()
