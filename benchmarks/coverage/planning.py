"""Simulate whether `fssbench plan` predicts the spread of longer lists, and whether the episodes it names are enough.

python benchmarks/coverage/planning.py [REPETITIONS]     # writes planning.csv next to it

The population has images of known number: each is easy or hard for both methods, easier for one than for the other,
and as a support good or bad. Each repetition draws new images, and a list of episodes from them. A plan from the list
predicts the standard deviation of the difference for lists of 1,000 episodes and without end; "true" is that over the
repetitions. Power is the share of lists of the planned length that tell the true difference, for which the length was
planned: the plan keeps its promise where it is near 80 %.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from fssbench.comparison.components import components
from fssbench.comparison.influences import class_ious, difference, influences
from fssbench.comparison.sample_size import _Planning
from fssbench.metrics.counts import Floats
from fssbench.metrics.intervals import student_quantile

CLASSES = 5
CASES = ((60, 60), (60, 1000), (1000, 1000))
"""Query images and support images of each class: PASCAL-5i has about 60, COCO-20i many."""
STORED = 400
GOAL = 1000
ENDLESS = 50_000
GAIN = 0.15
"""How much better the second method is, on the scale of the logit of an episode's IoU."""
OUT = Path(__file__).with_name("planning.csv")
COLUMNS = (
    *("query_images", "support_images", "stored", "repetitions", "true_sd_1000", "planned_sd_1000", "low", "high"),
    *("true_sd_endless", "planned_sd_endless", "difference", "planned_episodes", "power"),
)


class Population:
    """The images of each class, and how both methods do with them."""

    def __init__(self, generator: np.random.Generator, queries: int, supports: int) -> None:
        self.generator = generator
        self.queries, self.supports = queries, supports
        self.pixels = np.exp(generator.normal(8.3, 0.8, (CLASSES, queries)))
        self.ease = generator.normal(0.3, 0.8, (CLASSES, queries)) + np.linspace(-1.0, 1.0, CLASSES)[:, None]
        self.own = generator.normal(0.0, 0.35, (2, CLASSES, queries))
        self.good = generator.normal(0.0, 0.3, (CLASSES, supports))
        self.own_good = generator.normal(0.0, 0.2, (2, CLASSES, supports))

    def draw(self, episodes: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Return class, query, support, intersections (2, E) and unions (2, E) of a list."""
        g = self.generator
        c = np.arange(episodes) % CLASSES
        q, s = g.integers(0, self.queries, episodes), g.integers(0, self.supports, episodes)
        shared = self.ease[c, q] + self.good[c, s] + g.normal(0.0, 0.3, episodes)
        logits = shared + self.own[:, c, q] + self.own_good[:, c, s] + g.normal(0.0, 0.4, (2, episodes))
        logits[1] += GAIN
        iou = 1.0 / (1.0 + np.exp(-logits))
        union = np.rint(self.pixels[c, q] * (1.0 + 0.3 * (1.0 - iou)))
        return c, q, s, np.rint(union * iou), union


def difference_of(drawn: tuple[Floats, Floats, Floats, Floats, Floats]) -> float:
    """Return the difference of mIoU of the second method and the first."""
    c, _, _, both, either = drawn
    sums = [[np.bincount(c, weights=of[m], minlength=CLASSES) for of in (both, either)] for m in (0, 1)]
    ious = [100.0 * both / either for both, either in sums]
    return float(np.mean(ious[1] - ious[0]))


def frames_of(drawn: tuple[Floats, Floats, Floats, Floats, Floats]) -> list[pd.DataFrame]:
    """Return the list as the rows of two runs."""
    c, q, s, both, either = drawn
    shared = {
        "fold": np.zeros(len(c), dtype=np.int64),
        "episode": np.arange(len(c)),
        "query": [f"{a}-q{b:06}" for a, b in zip(c, q, strict=True)],
        "classes": [(int(a) + 1,) for a in c],
        "supports": [((f"{a}-s{b:06}",),) for a, b in zip(c, s, strict=True)],
        "present": [(True,)] * len(c),
        "truth": [(True,)] * len(c),
    }
    counts = [
        {"intersection": [(1, int(i)) for i in both[m]], "union": [(1, int(u)) for u in either[m]]} for m in (0, 1)
    ]
    return [pd.DataFrame(shared | one) for one in counts]


def tells(drawn: tuple[Floats, Floats, Floats, Floats, Floats]) -> bool:
    """Return whether a list tells the methods apart at 5 %."""
    frames = frames_of(drawn)
    parts = [influences(frame, {}) for frame in frames]
    ious = [class_ious(frame, own) for frame, own in zip(frames, parts, strict=True)]
    apart = {key: ious[1][key] - iou for key, iou in ious[0].items()}
    spread = components(frames[0], difference(*parts), apart).variance(len(frames[0])) ** 0.5
    return abs(np.mean(list(apart.values()))) >= student_quantile(0.975, len(frames[0]) - CLASSES) * spread


def main() -> None:
    """Write the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for queries, supports in CASES:
            true: dict[int, list[float]] = {GOAL: [], ENDLESS: []}
            planned: dict[float, list[float]] = {GOAL: [], ENDLESS: []}
            needed: list[int] = []
            for repetition in range(repetitions):
                population = Population(np.random.default_rng([queries, supports, repetition]), queries, supports)
                for episodes, found in true.items():
                    found.append(difference_of(population.draw(episodes)))
            apart = float(np.mean(true[ENDLESS]))
            for repetition in range(repetitions // 4):
                population = Population(np.random.default_rng([queries, supports, repetition, 1]), queries, supports)
                planning = _Planning(frames_of(population.draw(STORED)), {}, 200, 0)
                for episodes, found in planned.items():
                    found.append(planning.of.variance(episodes) ** 0.5)
                enough = planning.needed(apart**2, lambda _: 1.96 + 0.8416).episodes
                needed += [] if enough is None else [enough]
            length = int(np.median(needed)) if needed else 0
            told = [
                tells(Population(np.random.default_rng([queries, supports, n, 2]), queries, supports).draw(length))
                for n in range(repetitions if length else 0)
            ]
            writer.writerow(
                [
                    *(queries, supports, STORED, repetitions, f"{np.std(true[GOAL]):.3f}"),
                    *(f"{number:.3f}" for number in (np.mean(planned[GOAL]), *np.percentile(planned[GOAL], [10, 90]))),
                    *(f"{np.std(true[ENDLESS]):.3f}", f"{np.mean(planned[ENDLESS]):.3f}", f"{apart:.2f}", length),
                    f"{100 * np.mean(told):.1f}" if told else "",
                ]
            )
            file.flush()


if __name__ == "__main__":
    main()
