"""What is printed of references and of absent queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fssbench.cli.console import console
from fssbench.cli.help import NARROW

if TYPE_CHECKING:
    from rich.table import Table

    from fssbench.metrics.absence import Absence
    from fssbench.metrics.references import QuerySpread, ReferenceStudy
    from fssbench.results.run_reader import Results

_PARTS = {"reference": "of the reference", "query": "of the query", "class": "of the class"}


def print_studies(names: Sequence[str], runs: Sequence[Results]) -> None:
    """Print below the numbers of runs what they show of references and absent queries; nothing for other runs.

    Args:
        names: What each run is called.
        runs: The runs.
    """
    from fssbench.results.studies import absent_queries, reference_study

    studies = [(name, study) for name, one in zip(names, runs, strict=True) if (study := reference_study(one))]
    if studies:
        print_references([name for name, _ in studies], [study for _, study in studies])
    rows = [(name, found) for name, one in zip(names, runs, strict=True) if (found := absent_queries(one))]
    if rows:
        print_absent([name for name, _ in rows], [found for _, found in rows])


def print_references(names: Sequence[str], studies: Sequence[ReferenceStudy]) -> None:
    """Print mIoU with its spread over references for each run and fold, and the components of the variance."""
    table = _table("references", names, ("fold", "queries", "mIoU", "std", "worst", "best"))
    for name, study in zip(names, studies, strict=True):
        for place, fold in enumerate(study.folds):
            label = "mean" if fold.fold is None else str(fold.fold)
            numbers = (fold.miou, fold.std, fold.worst, fold.best)
            table.add_row(
                *_called(name, names, place), label, str(fold.queries), *(f"{number:.2f}" for number in numbers)
            )
    output = console()
    output.print(table)
    for name, study in zip(names, studies, strict=True):
        lead = f"{name}: " if len(names) > 1 else ""
        for line in variance_in_words(study):
            output.print(f"{lead}{line}", soft_wrap=True)
    output.print(
        f"std: over the {studies[0].references} references; worst, best: mIoU where each query has the reference with "
        "its lowest or highest IoU, which nobody could choose beforehand",
        soft_wrap=True,
    )


def variance_in_words(study: ReferenceStudy) -> list[str]:
    """Return how the variance of the IoU of single episodes is divided, as sentences."""
    parts, shares = study.components, study.components.shares
    if shares is not None:
        text = ", ".join(f"{share:.0f} % {_PARTS[name]}" for name, share in shares.items())
        found = [f"variance of the IoU of an episode: {text}"]
    else:
        known = {"reference": parts.reference, "query": parts.query, "class": parts.of_class}
        missing = parts.missing or {}
        reasons = [f"{_PARTS[name]} can't be given: {reason}" for name, reason in missing.items()]
        deviations = [f"{value**0.5:.1f} {_PARTS[name]}" for name, value in known.items() if value is not None]
        found = [f"standard deviations of the IoU: {', '.join(deviations)}; {'; '.join(reasons)}"] if missing else []
        found = found or ["variance of the IoU of an episode: none, so it has no parts"]
    if parts.below_zero:
        found.append(
            f"the part {' and '.join(_PARTS[name] for name in parts.below_zero)} is not distinguishable from 0 (its "
            "estimate is below 0)"
        )
    if study.left_out:
        found.append(f"{study.left_out} queries without a row for each reference are left out")
    return found


def print_absent(names: Sequence[str], found: Sequence[Sequence[Absence]]) -> None:
    """Print the numbers of absent queries for each run and fold."""
    headings = ("fold", "absent", "empty", "area", "median", "missed", "mIoU", "without")
    table = _table("absent queries, %", names, headings)
    for name, folds in zip(names, found, strict=True):
        for place, one in enumerate(folds):
            label = "mean" if one.fold is None else str(one.fold)
            numbers = [one.empty, one.false_area, one.false_area_median, one.wrongly_empty, one.miou, one.miou_present]
            cells = ["-" if number != number else f"{number:.1f}" for number in numbers]
            table.add_row(*_called(name, names, place), label, str(one.absent), *cells)
    output = console()
    output.print(table)
    output.print(
        "empty: absent queries in which nothing is predicted; area, median: share of the pixels that is predicted "
        "there, mean and median; missed: classes that are there and of which nothing is predicted; without: mIoU "
        "without the absent queries",
        soft_wrap=True,
    )


def print_classes(results: Results, study: ReferenceStudy) -> None:
    """Print the spread over references for each class: means over its queries."""
    table = _table("by class", [], ("class", "queries", "mean", "std", "worst", "best"))
    for one in study.classes:
        numbers = (one.mean, one.std, one.worst, one.best)
        name = results.run.class_names(one.fold).get(one.class_id, str(one.class_id))
        table.add_row(name, str(one.queries), *(f"{number:.1f}" for number in numbers))
    console().print(table)


def print_queries(results: Results, study: ReferenceStudy, count: int) -> None:
    """Print the queries with the largest spread over references, and with which supports they are best and worst."""
    if not count:
        return
    table = _table("queries with the largest spread", [], ("query", "class", "mean", "std", "worst", "best"))
    chosen: list[QuerySpread] = sorted(study.queries, key=lambda one: (-one.std, one.fold, one.query))[:count]
    for one in chosen:
        numbers = (one.mean, one.std, one.worst, one.best)
        name = results.run.class_names(one.fold).get(one.class_id, str(one.class_id))
        table.add_row(one.query, name, *(f"{number:.1f}" for number in numbers))
    output = console()
    output.print(table)
    for one in chosen:
        output.print(
            f"{one.query}: best with {', '.join(one.best_supports)}, worst with {', '.join(one.worst_supports)}",
            soft_wrap=True,
        )


def _table(title: str, names: Sequence[str], headings: Sequence[str]) -> Table:
    """Return a table without rules; with several names there is a column for them."""
    from rich.table import Table

    padding = (0, 1) if console().width >= NARROW else (0, 1, 0, 0)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=padding)
    if len(names) > 1:
        table.add_column("method", overflow="fold")
    for heading in headings:
        text = heading in ("fold", "class", "query")
        table.add_column(heading, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    return table


def _called(name: str, names: Sequence[str], place: int) -> list[str]:
    return [] if len(names) < 2 else [name if place == 0 else ""]
