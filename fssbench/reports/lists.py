"""Several episode lists in one report: what each is called, and the metric of each method on each list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fssbench.reports.numbers import Table, measures_of

if TYPE_CHECKING:
    from fssbench.reports.report import Report
    from fssbench.reports.runs import Compared
    from fssbench.results import Run

_FACTS: tuple[Callable[[Run], str], ...] = (
    lambda run: "FS-CS" if run.method.task == "fscs" else "",
    lambda run: f"folds {', '.join(str(fold.fold) for fold in run.folds)}",
    lambda run: f"split {run.split}",
    lambda run: f"protocol {run.protocol.name}",
    lambda run: f"trained on {run.train_dataset}" if run.train_dataset else "",
    lambda run: f"seed {run.folds[0].seed}",
    lambda run: f"list {run.folds[0].episodes_hash[:8]}",
    lambda run: f"data {run.dataset.fingerprint[:8]}",
)
"""What tells lists apart that have the same data set, ways, shots and number of episodes."""


def title_of(runs: Compared) -> str:
    """Return what runs are of: the data set, ways, shots and episodes."""
    run = runs.run
    return f"{run.dataset.title or run.dataset.name}, {run.way}-way {run.shot}-shot, {len(runs.keys)} episodes"


def titles_of(lists: Sequence[Compared]) -> list[str]:
    """Return a title for each list that no other one has, as long as they differ in something that is recorded."""
    titles = [title_of(runs) for runs in lists]
    for fact in _FACTS:
        twice = {title for title in titles if titles.count(title) > 1}
        if not twice:
            break
        known = [fact(runs.run) for runs in lists]
        for title in twice:
            places = [place for place, other in enumerate(titles) if other == title]
            if len({known[place] for place in places}) > 1:
                for place in places:
                    titles[place] += f", {known[place]}" if known[place] else ""
    return [title if titles.count(title) == 1 else f"{title} ({n})" for n, title in enumerate(titles, 1)]


def overview(reports: Sequence[Report]) -> Table:
    """Return the first metric of each method on each list, with its interval."""
    cells: dict[str, dict[int, str]] = {}
    heads = []
    for place, report in enumerate(reports):
        measure, name = next(iter(measures_of(report.runs.run).items()))
        heads.append(f"{report.title}: {name}")
        for method, summary in zip(report.runs.methods, report.summaries, strict=True):
            interval = summary.intervals.get(measure)
            reach = f" ({interval.text()})" if interval is not None and interval.given else ""
            mark = "*" if method.results.missing or method.results.run.is_shard else ""
            cells.setdefault(method.name, {})[place] = f"{getattr(summary, measure):.2f}{mark}{reach}"
    rows = tuple((name, *(of.get(place, "-") for place in range(len(reports)))) for name, of in cells.items())
    notes = ["In per cent, with 95 % intervals where they can be given. Compare within a column, not across columns."]
    if any("*" in cell for row in rows for cell in row[1:]):
        notes.append("* unfinished, or a part of a run.")
    return Table(("method", *heads), rows, 1, tuple(notes))
