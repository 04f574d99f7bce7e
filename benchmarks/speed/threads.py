"""Episodes answered each by a thread of its own, beside one after the other by all threads, in one run.

    python benchmarks/speed/threads.py --method asnet --root DIR/VOC2012 --answer 40

The same episodes of PASCAL-5i fold 0, four at a time, are answered both ways in turns, from features that are at hand.
Labels must be the same.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import torch
from measured import BACKBONES, PROTOCOLS, keep, questions

import fssbench
from fssbench.engine.features.features import Features
from fssbench.engine.features.jobs import FoldJob, same_parts
from fssbench.engine.features.loader import Loader
from fssbench.engine.profiling.memory import freed_memory_kept
from fssbench.engine.profiling.timers import StageTimers
from fssbench.fast.form import fast_form
from fssbench.fast.threads import Call, predict_calls
from fssbench.methods.base.method import Prediction
from fssbench.results.environment import environment

CPU = torch.device("cpu")
TOGETHER = 4


def main() -> None:
    """Measure, print, and add a row to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=sorted(PROTOCOLS), default="asnet")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--answer", type=int, default=40, help="How many of the list, in the order of work.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="CSV to which the row is added.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    torch.manual_seed(0)

    its = questions(given.root, PROTOCOLS[given.method], given.shots, answer=given.answer)
    method = fast_form(fssbench.build(given.method, BACKBONES.get(given.method, "resnet50"), shot=given.shots))
    asking = FoldJob(method, its.episodes, its.rules, its.order)
    steps = [(0, number) for number in its.order]
    alone: list[float] = []
    by_threads: list[float] = []
    with freed_memory_kept(CPU), Loader(its.dataset, 0) as loader, torch.inference_mode():
        features = Features([asking], same_parts([asking]), steps, loader, 1 << 30, CPU, 1, StageTimers())
        for start in range(0, len(steps), TOGETHER):
            places = range(start, min(start + TOGETHER, len(steps)))
            found = features.get(places)
            queries = [found[features.query(place)] for place in places]
            supports = [[[found[key] for key in shots] for shots in features.supports(place)] for place in places]
            sizes = [its.rules.input] * len(places)
            answers: dict[str, list[Prediction]] = {}
            # In turns the first, which has what is done for the first time; that of all is not counted.
            for way in ("alone", "threads") if len(alone) % 2 else ("threads", "alone"):
                began = time.perf_counter()
                if way == "threads":
                    answers[way] = predict_calls([Call(method, queries, supports, sizes)])[0]
                else:
                    answers[way] = [method.predict(*one) for one in zip(queries, supports, sizes, strict=True)]
                (by_threads if way == "threads" else alone).append((time.perf_counter() - began) / len(places))
            for mine, theirs in zip(answers["threads"], answers["alone"], strict=True):
                if not torch.equal(mine.labels, theirs.labels):
                    raise SystemExit("both ways do not answer the same")
    seconds = [sum(of[1:]) / len(of[1:]) for of in (alone, by_threads)]
    row = {
        "method": given.method,
        "shots": given.shots,
        "episodes": len(steps) - TOGETHER,
        "one_by_one_ms": f"{1000 * seconds[0]:.1f}",
        "by_threads_ms": f"{1000 * seconds[1]:.1f}",
        "share_of_time": f"{seconds[1] / seconds[0]:.2f}",
        "machine": environment(CPU, None).device_name,
        "threads": given.threads,
        "torch": torch.__version__,
    }
    keep(row, given.out)


if __name__ == "__main__":
    main()
