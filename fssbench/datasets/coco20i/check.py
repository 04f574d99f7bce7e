"""What is on this machine held against the release: counts, lists, missing and unreadable files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fssbench.datasets.checks import NOT_AT_HAND, Count, Report, photo_problems, report_of, unreadable_labels
from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.coco20i.dataset import Coco20i
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError


def check(dataset: Coco20i, *, decode: bool) -> Report:
    """Return what `fssbench data check` says of it; `decode` reads every photo whole."""
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    notes = [f"label rule: {dataset.labels}", f"order of the val lists: {_order(dataset)}"]
    if not _imported(dataset, "val"):
        notes.append("for the episodes of HSNet's release: fssbench data import-splits coco20i --from DIR")
    for side in coco_facts.SIDES:
        try:
            names = dataset.image_names(side)
            unreadable = list(unreadable_labels(dataset, names)) if dataset.labels == "png" else []
        except (MissingError, BrokenFileError) as error:
            problems.append(error)
            counts.append(Count(f"{side} images", NOT_AT_HAND, coco_facts.facts().images[side], same=False))
            continue
        problems += unreadable
        problems += [
            MissingError(f"there is no image {name}, which the lists name")
            for name in _listed_elsewhere(dataset, side, names)
        ]
        photos = sum(dataset.photo_path(name).is_file() for name in names)
        # Annotations of COCO 2017 are cut to the images of the lists, and masks may be of those only.
        official = coco_facts.facts().images[side] if _by_2014(dataset, side) else None
        counts += [
            Count(f"{side} {what}", number, official, number == (official or len(names)))
            for what, number in (("images", len(names)), ("photos", photos))
        ]
        if not unreadable:
            counts += _coco_lists(dataset, side)
        problems += photo_problems(dataset, names, decode=decode)
        notes += stored_note(map(dataset.photo_path, names))
    return report_of(dataset, counts, problems, notes)


def _order(dataset: Coco20i) -> str:
    try:
        return dataset.list_order
    except FSSBenchError:
        return "unknown"


def _by_2014(dataset: Coco20i, side: coco_facts.Side) -> bool:
    return dataset.labels != "png" and dataset.annotation_files(side)[0].stem.endswith("2014")


def _coco_lists(dataset: Coco20i, side: coco_facts.Side) -> Iterator[Count]:
    facts = coco_facts.facts()
    here = Coco20i(dataset.root, dataset.labels, "here")
    for fold in range(here.fold_count):
        entries = here.entries(fold, side)
        lines = [f"{n} {c - 1}" for n, c in zip(entries["name"], entries["class_id"].tolist(), strict=True)]
        ordered = coco_facts.hash_of(lines) == facts.sha256[side][fold]
        same = coco_facts.hash_of(sorted(lines)) == facts.sha256_sorted[side][fold]
        note = "HSNet's list" if ordered else "HSNet's entries, another order" if same else "not HSNet's list"
        # Another label rule admits other images, unless imported lists decide; that is what it was chosen for.
        right = same or (dataset.labels == "pycocotools" and not _imported(dataset, side))
        yield Count(f"{side} entries, fold {fold}", len(lines), facts.entries[side][fold], right, note)


def _listed_elsewhere(dataset: Coco20i, side: coco_facts.Side, names: Sequence[str]) -> list[str]:
    """Return the images that imported lists name and the annotations do not have."""
    if not _imported(dataset, side):
        return []
    listed = {name for fold in range(dataset.fold_count) for name in dataset.entries(fold, side)["name"]}
    return sorted(listed - set(names))


def _imported(dataset: Coco20i, side: coco_facts.Side) -> bool:
    return imported.is_there(dataset.name, side)
