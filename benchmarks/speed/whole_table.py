"""A whole table in one pass compared with the sum of its parts.

    python benchmarks/speed/whole_table.py floor --root DIR/VOC2012 --out benchmarks/speed/whole_table_floor.csv
    python benchmarks/speed/whole_table.py run --dataset shapes20i --backbone small --episodes 40 \
        --out benchmarks/speed/whole_table.csv

`floor` counts operations: what one image, one query, one support and one episode take of each method, times how many of
them there are in the whole lists of a fold, with a cache that forgets nothing. No order of work can do with less.
`run` evaluates each run alone, in turns with a share of the whole table, and holds the rows against each other; it
counts operations, photos that are decoded and images that are encoded, and measures the time of the processor. Methods
of one family have equal random encoders.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch
from measured import PROTOCOLS, keep

import fssbench
from fssbench.datasets.dataset import Dataset, Image
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.features import Features
from fssbench.engine.features.jobs import FoldJob, same_parts
from fssbench.engine.features.loader import Loader
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.order import order_of_work
from fssbench.engine.profiling import timers as stage_timers
from fssbench.engine.profiling.flops import Operations
from fssbench.engine.profiling.timers import StageTimers
from fssbench.episode import EpisodeList
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method
from fssbench.planning.settings import Settings, parse_bytes
from fssbench.protocols.label_maps import support_mask
from fssbench.protocols.rules import Protocol, protocol
from fssbench.protocols.transforms import input_image
from fssbench.results.environment import environment
from fssbench.results.rows import Row

CPU = torch.device("cpu")
Stage = tuple[str, str, int]
"""A stage, the method that computes, and the number of shots if that matters."""
Costs = dict[Stage, float]
PLANS = {**PROTOCOLS, "asgnet": "pfenet", "mmt": "pfenet", "mmnet": "pfenet"}
"""The protocol of each method's release on PASCAL-5i."""


@dataclass(frozen=True, eq=False)
class Run:
    """One method with one number of shots, and its list."""

    name: str
    shot: int
    method: Method[Any, Any]
    rules: Protocol
    episodes: EpisodeList

    def job(self, count: int | None = None) -> FoldJob:
        """Return the first `count` episodes of the list, in the order of work."""
        numbers = order_of_work(self.episodes[:count])
        return FoldJob(self.method, self.episodes, self.rules, numbers)


def runs_of(given: argparse.Namespace, dataset: Dataset) -> list[Run]:
    """Return the runs of the table; methods with encoders of one kind have equal ones."""
    encoders: dict[object, dict[str, torch.Tensor]] = {}
    found, drawn = [], {}
    for name, shot in itertools.product(given.methods.split(","), map(int, given.shots.split(","))):
        torch.manual_seed(0)
        method = fssbench.build(name, given.backbone, shot=shot).eval()
        encoder = method.shared_encoder
        if encoder is not None:
            key = type(encoder), tuple(encoder.state_dict())
            encoder.load_state_dict(encoders.setdefault(key, encoder.state_dict()))
        rules = protocol(given.protocol or PLANS[name]).on(dataset.name)
        seed = rules.seeds[0] if rules.seeds else rules.seed
        listed = (rules.name, shot)
        if listed not in drawn:
            drawn[listed] = fssbench.episodes(dataset, given.fold, 1, shot, rules.name, given.episodes, seed)
        found.append(Run(name, shot, fast_form(method), rules, drawn[listed]))
    return found


def needs(runs: Sequence[Run], dataset: Dataset) -> Counter[Stage]:
    """Return how many images are encoded, queries prepared, supports conditioned and episodes predicted, each once.

    The keys are (stage, method, shot); the method that computes is the first of those that share a result.
    """
    jobs = [run.job() for run in runs]
    same = same_parts(jobs)
    steps = [(place, number) for place, job in enumerate(jobs) for number in job.numbers]
    with Loader(dataset, 0) as loader:
        features = Features(jobs, same, steps, loader, 0, CPU, 1, StageTimers())
        keys = {key for index in range(len(steps)) for key in features.needed(index)}
    counts: Counter[Stage] = Counter()
    for encoder, *_ in {key.source for key in keys}:
        counts["encode", runs[encoder].name, 0] += 1
    for key in keys:
        counts["query" if key.class_id is None else "condition", runs[key.producer].name, 0] += 1
    for run, job in zip(runs, jobs, strict=True):
        counts["predict", run.name, run.shot] += len(job.numbers)
    return counts


