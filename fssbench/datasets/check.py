"""Is the data on this machine what the release has? Counts, lists, and files that are missing or unreadable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fssbench.config import require_root
from fssbench.datasets import coco_facts, fss_facts, imported, open_dataset, pascal5i
from fssbench.datasets.coco20i import Coco20i
from fssbench.datasets.dataset import Dataset, Split
from fssbench.datasets.folder import Folder
from fssbench.datasets.folder_check import check_folder
from fssbench.datasets.fss1000 import FSS1000
from fssbench.datasets.odd_masks import odd_masks
from fssbench.datasets.pascal5i import Pascal5i
from fssbench.datasets.photos import read_colours, size_of
from fssbench.datasets.progress import tracked
from fssbench.datasets.report import NOT_AT_HAND, Count, Report
from fssbench.datasets.target import TargetDataset
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError


def check_at(name: str, root: Path | None = None, *, decode: bool = True, **options: str) -> Report:
    """Hold a data set against its release by its name; one's own `folder` is looked at also where it can't be opened.

    Args:
        name: A data set.
        root: Its folder; default as `fssbench data where` shows.
        decode: As for `check`.
        **options: The data set's own.

    Raises:
        UsageError: If the name or an option is unknown.
        MissingError: If there is no folder.
    """
    if name != Folder.name:
        return check(open_dataset(name, root, **options), decode=decode)
    Folder.refuse_options(options)
    return check_folder(require_root(name, root), decode=decode)


def check(dataset: Dataset, *, decode: bool = True) -> Report:
    """Hold a data set against its release.

    Args:
        dataset: The opened data set.
        decode: Whether to decode every photo (minutes for COCO); else photos are only opened.
    """
    if isinstance(dataset, Pascal5i):
        return _pascal(dataset, decode=decode)
    if isinstance(dataset, Coco20i):
        return _coco(dataset, decode=decode)
    if isinstance(dataset, FSS1000):
        return _fss(dataset, decode=decode)
    if isinstance(dataset, Folder):
        return check_folder(dataset.root, decode=decode)
    if isinstance(dataset, TargetDataset):
        return _target(dataset, decode=decode)
    folds = range(dataset.fold_count)
    sides: tuple[Split, ...] = ("val", "train")
    counts = [
        Count(f"{side} entries, fold {fold}", len(dataset.entries(fold, side))) for side in sides for fold in folds
    ]
    return Report(dataset.name, dataset.root, tuple(counts))


def _report(
    dataset: Dataset, counts: Iterable[Count], problems: Sequence[FSSBenchError], notes: Iterable[str] = ()
) -> Report:
    return Report(
        dataset.name,
        dataset.root,
        counts=tuple(counts),
        broken=tuple(error.message for error in problems if not isinstance(error, MissingError)),
        missing=tuple(error.message for error in problems if isinstance(error, MissingError)),
        notes=tuple(notes),
    )


def _equal(what: str, here: int, official: int) -> Count:
    return Count(what, here, official, here == official)


def _pascal(dataset: Pascal5i, *, decode: bool) -> Report:
    official = pascal5i.facts().official
    masks = dataset.mask_names
    counts = [_equal("masks", len(masks), official.masks)]
    # Of the 12,031 official names, fssbench knows those that its exceptions name.
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
    unreadable = list(_unreadable_labels(dataset, masks))
    photos = [name for name in masks if dataset.photo_path(name).is_file()]
    counts.append(_equal("photos", len(photos), official.masks))
    problems += unreadable
    countable = len(counts) == 3 and not unreadable
    for side in pascal5i.SIDES:
        for fold in range(dataset.fold_count):
            what, expected = f"{side} entries, fold {fold}", official.entries[side][fold]
            if not countable:
                counts.append(Count(what, NOT_AT_HAND, expected, same=False))
                continue
            same = dataset.list_sha256(fold, side) == official.sha256[side][fold]
            note = "HSNet's list" if same else "not HSNet's list"
            counts.append(Count(what, len(dataset.fold_list(fold, side)), expected, same, note))
    problems += _photo_problems(dataset, masks, decode=decode)
    return _report(dataset, counts, problems, stored_note(map(dataset.photo_path, masks)))


def _coco(dataset: Coco20i, *, decode: bool) -> Report:
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    notes = [f"label rule: {dataset.labels}", f"order of the val lists: {_order(dataset)}"]
    if not _imported(dataset, "val"):
        notes.append("for the episodes of HSNet's release: fssbench data import-splits coco20i --from DIR")
    for side in coco_facts.SIDES:
        try:
            names = dataset.image_names(side)
            unreadable = list(_unreadable_labels(dataset, names)) if dataset.labels == "png" else []
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
        problems += _photo_problems(dataset, names, decode=decode)
        notes += stored_note(map(dataset.photo_path, names))
    return _report(dataset, counts, problems, notes)


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


def _fss(dataset: FSS1000, *, decode: bool) -> Report:
    counts: list[Count] = []
    problems: list[FSSBenchError] = []
    masks: list[tuple[Path, Path]] = []
    for side, facts in fss_facts.facts().items():
        images = facts.classes * fss_facts.IMAGES_PER_CLASS
        try:
            classes = [dataset.class_names[class_id] for class_id in dataset.fold_classes(0, side)]
        except FSSBenchError as error:
            problems.append(error)
            counts.append(Count(f"{side} classes", NOT_AT_HAND, facts.classes, same=False))
            continue
        here = [name for name in classes if (dataset.root / name).is_dir()]
        names = dataset.entries(0, side)["name"].tolist()
        counts += [
            _equal(f"{side} classes", len(here), facts.classes),
            _equal(f"{side} images", len(names), images),
        ]
        problems += [MissingError(f"there is no folder {dataset.root / name}") for name in classes if name not in here]
        problems += [
            MissingError(f"there is no mask of {photo}")
            for name in here
            for photo in sorted((dataset.root / name).glob("*.jpg"))
            if not photo.with_suffix(".png").is_file()
        ]
        problems += _unreadable_labels(dataset, names)
        problems += _photo_problems(dataset, names, decode=decode, same_size=False)
        photos = [dataset.photo_path(name) for name in names]
        masks += [(photo.with_suffix(".png"), photo) for photo in photos]
    # The release has some of them, and asks them: they are worth knowing, and no fault of these files.
    return _report(dataset, counts, problems, [*odd_masks(masks), *stored_note(photo for _, photo in masks)])


def _target(dataset: TargetDataset, *, decode: bool) -> Report:
    official = dataset.official
    notes = [f"order: {dataset.list_order}"]
    problems: list[FSSBenchError] = []
    try:
        problems += _mask_problems(dataset.mask_files())
        here = {} if problems else dataset.parts
    except FSSBenchError as error:
        problems.append(error)
    if problems:
        counts = [
            Count(f"images, {part}", NOT_AT_HAND, official.get(part), same=False) for part in official or ("all",)
        ]
        return _report(dataset, counts, problems, notes)
    known = {**dict.fromkeys(official, 0), **here}
    counts = [
        _equal(f"images, {part}", number, official[part]) if part in official else Count(f"images, {part}", number)
        for part, number in known.items()
    ]
    classes = dataset.index("test")["class_id"]
    counts += [Count(f"images with {name}", int((classes == c).sum())) for c, name in dataset.class_names.items()]
    problems += _photo_problems(dataset, dataset.image_names, decode=decode, same_size=dataset.whole_photos)
    notes += stored_note(sorted(set(map(dataset.photo_path, dataset.image_names))))
    return _report(dataset, counts, problems, notes)


def _mask_problems(files: Sequence[Path]) -> Iterator[FSSBenchError]:
    """Yield an error for each mask that is missing or can't be decoded."""
    for path in tracked(files, "reading the masks", "masks"):
        try:
            read_colours(path)
        except FSSBenchError as error:
            yield error


def _unreadable_labels(dataset: Dataset, names: Sequence[str]) -> Iterator[FSSBenchError]:
    for name in tracked(names, "reading the masks", "masks"):
        try:
            dataset.label(name)
        except FSSBenchError as error:
            yield error


def _photo_problems(
    dataset: Pascal5i | Coco20i | FSS1000 | TargetDataset, names: Sequence[str], *, decode: bool, same_size: bool = True
) -> Iterator[FSSBenchError]:
    """Yield an error for each photo that is missing, unreadable, or not of the size of its labels."""
    for name in tracked(names, "reading the photos", "photos"):
        path = dataset.photo_path(name)
        try:
            size = dataset.image(name).shape[:2] if decode else size_of(path)
            expected = dataset.image_size(name) if same_size else size
        except FSSBenchError as error:
            yield error
            continue
        if tuple(size) != expected:
            here, labels = f"{size[1]} x {size[0]}", f"{expected[1]} x {expected[0]}"
            yield BrokenFileError(f"{path} has {here} pixels, its labels {labels}")
