"""Checking iSAID-5i against the release: lists, missing and unreadable files."""

from __future__ import annotations

from fssbench.datasets.checks import (
    NOT_AT_HAND,
    Count,
    Report,
    equal_count,
    photo_problems,
    report_of,
    unreadable_labels,
)
from fssbench.datasets.isaid5i.dataset import Isaid5i
from fssbench.datasets.isaid5i.lists import FOLDS, facts
from fssbench.errors import FSSBenchError


def check(dataset: Isaid5i, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    problems: list[FSSBenchError] = []
    try:
        names = dataset.image_names
        counts = [
            equal_count(f"entries, fold {fold}", len(dataset.listed(fold)), facts().entries[fold])
            for fold in range(FOLDS)
        ]
        here = sum(dataset.photo_path(name).is_file() for name in names)
        counts.append(equal_count("images", here, facts().images))
        notes = [f"order: {dataset.list_order}"]
    except FSSBenchError as error:
        entries = enumerate(facts().entries)
        counts = [Count(f"entries, fold {fold}", NOT_AT_HAND, number, same=False) for fold, number in entries]
        return report_of(dataset, counts, [error])
    problems += unreadable_labels(dataset, names)
    if not problems:
        problems += photo_problems(dataset, names, decode=decode)
    return report_of(dataset, counts, problems, notes)