def costs(runs: Sequence[Run], dataset: Dataset, samples: int) -> tuple[Costs, Costs]:
    """Return the operations of one call of each stage, alone and where methods share maps: the mean of some episodes.

    The encoders of a family are equal, so that an image is encoded once for all of it here.
    """
    found: tuple[dict[Stage, list[int]], dict[Stage, list[int]]] = ({}, {})

    def counted(places: Sequence[int], key: Stage, call: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        with Operations() as operations, torch.inference_mode():
            value = call(*arguments)
        for place in places:
            found[place].setdefault(key, []).append(operations.count)
        return value

    jobs = [run.job() for run in runs]
    encoders = same_parts(jobs).encoders
    order = order_of_work(runs[0].episodes)
    for number in order[:: max(1, len(order) // samples)][:samples]:
        episode = runs[0].episodes[number]
        # One support stands for all of an episode: what a prediction takes depends on how many there are.
        names = episode.query, episode.supports[0][0]
        encoded: dict[object, tuple[Any, Any]] = {}
        for run, job, encoder in zip(runs, jobs, encoders, strict=True):
            size, rule, method = run.rules.input, run.rules.resize, run.method
            kind = encoder, job.transform
            if kind not in encoded:
                images = [input_image(dataset.image(name), size, rule)[None] for name in names]
                maps = [counted((0, 1), ("encode", runs[encoder].name, 0), method.encode, image) for image in images]
                encoded[kind] = maps[0], maps[1]
            label = dataset.label(names[1])
            mask = torch.from_numpy(support_mask(label, episode.classes[0], size, rule))[None]
            for place in (0, 1):
                # Alone a method finds nothing in the maps that another has left there.
                query, raw = copy.deepcopy(encoded[kind]) if place == 0 else encoded[kind]
                query = counted((place,), ("query", run.name, 0), method.prepare_query, query)
                support = counted((place,), ("condition", run.name, 0), method.condition, raw, mask)
                if place == 0:
                    supports = [[support] * run.shot]
                    counted((0, 1), ("predict", run.name, run.shot), method.predict, query, supports, size)
    for run, encoder in zip(runs, encoders, strict=True):
        for one in found:
            one["encode", run.name, 0] = one["encode", runs[encoder].name, 0]
    alone, together = ({key: sum(values) / len(values) for key, values in one.items()} for one in found)
    return alone, together


def pairs(runs: Sequence[Run]) -> str:
    """Return how many of the supports of the lists with fewer shots are in those with more, and how many pairs."""
    by_name: dict[str, dict[int, EpisodeList]] = {}
    for run in runs:
        by_name.setdefault(run.rules.name, {})[run.shot] = run.episodes
    parts = []
    for name, lists in by_name.items():
        if len(lists) < 2:
            continue
        few, many = lists[min(lists)], lists[max(lists)]
        supports, queried = [], []
        for one in (few, many):
            supports.append({(e.classes[0], s) for e in one for s in e.supports[0]})
            queried.append({(e.classes[0], e.query, s) for e in one for s in e.supports[0]})
        shared = [len(a & b) / len(a) for a, b in (supports, queried)]
        parts.append(f"{name} {shared[0]:.3f} {shared[1]:.3f}")
    return "; ".join(parts)


def floor(given: argparse.Namespace, dataset: Dataset) -> None:
    """Count the least operations of the table and of its parts, and add a row for each stage to the CSV."""
    runs = runs_of(given, dataset)
    cost_alone, cost_together = costs(runs, dataset, given.samples)
    together = needs(runs, dataset)
    alone: Counter[Stage] = Counter()
    for run in runs:
        alone += needs([run], dataset)
    print(f"of the supports of the shorter lists so many are in the longer ones, and of the pairs: {pairs(runs)}")

    def total(counts: Counter[Stage], cost: Costs, stage: str = "") -> float:
        return sum(count * cost[key] for key, count in counts.items() if stage in ("", key[0]))

    for stage in ("encode", "query", "condition", "predict", ""):
        before, after = total(alone, cost_alone, stage), total(together, cost_together, stage)
        calls = [sum(count for key, count in counts.items() if stage in ("", key[0])) for counts in (alone, together)]
        keep(
            {
                "methods": given.methods,
                "backbone": given.backbone,
                "dataset": dataset.name,
                "shots": given.shots,
                "episodes": sum(len(run.episodes) for run in runs),
                "stage": stage or "all",
                "calls_alone": calls[0],
                "calls_together": calls[1],
                "tflop_alone": f"{before / 1e12:.2f}",
                "tflop_together": f"{after / 1e12:.2f}",
                "share": f"{after / before:.3f}" if before else "",
            },
            given.out,
        )


class Counting:
    """A data set that counts how often photos are decoded."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self.decoded = dataset, 0

    def image(self, name: str) -> Image:
        """Return a photo."""
        self.decoded += 1
        return self._dataset.image(name)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the data set has
        return getattr(self._dataset, name)


@dataclass
class Measured:
    """What an evaluation took.

    Attributes:
        cpu: Seconds of the processor, of all threads.
        wall: Seconds of the clock.
        flops: Operations.
        images: Images encoded.
        decoded: Photos decoded.
        rows: The rows of each run, without their seconds.
    """

    cpu: float
    wall: float
    flops: int
    images: int
    decoded: int
    rows: list[list[Row]]


def measure(runs: Sequence[Run], dataset: Dataset, count: int | None, settings: Settings) -> Measured:
    """Evaluate runs in one pass."""
    timers, counted, found = StageTimers(), Counting(dataset), [[] for _ in runs]  # type: ignore[var-annotated]
    counts = CacheCounts()
    cpu, wall = time.process_time(), time.perf_counter()
    jobs = [run.job(count) for run in runs]
    for place, row, _ in evaluate_jobs(jobs, counted, CPU, settings, timers, cache_counts=counts):  # type: ignore[arg-type]
        found[place].append(replace(row, seconds=0.0))
    flops = sum(timers.flops(stage) for stage in stage_timers.COMPUTING)
    rows = [sorted(one, key=lambda row: row.episode) for one in found]
    return Measured(time.process_time() - cpu, time.perf_counter() - wall, flops, timers.images, counted.decoded, rows)


def compare(given: argparse.Namespace, dataset: Dataset) -> None:
    """Evaluate the table and its parts, and add a row to the CSV."""
    runs = runs_of(given, dataset)
    settings = Settings(feature_cache=given.feature_cache, profiled=given.counted, batch_size=1)
    measure(runs[:1], dataset, 2, settings)  # what is done for the first time is not counted
    half = len(runs) // 2
    alone = [measure([run], dataset, given.answer, settings) for run in runs[:half]]
    together = measure(runs, dataset, given.answer, settings)
    alone += [measure([run], dataset, given.answer, settings) for run in runs[half:]]
    if [rows for one in alone for rows in one.rows] != together.rows:
        raise SystemExit("together they do not give the rows that each gives alone")
    photos = {name for run in runs for n in run.job(given.answer).numbers for name in _names(run.episodes[n])}
    cpu, wall = sum(one.cpu for one in alone), sum(one.wall for one in alone)
    flops = sum(one.flops for one in alone)
    keep(
        {
            "methods": given.methods,
            "backbone": given.backbone,
            "dataset": dataset.name,
            "shots": given.shots,
            "episodes": sum(len(rows) for rows in together.rows),
            "cache": given.feature_cache or "default",
            "cpu_alone": f"{cpu:.1f}",
            "cpu_together": f"{together.cpu:.1f}",
            "share_of_cpu": f"{together.cpu / cpu:.3f}",
            "share_of_wall": f"{together.wall / wall:.3f}",
            "tflop_alone": f"{flops / 1e12:.3f}",
            "tflop_together": f"{together.flops / 1e12:.3f}",
            "share_of_operations": f"{together.flops / flops:.3f}" if flops else "",
            "images_encoded_alone": sum(one.images for one in alone),
            "images_encoded_together": together.images,
            "photos": len(photos),
            "photos_decoded_alone": sum(one.decoded for one in alone),
            "photos_decoded_together": together.decoded,
            "machine": environment(CPU, None).device_name,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
        given.out,
    )


def _names(episode: fssbench.Episode) -> list[str]:
    return [episode.query, *(name for names in episode.supports for name in names)]


def main() -> None:
    """Count or measure, print, and add rows to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("floor", "run"))
    parser.add_argument("--methods", default="hsnet,asnet,pfenet,ntrenet,asgnet,mmt")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--shots", default="1,5")
    parser.add_argument("--dataset", default="pascal5i")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--protocol", help="Of all methods; default each release's.")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--episodes", type=int, default=1000, help="Length of each list.")
    parser.add_argument("--answer", type=int, help="Only the first so many of each list.")
    parser.add_argument("--samples", type=int, default=4, help="Episodes whose operations are counted for the floor.")
    parser.add_argument("--feature-cache", type=parse_bytes)
    parser.add_argument("--counted", action="store_true", help="Count operations too, of every tenth call.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    dataset = fssbench.open_dataset(given.dataset, root=given.root)
    (floor if given.what == "floor" else compare)(given, dataset)


if __name__ == "__main__":
    main()
