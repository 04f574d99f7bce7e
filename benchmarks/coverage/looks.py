"""Simulate how often the interval holds the truth where an evaluation goes on until it is narrow.

python benchmarks/coverage/looks.py [REPETITIONS]     # writes looks.csv next to it

The population is that of simulate.py. Each repetition draws a list and looks at it by the schedule of `fssbench eval
--until`: once with intervals of 95 % at each look (naive), once with the corrected level. It ends at the first narrow
look, or at the end. "all looks" is the share of repetitions in which the intervals of all looks hold the truth, which
is what an evaluation that ends for any reason, such as a method that is just then the better one, can count on.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from simulate import answers, counts_of, images, truth

from fssbench.metrics.bootstrap import bootstrap, degrees_of_freedom
from fssbench.metrics.counts import Floats
from fssbench.metrics.intervals import student_quantile
from fssbench.metrics.looks import PER_CLASS, level_of_each, schedule_of

CASES = ((5, 200), (5, 1000), (20, 50))
"""Classes, and query images of each at the end: 5 and 200 is a fold of PASCAL-5i, 20 and 50 one of COCO-20i."""
TARGETS = (0.9, 0.5, 0.25)
"""Half widths to reach, as quantiles of those that the looks of all repetitions have."""
DRAWS = 200
LEVEL = 0.95
OUT = Path(__file__).with_name("looks.csv")
COLUMNS = (
    *("classes", "queries_of_each", "looks", "level_of_each", "half_width", "repetitions"),
    *("naive", "corrected", "naive_all_looks", "corrected_all_looks", "fixed", "naive_episodes", "corrected_episodes"),
)


def walks(classes: int, each: int, repetitions: int, seed: int = 0) -> tuple[tuple[int, ...], Floats, Floats, Floats]:
    """Return the schedule, and of each repetition and look: error of mIoU, standard deviation, degrees of freedom."""
    schedule = schedule_of(classes * each, classes * PER_CLASS)
    expected = truth(classes)["miou"]
    errors, spreads = np.zeros((repetitions, len(schedule))), np.zeros((repetitions, len(schedule)))
    degrees = np.zeros(len(schedule))
    for repetition in range(repetitions):
        generator = np.random.default_rng([seed, classes, each, repetition, 11])
        counts = answers(generator, images(generator, classes, each))
        for number, episodes in enumerate(schedule):
            part = counts_of(counts[:, : episodes // classes])
            (drawn,) = bootstrap([part], DRAWS, generator)
            errors[repetition, number] = float(part.ratios(part.sums.sum(axis=0)).miou) - expected
            spreads[repetition, number] = float(np.std(drawn.miou))
            degrees[number] = degrees_of_freedom([part])
    return schedule, errors, spreads, degrees


def ends(widths: Floats, target: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return at which look each repetition ends: the first narrow one, else the last."""
    narrow = widths <= target
    narrow[:, -1] = True
    return narrow.argmax(axis=1)


def quantiles(degrees: Floats, level: float) -> Floats:
    """Return Student's quantile of each look."""
    return np.array([student_quantile(0.5 + level / 2.0, int(each)) for each in degrees])


def main() -> None:
    """Write the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for classes, each in CASES:
            schedule, errors, spreads, degrees = walks(classes, each, repetitions)
            level = level_of_each(schedule, LEVEL)
            widths = {name: quantiles(degrees, one) * spreads for name, one in (("n", LEVEL), ("c", level))}
            held = {name: np.abs(errors) <= width for name, width in widths.items()}
            for quantile in TARGETS:
                target = round(float(np.quantile(widths["c"], quantile)), 2)
                at = {name: ends(width, target) for name, width in widths.items()}
                rows = np.arange(repetitions)
                shares = [held["n"][rows, at["n"]], held["c"][rows, at["c"]]]
                shares += [held["n"].all(axis=1), held["c"].all(axis=1), held["n"][:, -1]]
                episodes = [np.array(schedule)[at[name]].mean() for name in ("n", "c")]
                writer.writerow(
                    [
                        *(classes, each, len(schedule), f"{100 * level:.2f}", target, repetitions),
                        *(f"{100 * share.mean():.1f}" for share in shares),
                        *(f"{number:.0f}" for number in episodes),
                    ]
                )
                file.flush()


if __name__ == "__main__":
    main()
