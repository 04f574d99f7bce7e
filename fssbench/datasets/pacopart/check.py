"""Checking PACO-Part against the release: classes of each fold, missing and unreadable files."""

from __future__ import annotations

from fssbench.datasets.checks import Count, Report, equal_count, photo_problems, report_of
from fssbench.datasets.pacopart.dataset import PacoPart, facts
from fssbench.errors import FSSBenchError


def check(dataset: PacoPart, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    try:
        counts.append(equal_count("categories", len(dataset.categories), facts().categories))
        counts += [
            equal_count(f"classes for 1 shot, fold {fold}", len(classes), facts().classes_1_shot[fold])
            for fold, classes in enumerate(dataset.for_shots(1).folds)
        ]
        names = dataset.index("val")["name"].tolist()
        counts.append(Count("objects with a part", len(names)))
        # Without decoding, only the size of the whole photo is known.
        problems += photo_problems(dataset, names, decode=decode, same_size=decode)
    except FSSBenchError as error:
        problems.append(error)
    return report_of(dataset, counts, problems, [f"order: {dataset.list_order}"])
