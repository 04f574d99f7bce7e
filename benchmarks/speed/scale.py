"""How well a run scales to many jobs: a simulation, for docs/scale.md.

    python benchmarks/speed/scale.py [--episodes 80000] [--images 40000] [--classes 80] [--shots 5]

Episodes are drawn as COCO-20i's are, ordered and cut as `fssbench eval --shard` cuts them. A job encodes each image of
its share once, answers its episodes, and starts late by what a queue and an import take. Efficiency is the work of one
job that does all, over the time that all jobs occupy until the last is done.
"""

from __future__ import annotations

import argparse

import numpy as np

from fssbench.episode import Episode
from fssbench.planning.cut import shards_of

JOBS = (1, 8, 64, 512, 4096)
SPREAD = 0.15
"""Relative deviation of the speed of a machine from the others'."""


def drawn(
    episodes: int, images: int, classes: int, shots: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of each episode, (episodes, 1 + shots), in the order of work, and their classes."""
    popularity = generator.permutation(1 / np.arange(1, classes + 1) ** 0.7)
    members = [generator.choice(images, max(shots + 2, int(images * p / 4)), replace=False) for p in popularity]
    asked = generator.integers(0, classes, episodes)
    rows = np.stack([generator.choice(members[c], 1 + shots) for c in asked])
    order = np.lexsort((rows[:, 0], asked))
    return rows[order], asked[order]


def cut(images: np.ndarray, classes: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Return how many images and episodes each shard has."""
    episodes = [
        Episode(str(query), (c,), (tuple(map(str, supports)),), c)
        for (query, *supports), c in zip(images.tolist(), classes.tolist(), strict=True)
    ]
    return [(len(np.unique(images[numbers])), len(numbers)) for (numbers,) in shards_of([(0, episodes)], count)]


def main() -> None:
    """Print a table: jobs, images encoded by all, makespan, efficiency, files and megabytes written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=80_000)
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--runs", type=int, default=1, help="Methods, shots and seeds that are evaluated, all alike.")
    parser.add_argument("--encode", type=float, default=0.008, help="Seconds to read and encode an image.")
    parser.add_argument("--answer", type=float, default=0.03, help="Seconds to answer an episode.")
    parser.add_argument("--start", type=float, default=25.0, help="Seconds until a job answers its first episode.")
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    order, classes = drawn(given.episodes, given.images, given.classes, given.shots, generator)
    whole = len(np.unique(order)) * given.encode + given.episodes * given.answer
    print("jobs  images encoded  times as many  last done (s)  efficiency  photos read/s  rows written (MB)")
    first, megabytes = len(np.unique(order)) * given.runs, given.episodes * given.runs * 300 / 1e6
    for jobs in JOBS:
        # Runs are given out whole as long as there are enough of them, and cut only beyond that.
        cuts = max(1, jobs // given.runs)
        shares = cut(order, classes, cuts) * given.runs
        speeds = np.maximum(0.5, generator.normal(1, SPREAD, jobs)) if jobs > 1 else np.ones(1)
        busy = given.start * generator.lognormal(0, 0.3, jobs)
        for images, episodes in shares:
            free = int(busy.argmin())
            busy[free] += (images * given.encode + episodes * given.answer) / speeds[free]
        encoded, last = sum(images for images, _ in shares), float(busy.max())
        print(
            f"{jobs:4d}  {encoded:14d}  {encoded / first:13.2f}  {last:13.0f}  "
            f"{given.runs * whole / (jobs * last):10.0%}"
            f"  {encoded / last:13.0f}  {megabytes:17.0f}"
        )


if __name__ == "__main__":
    main()
