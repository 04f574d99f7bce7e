"""Simulate how often intervals hold the truth and how often the permutation test errs.

python benchmarks/coverage/simulate.py [REPETITIONS]

The population has sizes of objects that spread as photos' do (log-normal), hard and easy classes and images, objects
missed altogether (one in ten), and query images that are asked more than once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

import numpy as np

from fssbench.comparison.permutation import permutation_p, swaps
from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom
from fssbench.metrics.counts import ClusterCounts, Floats, Integers
from fssbench.metrics.fold_counts import FoldCounts
from fssbench.metrics.intervals import interval

MEASURES = ("miou", "fb_iou", "exact_ratio")
PIXELS = 160_000
CASES = ((5, 10), (5, 20), (5, 40), (5, 200), (20, 10), (20, 50))
"""Classes, and query images of each: 5 and 200 is a fold of PASCAL-5i, 20 and 50 one of COCO-20i."""


def images(generator: np.random.Generator, classes: int, each: int) -> Floats:
    """Return what an image is, whoever answers: (classes, each, 3) pixels of the object, difficulty, episodes."""
    pixels = np.exp(generator.normal(8.3, 1.0, (classes, each)))
    ease = np.linspace(-1.0, 1.5, classes)[:, None] + 0.6 * (np.log(pixels) - 8.3)
    ease += generator.normal(0.0, 0.9, (classes, each))
    return np.stack([pixels, ease, 1.0 + generator.poisson(0.3, (classes, each))], axis=-1)


def answers(generator: np.random.Generator, asked: Floats, noise: float = 0.9, skill: float = 0.0) -> Integers:
    """Return the counts of a method: (classes, each, 6) as `ClusterCounts.sums` has them, of one class.

    Args:
        generator: The method's own chance.
        asked: From `images`.
        noise: How far its answers to equal images lie apart.
        skill: How much better it is.
    """
    pixels, ease, episodes = np.moveaxis(asked, -1, 0)
    iou = 1.0 / (1.0 + np.exp(-(ease + skill + generator.normal(0.0, noise, ease.shape))))
    iou = np.where(generator.random(ease.shape) < 0.1, 0.0, iou)
    background_union = PIXELS - 0.5 * pixels
    background = background_union - 0.7 * pixels * (1.0 - iou)
    right = generator.random(ease.shape) < 0.3 + 0.5 * iou
    counts = np.stack([pixels * iou, pixels, background, background_union, right, np.ones_like(iou)], axis=-1)
    return np.rint(counts * episodes[..., None]).astype(np.int64)


def counts_of(counts: Integers) -> ClusterCounts:
    """Return counts of `answers` as the counts of a fold."""
    classes, each = counts.shape[:2]
    sums = np.zeros((classes, each, 2 * classes + 4), dtype=np.int64)
    for number in range(classes):
        sums[number, :, number] = counts[number, :, 0]
        sums[number, :, classes + number] = counts[number, :, 1]
    sums[..., 2 * classes :] = counts[..., 2:]
    clusters = tuple((c + 1, f"class{c} image{n:06}") for c in range(classes) for n in range(each))
    times = counts[..., 5].sum(axis=1)
    return ClusterCounts(0, tuple(range(1, classes + 1)), clusters, sums.reshape(classes * each, -1), times)


@cache
def truth(classes: int, noise: float = 0.9, skill: float = 0.0) -> dict[str, float]:
    """Return the numbers of the whole population, nearly: of a million images."""
    total = np.zeros((classes, 1, 6), dtype=np.int64)
    for part in range(5):
        generator = np.random.default_rng([part, 99])
        asked = images(generator, classes, 200_000 // classes)
        total += answers(generator, asked, noise, skill).sum(axis=1, keepdims=True)
    counts = counts_of(total)
    ratios = counts.ratios(counts.sums.sum(axis=0))
    return {name: float(getattr(ratios, name)) for name in MEASURES}


def coverage(
    classes: int, each: int, repetitions: int, draws: int = 500, seed: int = 0
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the share of repetitions, by measure, in which a nominal 95 % interval holds the truth.

    Returns:
        For the intervals of fssbench, and for percentiles of n draws of n clusters.
    """
    expected = truth(classes)
    held = {name: [0, 0] for name in MEASURES}
    for repetition in range(repetitions):
        generator = np.random.default_rng([seed, classes, each, repetition])
        counts = counts_of(answers(generator, images(generator, classes, each)))
        ratios = counts.ratios(counts.sums.sum(axis=0))
        (drawn,) = bootstrap([counts], draws, generator)
        times = generator.multinomial(each, np.full(each, 1.0 / each), (draws, classes)).reshape(draws, -1)
        plain = counts.ratios(times.astype(np.float64) @ counts.sums)
        for name in MEASURES:
            bounds = interval(float(getattr(ratios, name)), getattr(drawn, name), degrees_of_freedom([counts]), 0.95)
            low, high = np.percentile(getattr(plain, name), [2.5, 97.5])
            held[name][0] += bounds.low <= expected[name] <= bounds.high
            held[name][1] += bool(low <= expected[name] <= high)
    shares = [{name: count[which] / repetitions for name, count in held.items()} for which in (0, 1)]
    return shares[0], shares[1]


