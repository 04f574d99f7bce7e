"""A sample-size plan as text: a table of sizes, and what follows from it in sentences."""

from __future__ import annotations

import json
from dataclasses import asdict
from textwrap import fill

from fssbench.comparison.components import FEW_PAIRS
from fssbench.comparison.planned import HABIT, SEEDS, SamplePlan, Size
from fssbench.escape import plain

_COLUMNS = ("episodes", "queries", "supports", "bootstrap", "model", "can tell")


def as_json(planned: SamplePlan) -> str:
    """Return a plan as JSON, with a newline at the end."""
    return json.dumps(asdict(planned) | {"sentences": sentences(planned)}, indent=1, allow_nan=False) + "\n"


def as_text(planned: SamplePlan, width: int) -> str:
    """Return a plan for the terminal, with a newline at the end.

    Args:
        planned: The plan.
        width: Columns of the terminal.
    """
    first = planned.names[0]
    if planned.difference is None:
        subject = f"{first} against a method of the same spread, correlation {planned.correlation:.2f} (assumed)"
    else:
        subject = (
            f"{planned.names[1]} against {first}, {planned.difference:+.2f} points of mIoU, "
            f"correlation {planned.correlation:.2f} (measured)"
        )
    lines = [fill(plain(planned.title), width), fill(plain(subject), width), "", *_table(planned), ""]
    lines += [fill(plain(sentence), width, break_on_hyphens=False) for sentence in sentences(planned)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _table(planned: SamplePlan) -> list[str]:
    rows = [_COLUMNS, *(_cells(size, planned) for size in planned.sizes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _cells(size: Size, planned: SamplePlan) -> tuple[str, ...]:
    rough = "~" if size.episodes > planned.reach else ""
    measured = "-" if size.measured is None else f"{size.measured:.2f}"
    numbers = (f"{size.episodes:,}", f"{size.queries:,.0f}", f"{size.supports:,.0f}", measured)
    return (*numbers, f"{rough}{size.spread:.2f}", f"{rough}{size.detectable:.2f}")


def sentences(planned: SamplePlan) -> list[str]:
    """Return what a plan says, in sentences."""
    each = "of each fold" if "folds" in planned.title else "of the fold"
    habit, seeds, stored = (planned.size(n) for n in (HABIT, SEEDS * HABIT, planned.stored))
    rough = [_rough(size, planned) for size in (habit, seeds)]
    found = [_needed(planned, each)]
    measured = ""
    if planned.difference is not None:
        larger = abs(planned.difference) >= stored.detectable
        measured = f" The measured difference, {planned.difference:+.2f}, is {'larger' if larger else 'smaller'}."
    found.append(f"The stored {planned.stored:,} episodes {each} can tell {stored.detectable:.2f} points.{measured}")
    found.append(
        f"{HABIT:,} episodes {each}, as in most papers, can tell {habit.detectable:.2f} points{rough[0]} if both "
        f"methods have the same episodes, and {planned.unpaired:.2f} if each has its own."
    )
    found.append(
        f"{SEEDS} lists of {HABIT:,} with different seeds can tell {seeds.detectable:.2f} points{rough[1]}, as they "
        f"use the same images again. Their standard deviation, about {planned.seeds_spread:.2f} for "
        f"{planned.names[0]}, is that of the draw alone: it leaves out other images, and another training."
    )
    return [*found, *_limits(planned), *_classes(planned), *_reading(planned), *planned.notes]


def _needed(planned: SamplePlan, each: str) -> str:
    points = f"{planned.detect:g} point{'' if planned.detect == 1 else 's'}"
    test = f"{100 * planned.power:g} % power (two-sided test at {100 * planned.alpha:g} %)"
    goal = f"To tell {points} with {test}"
    needed = planned.needed
    if needed.episodes is None:
        if needed.why == "images":
            low = needed.likely[0]
            perhaps = "" if low is None else f" (perhaps {low:,} would do: the estimate is uncertain)"
            return f"{goal} no number of episodes of these images is enough{perhaps}: it takes more images."
        far = "too far from the stored rows to say how many"
        return f"{goal} it takes more than {planned.reach:,} episodes {each}, {far}."
    low, high = (planned.reach if n is None else n for n in needed.likely)
    between = (
        ""
        if low == high
        else f" Between {low:,} and {high:,}{' or more' if needed.likely[1] is None else ''} is likely."
    )
    return (
        f"{goal} it takes about {needed.episodes:,} episodes {each} ({needed.per_class:.0f} of each class), with "
        f"about {needed.queries:,.0f} query images and {needed.supports:,.0f} support images, counted for each class."
        f"{between}"
    )


def _rough(size: Size, planned: SamplePlan) -> str:
    if size.episodes <= planned.reach:
        return ""
    return f" (a rough guess: {size.episodes / planned.stored:.0f} times as many as are stored)"


def _limits(planned: SamplePlan) -> list[str]:
    pairs = planned.pairs
    few = [f"{pairs[kind]} pairs share a {kind} image" for kind in ("query", "support") if pairs[kind] < FEW_PAIRS]
    if pairs["query"] < FEW_PAIRS:
        return [
            f"What is the images' and what the episodes' can't be told apart here, as {' and '.join(few)} "
            f"(at least {FEW_PAIRS} are needed): the sizes above hold if every episode brings a new query image."
        ]
    parts = {"query": "the query image's", "support": "the supports'", "episode": "the episode's own"}
    share = ", ".join(f"{100 * planned.shares[name]:.0f} % is {what}" for name, what in parts.items())
    images = "" if planned.images is None else f" A class seems to have about {planned.images:,.0f} query images."
    floor = (
        f"No number of episodes of these images can tell less than {planned.floor:.2f} points (perhaps "
        f"{planned.floor_up_to:.2f}): more episodes use the same images again.{images}"
        if planned.floor > 0.005
        else f"The query images are no limit within what the rows tell.{images}"
    )
    return [floor, f"Of the variance of one more episode, {share}."]


def _classes(planned: SamplePlan) -> list[str]:
    if planned.between_classes is None:
        return ["There is one class, so nothing can be said of the spread between classes."]
    if planned.other_classes is None:
        return [
            f"Between the {planned.classes} classes IoU itself spreads by {planned.between_classes:.1f} points; how "
            "far a difference of two methods does, one run cannot tell."
        ]
    return [
        f"Between the classes the difference spreads by {planned.between_classes:.2f} points (standard deviation). "
        f"All of the above is of these {planned.classes} classes; of classes in general, they can tell no less than "
        f"{planned.other_classes:.2f} points, with any number of episodes."
    ]


def _reading(planned: SamplePlan) -> list[str]:
    found = [
        "Episodes are those of each fold. Columns: standard deviation of the difference by the paired bootstrap over "
        "query images, and by the components of the variance; the smallest difference that can be told."
    ]
    if any(size.episodes > planned.reach for size in planned.sizes):
        found.append(f"~ is a rough guess, more than {planned.reach // planned.stored} times from the stored rows.")
    if planned.difference is None:
        found.append(
            "One run cannot tell how alike two methods err. A second run of the same list measures it; --correlation "
            f"assumes another value than {planned.correlation:g}."
        )
    return found
