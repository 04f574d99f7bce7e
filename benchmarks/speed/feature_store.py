"""Whether a feature store pays: one run without it, one that fills it, and one that finds all of it there.

    python benchmarks/speed/feature_store.py --method hsnet --root DIR/VOC2012 --answer 12 \
        --out benchmarks/speed/feature_store.csv

Random weights. Rows must be the same. What counts is the time of the processor; files come from the page cache of the
system, mostly.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from measured import keep
from whole_table import PLANS

import fssbench
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.features.store import stored
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.order import order_of_work
from fssbench.engine.profiling.timers import StageTimers
from fssbench.fast.form import fast_form
from fssbench.planning.settings import Settings
from fssbench.protocols.rules import protocol
from fssbench.results.environment import environment
from fssbench.results.rows import Row

CPU = torch.device("cpu")


def measured(job: FoldJob, dataset: fssbench.Dataset, settings: Settings) -> tuple[float, int, list[Row]]:
    """Return the seconds of the processor, how many images were encoded, and the rows without their seconds."""
    timers, began = StageTimers(), time.process_time()
    rows = [replace(row, seconds=0.0) for _, row, _ in evaluate_jobs([job], dataset, CPU, settings, timers)]
    return time.process_time() - began, timers.images, rows


def main() -> None:
    """Measure, print, and add a row to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="hsnet")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--dataset", default="pascal5i")
    parser.add_argument("--protocol", help="Default that of the method's release.")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--answer", type=int, default=12, help="How many episodes, in the order of work.")
    parser.add_argument("--precision", default="float32", choices=("float32", "float16-features"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="CSV to which the row is added.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    torch.manual_seed(0)
    dataset = fssbench.open_dataset(given.dataset, root=given.root)
    rules = protocol(given.protocol or PLANS[given.method]).on(dataset.name)
    episodes = fssbench.episodes(dataset, 0, 1, given.shots, rules.name, 1000, rules.run_seeds()[0])
    method = fast_form(fssbench.build(given.method, given.backbone, shot=given.shots).eval())
    job = FoldJob(method, episodes, rules, order_of_work(episodes)[: given.answer])
    plain = Settings(precision=given.precision)
    measured(replace(job, numbers=job.numbers[:1]), dataset, plain)  # what is done for the first time is not counted
    with tempfile.TemporaryDirectory(dir=given.out and given.out.parent) as folder:
        kept = replace(plain, feature_store=Path(folder))
        without, filling, filled = (measured(job, dataset, settings) for settings in (plain, kept, kept))
        files = list(stored(Path(folder)))
    if not without[2] == filling[2] == filled[2]:
        raise SystemExit("the rows differ")
    keep(
        {
            "method": given.method,
            "backbone": given.backbone,
            "dataset": dataset.name,
            "shots": given.shots,
            "precision": given.precision,
            "episodes": len(job.numbers),
            "images": without[1],
            "megabytes_an_image": f"{sum(file.bytes for file in files) / max(len(files), 1) / 1e6:.2f}",
            "cpu_without": f"{without[0]:.2f}",
            "cpu_filling": f"{filling[0]:.2f}",
            "cpu_filled": f"{filled[0]:.2f}",
            "filling_share": f"{filling[0] / without[0]:.2f}",
            "filled_share": f"{filled[0] / without[0]:.2f}",
            "encoded_of_filled": filled[1],
            "machine": environment(CPU, None).device_name,
            "threads": given.threads,
            "torch": torch.__version__,
        },
        given.out,
    )


if __name__ == "__main__":
    main()
