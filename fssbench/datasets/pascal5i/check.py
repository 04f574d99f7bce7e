"""Checking PASCAL-5i against the release: counts, lists, missing and unreadable files."""

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
from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.pascal5i import dataset as pascal5i
from fssbench.datasets.pascal5i.dataset import Pascal5i
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import FSSBenchError, MissingError


def check(dataset: Pascal5i, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    official = pascal5i.facts().official
    masks = dataset.mask_names
    counts = [equal_count("masks", len(masks), official.masks)]
    # fssbench has no list of the 12,031 official names, but knows those in its exceptions.
    known = {name for verbs in pascal5i.facts().exceptions.values() for pairs in verbs.values() for name, _ in pairs}
    problems: list[FSSBenchError] = []
    try:
        val = dataset.val_names
    except FSSBenchError as error:
        problems.append(error)
    else:
        same = coco_facts.hash_of(sorted(val)) == official.val_names_sha256
        counts.append(Count("names in val.txt", len(val), official.val_names, same))
        known |= val
    problems += [MissingError(f"there is no mask of {name}") for name in sorted(known - set(masks))]
    unreadable = list(unreadable_labels(dataset, masks))
    photos = [name for name in masks if dataset.photo_path(name).is_file()]
    counts.append(equal_count("photos", len(photos), official.masks))
    problems += unreadable
    countable = len(counts) == 3 and not unreadable
    for split in pascal5i.LIST_SPLITS:
        for fold in range(dataset.fold_count):
            what, expected = f"{split} entries, fold {fold}", official.entries[split][fold]
            if not countable:
                counts.append(Count(what, NOT_AT_HAND, expected, same=False))
                continue
            same = dataset.list_sha256(fold, split) == official.sha256[split][fold]
            note = "HSNet's list" if same else "not HSNet's list"
            counts.append(Count(what, len(dataset.fold_list(fold, split)), expected, same, note))
    problems += photo_problems(dataset, masks, decode=decode)
    return report_of(dataset, counts, problems, stored_note(map(dataset.photo_path, masks)))
