"""Checking PASCAL-Part against the release: classes and episodes of each fold, missing and unreadable files."""

from __future__ import annotations

from fssbench.datasets.checks import NOT_AT_HAND, Count, Report, equal_count, photo_problems, report_of
from fssbench.datasets.pascalpart.dataset import PascalPart, facts
from fssbench.errors import FSSBenchError

MOST_EPISODES = 2500


def check(dataset: PascalPart, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    try:
        for fold, category in enumerate(facts().folds):
            episodes = min(dataset.entry_count(fold), MOST_EPISODES)
            counts += [
                equal_count(f"classes, fold {fold} ({category})", len(dataset.folds[fold]), facts().classes[fold]),
                equal_count(f"episodes, fold {fold}", episodes, facts().episodes[fold]),
                Count(f"objects with a part, fold {fold}", len(dataset.entries(fold))),
            ]
        names = dataset.index("val")["name"].tolist()
        # Without decoding, only the size of the whole photo is known.
        problems += photo_problems(dataset, names, decode=decode, same_size=decode)
    except FSSBenchError as error:
        problems.append(error)
        counts = [
            Count(f"classes, fold {fold} ({category})", NOT_AT_HAND, facts().classes[fold], same=False)
            for fold, category in enumerate(facts().folds)
        ]
    return report_of(dataset, counts, problems, [f"order: {dataset.list_order}"])
