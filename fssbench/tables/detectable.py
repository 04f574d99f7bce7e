"""Printed differences that are smaller than what the episodes of a paper can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from fssbench.publications.load import publications
from fssbench.publications.names import Names
from fssbench.publications.titles import BACKBONES
from fssbench.tables.printed import printed_entries


@dataclass(frozen=True)
class Step:
    """A printed result, and its distance to the next better one of the same backbone and number of shots.

    Attributes:
        shot: K.
        backbone: The backbone.
        method: The method, as printed.
        mean: Its printed mIoU, the mean over the folds.
        difference: To the next better one; None for the best.
        below_paired: Whether that is less than can be told if both methods had the same episodes.
        below_unpaired: Whether it is less than can be told if each had its own.
        source: Where it is printed.
    """

    shot: int
    backbone: str
    method: str
    mean: float
    difference: float | None
    below_paired: bool
    below_unpaired: bool
    source: str


@dataclass(frozen=True)
class PrintedDifferences:
    """The printed results of a data set against the smallest difference that can be told.

    Attributes:
        dataset: The key of the data set.
        paired: The smallest difference that can be told if both methods had the same episodes, in points.
        unpaired: The same if each had its own.
        steps: The results of each number of shots and backbone, the best first.
        pairs: How many pairs of methods have the same backbone and number of shots.
        pairs_below_paired: How many of them differ by less than `paired`.
        pairs_below_unpaired: How many by less than `unpaired`.
    """

    dataset: str
    paired: float
    unpaired: float
    steps: tuple[Step, ...]
    pairs: int
    pairs_below_paired: int
    pairs_below_unpaired: int


def printed_differences(dataset: str, way: int, task: str, paired: float, unpaired: float) -> PrintedDifferences:
    """Hold printed differences against the smallest ones that can be told.

    Of each method the row of the preferred source counts (`fssbench.tables.printed`); ablations, variants, uncertain
    numbers and methods that have seen the test classes are left out.

    Args:
        dataset: The key of the data set.
        way: N.
        task: "fss" or "fscs".
        paired: The smallest difference that can be told if both methods had the same episodes, in points.
        unpaired: The same if each had its own.
    """
    names = Names()
    groups: dict[tuple[int, str], list[tuple[float, str, str]]] = {}
    for entry in printed_entries(publications(), dataset, (task,), names):
        if not entry.competes or entry.variant or "mean" not in entry.numbers or entry.shot is None:
            continue
        if (entry.way or 1) != way or entry.other_folds:
            continue
        if not entry.backbone:
            continue  # whether it is the same is not known
        backbone = BACKBONES.get(entry.backbone, entry.backbone)
        groups.setdefault((entry.shot, backbone), []).append((float(entry.numbers["mean"]), entry.label, entry.source))
    steps: list[Step] = []
    gaps: list[float] = []
    for (shot, backbone), found in sorted(groups.items()):
        if len(found) < 2:
            continue
        ranked = sorted(found, key=lambda one: (-one[0], one[1].lower()))
        gaps += [abs(one[0] - other[0]) for one, other in combinations(ranked, 2)]
        better: float | None = None
        for mean, label, source in ranked:
            gap = None if better is None else better - mean
            steps.append(Step(shot, backbone, label, mean, gap, _below(gap, paired), _below(gap, unpaired), source))
            better = mean
    return PrintedDifferences(
        *(dataset, paired, unpaired, tuple(steps), len(gaps)),
        *(sum(_below(gap, reach) for gap in gaps) for reach in (paired, unpaired)),
    )


def _below(gap: float | None, reach: float) -> bool:
    # Printed numbers have one or two decimals, so their differences are rounded.
    return gap is not None and round(gap, 6) < reach


def printed_text(found: PrintedDifferences, title: str) -> list[str]:
    """Return the lines of a table: of each number of shots and backbone the methods, the best first.

    Args:
        found: The differences.
        title: The data set, as papers print it.
    """
    lines = [f"printed on {title}: differences to the next better method of the same backbone and shots"]
    head = ("shots", "backbone", "method", "mIoU", "difference", "")
    rows = [head]
    before: tuple[int, str] | None = None
    for step in found.steps:
        key = (step.shot, step.backbone)
        mark = "**" if step.below_paired else "*" if step.below_unpaired else ""
        gap = "" if step.difference is None else f"{step.difference:.2f}"
        start = ("", "") if key == before else (str(step.shot), step.backbone)
        rows.append((*start, step.method, f"{step.mean:.2f}", gap, mark))
        before = key
    lines += _aligned(rows)
    lines += [
        f"** below {found.paired:.2f} points, which 1,000 episodes of each fold can tell of the same episodes",
        f"*  below {found.unpaired:.2f} points, which they can tell if each paper has its own episodes",
        f"{found.pairs_below_paired} of all {found.pairs} pairs of methods differ by less than the first, "
        f"{found.pairs_below_unpaired} by less than the second",
    ]
    return lines


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place in (0, 3, 4) else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
