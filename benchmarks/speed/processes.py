"""One, two and four processes of one thread each, in one run.

    python benchmarks/speed/processes.py --method hsnet --root DIR/VOC2012 --answer 60

Each process answers its share of the same episodes of PASCAL-5i fold 0, cut from the order of work as torchrun's are.
All begin at the same time, after their first episode; the last one's end counts. Every process reads its own photos
(`--workers 0`), so that one process is one core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import torch
from measured import keep, questions

import fssbench
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.profiling.timers import StageTimers
from fssbench.fast.form import fast_form
from fssbench.planning.settings import Settings
from fssbench.results.environment import environment
from fssbench.results.shard import Shard


def answer(
    given: argparse.Namespace, share: Shard, start: Barrier, done: multiprocessing.Queue[tuple[float, int]]
) -> None:
    """Answer one share, and put its seconds and how many images were encoded."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    method = fast_form(fssbench.build(given.method, "resnet50", shot=given.shots))
    its = questions(given.root, given.protocol, given.shots)
    # Of all classes: shares of the whole list have hardly an image in common, those of one class's episodes have most.
    spread = its.order[:: max(1, len(its.order) // given.answer)][: given.answer]
    numbers = spread[slice(*share.bounds(len(spread)))]
    settings, cpu = Settings(workers=0), torch.device("cpu")
    list(evaluate_jobs([FoldJob(method, its.episodes, its.rules, numbers[:1])], its.dataset, cpu, settings))
    timers = StageTimers()
    start.wait()
    began = time.perf_counter()
    for _ in evaluate_jobs(
        [FoldJob(method, its.episodes, its.rules, numbers)], its.dataset, cpu, settings, timers, share.count
    ):
        pass
    done.put((time.perf_counter() - began, timers.images))


def main() -> None:
    """Measure, print, and add rows to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="hsnet")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--protocol", default="hsnet")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--answer", type=int, default=60)
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    rate = 0.0
    for count in map(int, given.processes.split(",")):
        start, done = context.Barrier(count), context.Queue()
        shares = [Shard(number + 1, count) for number in range(count)]
        workers = [context.Process(target=answer, args=(given, share, start, done)) for share in shares]
        for worker in workers:
            worker.start()
        ended = [done.get() for _ in workers]
        for worker in workers:
            worker.join()
        now = given.answer / max(seconds for seconds, _ in ended)
        rate = rate or now
        row = {
            "method": given.method,
            "shots": given.shots,
            "episodes": given.answer,
            "processes": count,
            "episodes_per_second": f"{now:.3f}",
            "times_as_fast": f"{now / rate:.2f}",
            "images_encoded": sum(images for _, images in ended),
            "machine": environment(torch.device("cpu"), None).device_name,
            "torch": torch.__version__,
        }
        keep(row, given.out)


if __name__ == "__main__":
    main()
