"""Runs to look at: what failed, and what two methods disagree on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fssbench.results import Results

__all__ = ["Kind", "plot"]

Kind = Literal["fold", "class", "size", "scatter", "histogram", "errors", "history", "references"]


def plot(
    runs: Sequence[str | Path | Results],
    kind: Kind,
    *,
    width: float = 3.25,
    column: str = "loss",
    root: str | Path | None = None,
) -> Figure:
    """Return a figure of runs, as `fssbench plot` writes it; `fssbench.figures.save` writes it too.

    Args:
        runs: Run folders, or runs from `fssbench.evaluate` or `fssbench.results.load_run`, of the same episodes. With
            "history" folders of trainings.
        kind: "fold" and "class": the first metric with 95 % intervals; "size": IoU against the share of the query;
            "scatter": the first two runs against each other; "histogram": episodes by IoU; "errors": kinds of errors;
            "history": the course of a training; "references": each query of a run with references, from its worst to
            its best.
        width: Inches.
        column: With "history", what is drawn: "loss", "validation", "learning_rate", ...
        root: Folder of the data, for names of classes, sizes and kinds of errors; default that of the run.

    Raises:
        MissingError: If a run, the data or matplotlib is missing.
        BrokenFileError: If a run is damaged.
        UsageError: If the runs are not of the same episodes, or do not fit the kind.

    Examples:
        >>> import fssbench
        >>> from fssbench.reports import plot
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)
        >>> results = fssbench.evaluate(fssbench.build("all-foreground"), dataset, episodes)
        >>> plot([results], "fold").axes[0].get_ylabel()
        'mIoU (%)'
    """
    from fssbench.reports import charts
    from fssbench.reports.runs import read_mixed

    if kind == "history":
        from fssbench.reports.history import history

        return history([Path(str(one)) for one in runs], column, width)
    compared = read_mixed(runs)
    if kind == "references":
        return charts.by_reference(compared, width)
    if kind in ("fold", "class"):
        summaries = [method.results.summary() for method in compared.methods]
        if kind == "fold":
            return charts.by_fold(compared, summaries, width)
        return charts.by_class(compared, summaries, charts.class_names(compared, root), width)
    from fssbench.reports.cases import plain_cases

    cases = plain_cases(compared)
    if kind == "scatter":
        return charts.against(compared, cases, width=width)
    if kind == "histogram":
        return charts.distribution(compared, cases, width)
    cases, maps = charts.seen_cases(compared, cases, root, maps=kind == "errors")
    if kind == "size":
        return charts.by_size(compared, cases, width)
    return charts.error_kinds(compared, cases, maps=maps, width=width)
