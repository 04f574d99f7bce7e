"""Evaluate with the engine on a graphics card and on the processor: speed, utilisation, memory, equal labels.

Registered weights, fold 0 of shapes-20i, the same episodes on both, on the card in each precision, and once with
compiled heads. Episodes per second are those of all seconds, the reading of weights and compiling included, and those
by the median row of the second half. Utilisation is the mean of what the driver reports every tenth of a second (it
needs nvidia-ml-py; empty without). `make gpu` keeps the figures in gpu_engine.csv.

    python benchmarks/speed/gpu_engine.py --limit 200 --out benchmarks/speed/gpu_engine.csv
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from measured import card_or_exit, keep
from precision import labels

from fssbench.engine.runner import run_plans
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.planning.settings import Precision, Settings


def of_precision(precision: Precision) -> Settings:
    """Return the settings of a precision."""
    return Settings(precision=precision)


@contextmanager
def utilisation(card: torch.device) -> Iterator[list[int]]:
    """Give a list that fills with the per cent of the time in which the card computes."""
    found: list[int] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.1):
            try:
                found.append(torch.cuda.utilization(card))
            except Exception as error:  # NVML has errors of its own, in a package that may be missing
                print(f"utilisation is not known: {error}", file=sys.stderr)
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def main() -> None:
    """Measure what is asked for; without a card nothing is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="hsnet,asnet,pfenet")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    card = card_or_exit()
    for name in given.method.split(","):
        with tempfile.TemporaryDirectory() as folder:

            def evaluated(
                device: str, settings: Settings, title: str, name: str = name, folder: Path = Path(folder)
            ) -> tuple[float, float, dict[str, np.ndarray]]:
                planned = plan(
                    Request(
                        name, "shapes20i", fold="0", shots=given.shots, limit=given.limit, device=device,
                        out=folder / title, settings=settings,
                    )
                )  # fmt: skip
                began, saved = time.perf_counter(), folder / f"{title}-labels"
                (results,) = run_plans([planned], save=saved)
                whole, rows = time.perf_counter() - began, results.frame["seconds"]
                return len(rows) / whole, 1 / float(rows.iloc[len(rows) // 2 :].median()), labels(saved)

            *_, expected = evaluated("cpu", Settings(), "cpu")
            for settings in [*map(of_precision, get_args(Precision)), Settings(compiled_heads=True)]:
                title = f"{settings.precision}{'-compiled' if settings.compiled_heads else ''}"
                torch.cuda.reset_peak_memory_stats(card)
                with utilisation(card) as percent:
                    rate, later, found = evaluated(str(card), settings, title)
                row = {
                    "method": name,
                    "shots": given.shots,
                    "precision": settings.precision,
                    "head": "compiled" if settings.compiled_heads else "",
                    "episodes": len(found),
                    "episodes_per_second": f"{rate:.2f}",
                    "second_half_per_second": f"{later:.2f}",
                    "utilisation_percent": round(statistics.mean(percent)) if percent else "",
                    "peak_mib": torch.cuda.max_memory_allocated(card) >> 20,
                    "pixels": sum(one.size for one in expected.values()),
                    "pixels_unlike_cpu": sum(int((expected[file] != found[file]).sum()) for file in expected),
                    "card": torch.cuda.get_device_name(card),
                    "torch": torch.__version__,
                    "cuda": torch.version.cuda,
                }
                keep(row, given.out)


if __name__ == "__main__":
    main()
