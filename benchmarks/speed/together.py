"""Several methods in one pass beside one after the other, in one run.

    python benchmarks/speed/together.py --method hsnet,asnet --shots 1 --root DIR/VOC2012 --answer 150

The first method answers alone, then all together, then the others alone, the same episodes of PASCAL-5i fold 0 in the
order of work, with random weights on one random backbone. Rows must be the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import torch
from measured import keep, questions

import fssbench
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.profiling.timers import StageTimers
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method
from fssbench.planning.settings import Settings
from fssbench.results.environment import environment
from fssbench.results.rows import Row


def asked(methods: Sequence[Method[Any, Any]], given: argparse.Namespace) -> tuple[float, int, list[list[Row]]]:
    """Return seconds, images encoded and the rows of each method, times left out."""
    its = questions(given.root, given.protocol, given.shots, given.episodes, given.answer)
    asked_first = [number for number in its.order if given.limit is None or number < given.limit]
    timers = StageTimers()
    rows: list[list[Row]] = [[] for _ in methods]
    began = time.perf_counter()
    askings = [FoldJob(method, its.episodes, its.rules, asked_first) for method in methods]
    for place, row, _ in evaluate_jobs(askings, its.dataset, torch.device("cpu"), Settings(), timers):
        rows[place].append(replace(row, seconds=0.0))
    return time.perf_counter() - began, timers.images, rows


def main() -> None:
    """Measure, print, and add a row to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="hsnet,asnet")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--protocol", default="hsnet")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=1000, help="Length of the list.")
    parser.add_argument("--answer", type=int, help="How many of them, in the order of work; default all.")
    parser.add_argument("--limit", type=int, help="Only the first so many of the list, as eval --limit asks them.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="CSV to which the row is added.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)

    methods = [fast_form(fssbench.build(name, "resnet50", shot=given.shots)) for name in given.method.split(",")]
    encoder = methods[0].shared_encoder
    for method in methods[1:]:
        if encoder is None or method.shared_encoder is None:
            raise SystemExit("these methods have no frozen backbone that could be shared")
        method.shared_encoder.load_state_dict(encoder.state_dict())
    first = asked(methods[:1], given)
    together = asked(methods, given)
    alone = [first, *(asked([method], given) for method in methods[1:])]
    if [rows for *_, [rows] in alone] != together[2]:
        raise SystemExit("together they do not answer what each answers alone")
    seconds = sum(its[0] for its in alone)
    row = {
        "methods": given.method,
        "shots": given.shots,
        "episodes": len(together[2][0]),
        "order": "of work" if given.limit is None else "first of the list",
        "alone_seconds": " ".join(f"{its[0]:.1f}" for its in alone),
        "together_seconds": f"{together[0]:.1f}",
        "share_of_time": f"{together[0] / seconds:.2f}",
        "images_encoded_alone": sum(its[1] for its in alone),
        "images_encoded_together": together[1],
        "machine": environment(torch.device("cpu"), None).device_name,
        "threads": given.threads,
        "torch": torch.__version__,
    }
    keep(row, given.out)


if __name__ == "__main__":
    main()
