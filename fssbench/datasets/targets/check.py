"""Checking target data sets against their releases: counts, lists, missing and unreadable files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fssbench.datasets.checks import NOT_AT_HAND, Count, Report, equal_count, photo_problems, report_of
from fssbench.datasets.io.images import read_colours
from fssbench.datasets.targets.target import TargetDataset
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import FSSBenchError
from fssbench.progress import tracked


def check(dataset: TargetDataset, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    official = dataset.official
    notes = [f"order: {dataset.list_order}"]
    problems: list[FSSBenchError] = []
    try:
        problems += mask_problems(dataset.mask_files())
        here = {} if problems else dataset.parts
    except FSSBenchError as error:
        problems.append(error)
    if problems:
        counts = [
            Count(f"images, {part}", NOT_AT_HAND, official.get(part), same=False) for part in official or ("all",)
        ]
        return report_of(dataset, counts, problems, notes)
    known = {**dict.fromkeys(official, 0), **here}
    counts = [
        equal_count(f"images, {part}", number, official[part]) if part in official else Count(f"images, {part}", number)
        for part, number in known.items()
    ]
    classes = dataset.index("test")["class_id"]
    counts += [Count(f"images with {name}", int((classes == c).sum())) for c, name in dataset.class_names.items()]
    problems += photo_problems(dataset, dataset.image_names, decode=decode, same_size=dataset.whole_photos)
    notes += stored_note(sorted(set(map(dataset.photo_path, dataset.image_names))))
    return report_of(dataset, counts, problems, notes)


def mask_problems(files: Sequence[Path]) -> Iterator[FSSBenchError]:
    """Yield an error for each mask that is missing or can't be decoded."""
    for path in tracked(files, "reading the masks", "masks"):
        try:
            read_colours(path)
        except FSSBenchError as error:
            yield error
