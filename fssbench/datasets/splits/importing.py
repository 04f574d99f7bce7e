"""Reading the split files of HSNet's release: COCO-20i's lists and FSS-1000's classes.

The order of COCO-20i's lists follows no known rule, and samplers index into it, so nothing but the release's own
files gives the release's episodes. FSS-1000's train and val classes were drawn at random.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.coco20i import image_order as coco_image_list
from fssbench.datasets.dataset import Split
from fssbench.datasets.fss1000 import facts as fss_facts
from fssbench.datasets.io.pickled_lists import MAX_BYTES, Value, read_pickle
from fssbench.datasets.splits import stored as imported
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import without_mark

ClassLists = dict[int, list[int]]
"""Label value 1..80 -> image ids in list order."""


@dataclass(frozen=True)
class Imported:
    """What was imported for one side.

    Attributes:
        side: The side.
        path: Where it is kept.
        summary: What it holds, in words.
        differences: How it differs from the release, in sentences; none if it is the release.
        release: Whose release that is.
    """

    side: Split
    path: Path
    summary: str
    differences: tuple[str, ...]
    release: str = "HSNet"


def import_splits(dataset: str, folder: Path) -> list[Imported]:
    """Read the release's split files and keep them in the user's data folder.

    Args:
        dataset: "coco20i" or "fss1000".
        folder: The release's data/splits/coco or data/splits/fss, or a folder above it. For coco20i also lists/coco of
            PFENet's release, or of one that has its lists.

    Raises:
        UsageError: If the data set needs no imported splits.
        MissingError: If the folder does not hold them.
        BrokenFileError: If a file is not what it should be. Nothing is stored then.
    """
    if dataset not in _READERS:
        raise UsageError(f"{dataset} needs no imported splits; {' and '.join(_READERS)} do")
    below, read = _READERS[dataset]
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}", f"fssbench data import-splits {dataset} --from DIR")
    above = ("data/splits", "splits", "data/lists", "lists", ".")
    candidates = (*(folder / name / below for name in above), folder)
    return read(next(path for path in candidates if path.is_dir()))


def _import_coco(folder: Path) -> list[Imported]:
    found = {side: lists for side in coco_facts.SIDES if (lists := _coco_side(folder, side)) is not None}
    order = folder / coco_image_list.FILE
    if not found and not order.is_file():
        raise MissingError(
            f"{folder} holds no COCO-20i lists: neither val/fold0.pkl nor trn/fold0.pkl is there, nor {order.name}",
            "fssbench data import-splits coco20i --from DIR with data/splits/coco of HSNet's release, "
            "or lists/coco of PFENet's",
        )
    results = [_import_order(order)] if order.is_file() else []
    for side, lists in found.items():
        path = imported.store("coco20i", side, {str(class_id): ids for class_id, ids in sorted(lists.items())})
        images = len({image for ids in lists.values() for image in ids})
        summary = f"{sum(map(len, lists.values()))} entries of {images} images in 80 classes"
        results.append(Imported(side, path, summary, tuple(_coco_differences(side, lists))))
    return results


def _import_order(path: Path) -> Imported:
    ids = coco_image_list.read_image_list(path)
    expected = coco_facts.facts().image_list
    different = f"the list has {len(ids)} images, PFENet's has {expected}, in its order"
    differences = () if coco_image_list.is_official(ids) else (different,)
    kept = coco_image_list.store_image_list(ids)
    return Imported("val", kept, f"the order of {len(ids)} images", differences, release="PFENet")


def _coco_differences(side: coco_facts.Side, lists: ClassLists) -> list[str]:
    facts, differences = coco_facts.facts(), []
    for fold in range(coco_facts.FOLDS):
        lines = coco_facts.list_lines(side, fold, lists)
        expected = facts.entries[side][fold]
        if len(lines) != expected:
            differences.append(f"the {side} list of fold {fold} has {len(lines)} entries, HSNet's has {expected}")
        elif coco_facts.hash_of(lines) != facts.sha256[side][fold]:
            same = coco_facts.hash_of(sorted(lines)) == facts.sha256_sorted[side][fold]
            what = "the entries of HSNet's in another order" if same else "other entries than HSNet's"
            differences.append(f"the {side} list of fold {fold} has {what}")
    return differences


def _coco_side(folder: Path, side: coco_facts.Side) -> ClassLists | None:
    """Return a side from VAL/fold0.pkl to fold3.pkl or VAL.json[.gz]; None if neither is there."""
    name = {"val": "val", "train": "trn"}[side]
    if (folder / name).is_dir():
        return _from_pickles(folder / name, side)
    for path in (folder / f"{name}.json", folder / f"{name}.json.gz"):
        if path.is_file():
            return _from_json(path)
    return None


def _from_pickles(folder: Path, side: coco_facts.Side) -> ClassLists:
    lists: ClassLists = {}
    for fold in range(coco_facts.FOLDS):
        path = folder / f"fold{fold}.pkl"
        for class_id, ids in _fold_lists(read_pickle(path), path, side, fold).items():
            if lists.setdefault(class_id, ids) != ids:
                raise BrokenFileError(f"{path} lists class {class_id - 1} otherwise than another fold's file does")
    return lists


def _fold_lists(value: Value, path: Path, side: coco_facts.Side, fold: int) -> ClassLists:
    """Return the lists of the classes that belong to the fold; the others must be empty."""
    if not isinstance(value, dict):
        raise BrokenFileError(f"{path} holds no dict of lists")
    own = coco_facts.fold_classes(fold, side)
    lists: ClassLists = {class_id: [] for class_id in own}
    for key, names in value.items():
        if type(key) is not int or not 0 <= key < len(coco_facts.facts().classes) or not isinstance(names, list):
            raise BrokenFileError(f"{path} holds something else than lists under the classes 0 to 79")
        if key + 1 in own:
            lists[key + 1] = [_image_id(name, path, side) for name in names]
        elif names:
            raise BrokenFileError(f"{path} lists class {key}, which is no {side} class of fold {fold}")
    return lists


def _image_id(name: Value, path: Path, side: coco_facts.Side) -> int:
    match = re.fullmatch(rf"{side}2014/COCO_{side}2014_([0-9]{{12}})\.jpg", name) if isinstance(name, str) else None
    if match is None:
        shown = repr(name)[:60] if isinstance(name, str) else "something that is no name"
        raise BrokenFileError(f"{path} lists {shown}, which is no image of {side}2014")
    return int(match[1])


def _from_json(path: Path) -> ClassLists:
    """Read {"0": [image ids], ..., "79": [...]}, classes counted from 0 as in the release."""
    from pydantic import TypeAdapter, ValidationError

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BrokenFileError(f"can't read {path}: {error}") from error
    if len(raw) > MAX_BYTES:
        raise BrokenFileError(f"{path} is too large for a split file")
    try:
        lists = TypeAdapter(dict[int, imported.Ids]).validate_json(without_mark(raw), strict=True)
    except ValidationError as error:
        message = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise BrokenFileError(f"{path} is no JSON of lists of image ids: {message}") from error
    if set(lists) != set(range(80)):
        raise BrokenFileError(f"{path} does not hold the classes 0 to 79")
    return {key + 1: ids for key, ids in lists.items()}


def _import_fss(folder: Path) -> list[Imported]:
    facts = fss_facts.facts()
    found = {side: _class_names(folder / fact.file) for side, fact in facts.items() if (folder / fact.file).is_file()}
    if not found:
        files = ", ".join(fact.file for fact in facts.values())
        raise MissingError(
            f"{folder} holds no FSS-1000 splits: none of {files} is there",
            "fssbench data import-splits fss1000 --from DIR with data/splits/fss of HSNet's release",
        )
    results = []
    for side, names in found.items():
        path = imported.store("fss1000", side, {"classes": names})
        differences = []
        if fss_facts.hash_of(names) != facts[side].sha256:
            differences.append(
                f"the {side} classes ({len(names)}) are not those of HSNet's release ({facts[side].classes}); "
                "class ids are places in the sorted list, so they differ too"
            )
        results.append(Imported(side, path, f"{len(names)} classes", tuple(differences)))
    return results


def _class_names(path: Path) -> list[str]:
    """Return the lines of a list of class names; names that lead out of a folder are refused."""
    try:
        with path.open("rb") as file:
            lines = file.read(1 << 20).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFileError(f"can't read {path}: {error}") from error
    names = [line.strip() for line in lines if line.strip()]
    for number, name in enumerate(names, 1):
        if not re.fullmatch(r"[\w'()&-][\w'()&. -]*", name):
            raise BrokenFileError(f"{path}: entry {number} is no class name: {name[:60]!r}")
    if not names or len(set(names)) != len(names):
        raise BrokenFileError(f"{path} holds {'a class twice' if names else 'no class'}")
    return names


_READERS: dict[str, tuple[str, Callable[[Path], list[Imported]]]] = {
    "coco20i": ("coco", _import_coco),
    "fss1000": ("fss", _import_fss),
}
"""For each data set: the folder below data/splits, and what reads it."""
