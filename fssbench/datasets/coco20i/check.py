"""Checking COCO-20i against the release: counts, lists, missing and unreadable files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fssbench.datasets.checks import NOT_AT_HAND, Count, Report, photo_problems, report_of, unreadable_labels
from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.coco20i.dataset import Coco20i
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError


def check(dataset: Coco20i, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    notes = [f"label rule: {dataset.labels}", f"order of the val lists: {_order(dataset)}"]
    if not _imported(dataset, "val"):
        notes.append("for the episodes of HSNet's release: fssbench data import-splits coco20i --from DIR")
    for split in coco_facts.LIST_SPLITS:
        try:
            names = dataset.image_names(split)
            unreadable = list(unreadable_labels(dataset, names)) if dataset.labels == "png" else []
        except (MissingError, BrokenFileError) as error:
            problems.append(error)
            counts.append(Count(f"{split} images", NOT_AT_HAND, coco_facts.facts().images[split], same=False))
            continue
        problems += unreadable
        problems += [
            MissingError(f"there is no image {name}, which the lists name")
            for name in _listed_elsewhere(dataset, split, names)
        ]
        photos = sum(dataset.photo_path(name).is_file() for name in names)
        # With annotations of COCO 2017, only the images of the lists are used, and masks may exist for these only.
        official = coco_facts.facts().images[split] if _by_2014(dataset, split) else None
        counts += [
            Count(f"{split} {what}", number, official, number == (official or len(names)))
            for what, number in (("images", len(names)), ("photos", photos))
        ]
        if not unreadable:
            counts += _coco_lists(dataset, split)
        problems += photo_problems(dataset, names, decode=decode)
        notes += stored_note(map(dataset.photo_path, names))
    return report_of(dataset, counts, problems, notes)


def _order(dataset: Coco20i) -> str:
    try:
        return dataset.list_order
    except FSSBenchError:
        return "unknown"


def _by_2014(dataset: Coco20i, split: coco_facts.ListSplit) -> bool:
    return dataset.labels != "png" and dataset.annotated.files(split)[0].stem.endswith("2014")


def _coco_lists(dataset: Coco20i, split: coco_facts.ListSplit) -> Iterator[Count]:
    facts = coco_facts.facts()
    here = Coco20i(dataset.root, dataset.labels, "here")
    for fold in range(here.fold_count):
        entries = here.entries(fold, split)
        lines = [f"{n} {c - 1}" for n, c in zip(entries["name"], entries["class_id"].tolist(), strict=True)]
        ordered = coco_facts.hash_of(lines) == facts.sha256[split][fold]
        same = coco_facts.hash_of(sorted(lines)) == facts.sha256_sorted[split][fold]
        note = "HSNet's list" if ordered else "HSNet's entries, another order" if same else "not HSNet's list"
        # Without imported lists, another label rule rightly gives other lists.
        right = same or (dataset.labels == "pycocotools" and not _imported(dataset, split))
        yield Count(f"{split} entries, fold {fold}", len(lines), facts.entries[split][fold], right, note)


def _listed_elsewhere(dataset: Coco20i, split: coco_facts.ListSplit, names: Sequence[str]) -> list[str]:
    """Return the images in the imported lists that have no annotations."""
    if not _imported(dataset, split):
        return []
    listed = {name for fold in range(dataset.fold_count) for name in dataset.entries(fold, split)["name"]}
    return sorted(listed - set(names))


def _imported(dataset: Coco20i, split: coco_facts.ListSplit) -> bool:
    return imported.is_there(dataset.name, split)
