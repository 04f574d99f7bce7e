"""The looks of `fssbench eval --until`: after some episodes of each list, is the interval of every run narrow?

A look is a function of the first episodes of the lists alone, so a run that was killed makes the same looks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from fssbench.errors import BrokenFileError
from fssbench.metrics.summary import summary_of
from fssbench.results.derived import frame_of_run
from fssbench.results.progress import Looked
from fssbench.results.run_reader import Results
from fssbench.results.until import UNKNOWN, Look, Until

if TYPE_CHECKING:
    from pathlib import Path

    from fssbench.results.record import Run
    from fssbench.results.rows import Row

_SAME = 1e-6
"""Points by which the same look may differ between machines."""


def make_look(run: Run, rule: Until, number: int, rows: Sequence[Row], folder: Path | None = None) -> Run:
    """Return the record of a run with one look more.

    Args:
        run: The record; `limit` is that of the whole run.
        rule: Its rule, whose earlier looks were made in this process.
        number: Which look, from 0.
        rows: The rows of the run, at least those of the look.
        folder: Its folder, for messages.

    Raises:
        BrokenFileError: If the record has another look there: its rows were changed.
    """
    episodes = rule.schedule[number]
    part = replace(run, limit=episodes)
    results = Results(frame_of_run([row for row in rows if row.episode < episodes], part), part)
    summary = summary_of(results.fold_counts(), level=rule.level_of_each, by_class=False)
    bounds = summary.intervals["miou"]
    width = max(summary.miou - bounds.low, bounds.high - summary.miou) if bounds.given else UNKNOWN
    look = Look(episodes, summary.miou, width)
    if len(rule.looks) > number:
        stored = rule.looks[number]
        if max(abs(stored.miou - look.miou), abs(stored.half_width - look.half_width)) > _SAME:
            raise BrokenFileError(
                f"{folder or 'the run'}: its record has mIoU {stored.miou:.4f} ± {stored.half_width:.4f} after "
                f"{episodes} episodes, its rows give {look.miou:.4f} ± {look.half_width:.4f}: the rows were changed",
                "start the run again with --overwrite",
            )
        return run
    return replace(run, until=replace(rule, looks=(*rule.looks, look), stopped=""))


def ended(runs: Sequence[Run], number: int, before: Until | None, *, beyond: bool) -> Sequence[Run] | None:
    """Return the records of the runs if they end at this look, else None.

    All runs of a pass end together, so that they have the same episodes.

    Args:
        runs: Their records, with the look.
        number: Which look, from 0.
        before: How a run that is repeated ended: there it ends again, whatever its interval.
        beyond: Whether there are rows of later episodes. Then the runs have gone on from here, and don't end here when
            they are continued with a wider interval.
    """
    rules = [run.until for run in runs if run.until is not None]
    if beyond:
        return None
    narrow = all(rule.looks[number].half_width <= rule.half_width for rule in rules)
    episodes, last = rules[0].schedule[number], number + 1 == len(rules[0].schedule)
    enough = narrow if before is None else episodes >= before.looks[-1].episodes
    if not (enough or last):
        return None
    found = []
    for run, rule in zip(runs, rules, strict=True):
        reason: Literal["", "narrow", "end"] = "end" if last and not narrow else "narrow"
        reason = reason if before is None else before.stopped
        done = replace(rule, looks=rule.looks[: number + 1], stopped=reason)
        # At the end of a list nothing was cut.
        found.append(replace(run, until=done, limit=run.limit if last else episodes))
    return found


def first_outlook(runs: Sequence[Run], done: int) -> Looked:
    """Return what the progress shows before the first look: when it is, and that all episodes are the most."""
    schedule = next(run.until for run in runs if run.until is not None).schedule
    total = sum(run.requested(fold) for run in runs for fold in run.folds)
    text = (
        f"the first look is after {schedule[0]} episodes of each fold, the last of {len(schedule)} after {schedule[-1]}"
    )
    return Looked(text, "", done, total)


def outlook(runs: Sequence[Run], number: int, done: int) -> Looked:
    """Return what the progress shows after a look at which the runs go on: how narrow, and how many episodes are left.

    Args:
        runs: Their records, with the look.
        number: Which look, from 0.
        done: How many rows all of them have.
    """
    rules = [run.until for run in runs if run.until is not None]
    now = rules[0].schedule[number]
    # Half widths shrink with the square root of the episodes, at best.
    wanted = max(now * (rule.looks[number].half_width / rule.half_width) ** 2 for rule in rules)
    expected = next((episodes for episodes in rules[0].schedule if episodes >= wanted), rules[0].schedule[-1])
    total = sum(min(run.requested(fold), expected) for run in runs for fold in run.folds)
    widths = " / ".join(rule.looks[number].reach for rule in rules)
    enough = f"about {expected} expected" if wanted <= rules[0].schedule[-1] else f"not expected within {expected}"
    return Looked(
        f"{widths} after {now} episodes of each fold; ±{rules[0].half_width:g}: {enough}", widths, done, total
    )
