"""Checking FSS-1000 against the release: counts, lists, missing and unreadable files."""

from __future__ import annotations

from pathlib import Path

from fssbench.datasets.checks import (
    NOT_AT_HAND,
    Count,
    Report,
    equal_count,
    photo_problems,
    report_of,
    unreadable_labels,
)
from fssbench.datasets.fss1000 import facts as fss_facts
from fssbench.datasets.fss1000.dataset import FSS1000
from fssbench.datasets.odd_masks import odd_masks
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import FSSBenchError, MissingError


def check(dataset: FSS1000, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    masks: list[tuple[Path, Path]] = []
    for split, facts in fss_facts.facts().items():
        images = facts.classes * fss_facts.IMAGES_PER_CLASS
        try:
            classes = [dataset.class_names[class_id] for class_id in dataset.fold_classes(0, split)]
        except FSSBenchError as error:
            problems.append(error)
            counts.append(Count(f"{split} classes", NOT_AT_HAND, facts.classes, same=False))
            continue
        here = [name for name in classes if (dataset.root / name).is_dir()]
        names = dataset.entries(0, split)["name"].tolist()
        counts += [
            equal_count(f"{split} classes", len(here), facts.classes),
            equal_count(f"{split} images", len(names), images),
        ]
        problems += [MissingError(f"there is no folder {dataset.root / name}") for name in classes if name not in here]
        problems += [
            MissingError(f"there is no mask of {photo}")
            for name in here
            for photo in sorted((dataset.root / name).glob("*.jpg"))
            if not photo.with_suffix(".png").is_file()
        ]
        problems += unreadable_labels(dataset, names)
        problems += photo_problems(dataset, names, decode=decode, same_size=False)
        photos = [dataset.photo_path(name) for name in names]
        masks += [(photo.with_suffix(".png"), photo) for photo in photos]
    # The release has some odd masks and evaluates them, so they are notes, not errors of these files.
    return report_of(dataset, counts, problems, [*odd_masks(masks), *stored_note(photo for _, photo in masks)])