def errors(
    classes: int,
    each: int,
    repetitions: int,
    draws: int = 499,
    seed: int = 0,
    other: Callable[[np.random.Generator, Floats], Integers] = answers,
) -> tuple[float, float]:
    """Return how often two methods of the same mIoU are called different at 5 %, and the interval leaves out 0.

    Args:
        classes: Classes of the fold.
        each: Query images of each.
        repetitions: How many pairs of runs.
        draws: Swaps, and draws of the bootstrap.
        seed: Seed.
        other: The second method; default one that differs from the first by chance alone.
    """
    called = left_out = 0
    for repetition in range(repetitions):
        generator = np.random.default_rng([seed, classes, each, repetition, 7])
        asked = images(generator, classes, each)
        mine, theirs = counts_of(answers(generator, asked)), counts_of(other(generator, asked))
        numbers = [float(its.ratios(its.sums.sum(axis=0)).miou) for its in (mine, theirs)]
        difference = numbers[1] - numbers[0]
        (chance,) = swaps([(FoldCounts(mine), FoldCounts(theirs))], draws, generator)
        called += permutation_p(difference, chance["miou"]) <= 0.05
        drawn = bootstrap([mine, theirs], draws, generator)
        bounds = interval(difference, drawn[1].miou - drawn[0].miou, degrees_of_freedom([mine]), 0.95, -100.0)
        left_out += not bounds.low <= 0.0 <= bounds.high
    return called / repetitions, left_out / repetitions


def equal_skill(classes: int, noise: float) -> float:
    """Return the skill at which a method of other noise has the mIoU of the first one."""
    goal, low, high = truth(classes)["miou"], -3.0, 3.0
    for _ in range(10):
        middle = (low + high) / 2.0
        low, high = (middle, high) if truth(classes, noise, middle)["miou"] < goal else (low, middle)
    return (low + high) / 2.0


def main() -> None:
    """Print both tables."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{repetitions} repetitions; 95 % of them would be within ±{196 * (0.05 * 0.95 / repetitions) ** 0.5:.1f}\n")
    print("| classes | queries of each | mIoU | FB-IoU | ER | mIoU, percentiles | FB-IoU | ER |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for classes, each in CASES:
        shares = coverage(classes, each, repetitions)
        cells = [f"{100 * its[name]:.1f}" for its in shares for name in MEASURES]
        print(f"| {classes} | {each} | {' | '.join(cells)} |", flush=True)
    print("\n| classes | queries of each | alike: p ≤ 5 % | interval without 0 | equal mIoU: p ≤ 5 % | without 0 |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for classes, each in ((5, 10), (5, 40), (5, 200)):
        skill = equal_skill(classes, 0.2)
        alike = errors(classes, each, repetitions)
        equal = errors(classes, each, repetitions, other=lambda g, asked, s=skill: answers(g, asked, 0.2, s))
        cells = [f"{100 * share:.1f}" for share in (*alike, *equal)]
        print(f"| {classes} | {each} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
