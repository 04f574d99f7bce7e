"""Checking LVIS-92i against the release: classes of each fold, missing and unreadable files."""

from __future__ import annotations

from fssbench.datasets.checks import Count, Report, equal_count, photo_problems, report_of
from fssbench.datasets.lvis92i.dataset import Lvis92i, official_classes
from fssbench.errors import FSSBenchError


def check(dataset: Lvis92i, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    try:
        for shots, expected in official_classes().items():
            folds = dataset.for_shots(shots).folds
            counts += [
                equal_count(f"classes for {shots} shots, fold {fold}", len(classes), expected)
                for fold, classes in enumerate(folds)
            ]
        names = dataset.index("val")["name"].tolist()
        one_each = dict(zip((name.rpartition("/")[0] for name in names), names, strict=True))
        counts.append(Count("photos", len(one_each)))
        problems += photo_problems(dataset, list(one_each.values()), decode=decode)
    except FSSBenchError as error:
        problems.append(error)
    return report_of(dataset, counts, problems, [f"order: {dataset.list_order}"])
