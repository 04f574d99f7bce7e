"""The charts of the page, each with its title, what it shows in words, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fssbench.reports import charts, numbers
from fssbench.reports.cases import Case
from fssbench.reports.similarity import features

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fssbench.metrics.summary import Summary
    from fssbench.reports.runs import Compared

WIDE = 4.6
"""Inches of a chart on the page."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A chart with its title, what it shows in words, and the numbers behind it."""

    name: str
    title: str
    figure: Figure
    alt: str
    table: numbers.Table | None = None
    note: str = ""


def charts_of(
    runs: Compared, cases: Sequence[Case], summaries: Sequence[Summary], names: dict[int, str], *, maps: bool
) -> list[Chart]:
    """Return the charts of a report, in order; those that need masks are left out where they are not known.

    Args:
        runs: The runs.
        cases: Their cases.
        summaries: The metrics of each.
        names: The names of the classes.
        maps: Whether the label maps of all predictions are known.
    """
    several = ", ".join(runs.names)
    best = max(zip(summaries, runs.names, strict=True), key=lambda pair: pair[0].miou)
    charted = [
        Chart(
            "fold",
            "Folds",
            charts.by_fold(runs, summaries, WIDE),
            f"Bars of the folds for {several}. The best mean has {best[1]} with {best[0].miou:.1f} %.",
            note="With 95 % intervals over the choice of the queries.",
        ),
        Chart(
            "class",
            "Classes",
            charts.by_class(runs, summaries, names, WIDE),
            f"The IoU of each class by {several}, from the easiest to the hardest; the table below has the numbers.",
            _class_table(runs, summaries, names),
            "From the easiest to the hardest class; pixels are summed over its episodes, with 95 % intervals.",
        ),
        Chart(
            "histogram",
            "Episodes by IoU",
            charts.distribution(runs, cases, WIDE),
            f"How many episodes have which IoU, for {several}.",
        ),
    ]
    charted += [
        Chart(
            f"scatter{number}",
            f"{runs.names[0]} and {runs.names[number]}",
            charts.against(runs, cases, (0, number), 3.6),
            f"The IoU of each episode by {runs.names[0]} and by {runs.names[number]}, against each other.",
            note="Each point is an episode. On the dashed line both are equal.",
        )
        for number in range(1, min(len(runs.methods), 4))
    ]
    if any(case.found is not None for case in cases):
        shared = numbers.kinds(cases, len(runs.methods), maps=maps)
        table = numbers.Table(
            ("kind of error", *runs.names),
            tuple((str(kind), *(f"{value:.1f} %" for value in values)) for kind, values in shared.items()),
        )
        charted.append(
            Chart(
                "errors",
                "Kinds of errors",
                charts.error_kinds(runs, cases, maps=maps, width=WIDE),
                f"The share of each kind of error by {several}; the table below has the numbers.",
                table,
            )
        )
        charted.append(
            Chart(
                "size",
                "IoU and size of the object",
                charts.by_size(runs, cases, WIDE),
                f"The IoU of objects against their share of the query, for {several}; the next section has the means.",
                note="Points are objects, lines are means of bins with 1.96 standard errors.",
            )
        )
        alike = charts.by_similarity(runs, cases, WIDE)
        if alike is not None:
            charted.append(
                Chart(
                    "similarity",
                    "IoU and similarity of query and supports",
                    alike,
                    f"The IoU of objects against the similarity of query and supports, for {several}.",
                    note=f"Cosine of the mean features of the class in query and supports, by {features().name}.",
                )
            )
    return charted


def _class_table(runs: Compared, summaries: Sequence[Summary], names: dict[int, str]) -> numbers.Table:
    first = summaries[0].per_class
    rows = []
    for place, (fold, class_id, episodes) in enumerate(
        zip(first["fold"], first["class_id"], first["episodes"], strict=True)
    ):
        cells = [names.get(int(class_id), f"class {class_id}"), str(fold), str(episodes)]
        for summary in summaries:
            low, value, high = (float(summary.per_class[column].iloc[place]) for column in ("low", "iou", "high"))
            why = summary.per_class["no_interval"].iloc[place]
            cells.append(f"{value:.1f} ({why or f'{low:.1f} to {high:.1f}'})")
        rows.append(tuple(cells))
    return numbers.Table(("class", "fold", "episodes", *runs.names), tuple(rows))
