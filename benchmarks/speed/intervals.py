"""Time the intervals of a run of four folds of 1000 episodes: python benchmarks/speed/intervals.py [EPISODES]."""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

from fssbench.metrics.summary import DRAWS, summarise

CLASSES = 5


def rows(fold: int, episodes: int, way: int, generator: np.random.Generator) -> pd.DataFrame:
    """Return rows of random answers, each to another query."""
    union = generator.integers(500, 40_000, (episodes, way + 1))
    both = (union * generator.random((episodes, way + 1))).astype(int)
    ways = [generator.permutation(CLASSES)[:way] + 1 + CLASSES * fold for _ in range(episodes)]
    said = generator.random((episodes, way)) < 0.7
    return pd.DataFrame(
        {
            "fold": fold,
            "query": [f"image{number}" for number in range(episodes)],
            "classes": [tuple(map(int, row)) for row in ways],
            "intersection": [tuple(map(int, row)) for row in both],
            "union": [tuple(map(int, row)) for row in union],
            "present": [tuple(map(bool, row)) for row in said],
            "truth": [(True,) * way] * episodes,
        }
    )


def main() -> None:
    """Print the seconds with and without intervals, the best of three."""
    episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for way in (1, 2):
        frame = pd.concat([rows(fold, episodes, way, np.random.default_rng(fold)) for fold in range(4)])
        seconds = []
        for draws in (0, DRAWS):
            best = float("inf")
            for _ in range(3):
                started = time.perf_counter()
                summarise(frame, draws=draws)
                best = min(best, time.perf_counter() - started)
            seconds.append(best)
        print(
            f"{way}-way, 4 x {episodes} episodes: counts {seconds[0]:.2f} s, "
            f"{DRAWS} draws {seconds[1] - seconds[0]:.2f} s"
        )


if __name__ == "__main__":
    main()
