"""Reading the split files of releases: HSNet's lists of COCO-20i and classes of FSS-1000, GF-SAM's lists of iSAID-5i.

The order of COCO-20i's lists follows no known rule, and samplers index into it, so the release's episodes can only be
drawn from the release's own files; the same holds for iSAID-5i. FSS-1000's train and val classes were drawn at random.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from fssbench.datasets.catalogue import require_dataset
from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.coco20i import image_order as coco_image_list
from fssbench.datasets.dataset import Split
from fssbench.datasets.fss1000 import facts as fss_facts
from fssbench.datasets.io.pickled_lists import MAX_BYTES, Value, parse_pickle
from fssbench.datasets.isaid5i import lists as isaid
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.splits.release_files import Layout, SplitFile, SplitFiles, find_split_files
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import without_mark
from fssbench.unique_keys import refuse_repeated

ClassLists = dict[int, list[int]]
"""Label value 1..80 -> image ids in list order."""


@dataclass(frozen=True)
class ImportedSplit:
    """The imported lists of one split.

    Attributes:
        split: The split.
        path: The file in which the lists are stored.
        summary: A summary of the lists.
        differences: Sentences on the differences to the release; empty if there are none.
        release: Name of the release.
    """

    split: Split
    path: Path
    summary: str
    differences: tuple[str, ...]
    release: str = "HSNet"


def import_splits(dataset: str, source: Path) -> list[ImportedSplit]:
    """Read a release's split files and store them in the user's data folder.

    Args:
        dataset: "coco20i", "fss1000" or "isaid5i".
        source: The release's data/splits/coco or data/splits/fss, a folder above it, a checkout of the repository, or a
            zip or tar archive of it; the repository may be that of a later method with a copy. For coco20i also
            lists/coco of PFENet's release, or of another release with the same lists; for isaid5i GF-SAM's
            matcher/data/splits/isaid.

    Raises:
        UsageError: If the data set needs no imported splits, or there are different copies.
        MissingError: If the source does not exist or does not have them.
        BrokenFileError: If a file is invalid; nothing is stored in that case.
    """
    dataset = require_dataset(dataset)
    if dataset not in _READERS:
        *others, last = _READERS
        raise UsageError(f"{dataset} needs no imported splits; {', '.join(others)} and {last} do")
    layout, read = _READERS[dataset]
    return read(find_split_files(source, layout), source)


def _import_coco(files: SplitFiles, source: Path) -> list[ImportedSplit]:
    found = {split: lists for split in coco_facts.LIST_SPLITS if (lists := _coco_split(files, split)) is not None}
    order = files.get(coco_image_list.FILE)
    if not found and order is None:
        raise MissingError(
            f"{source} has no COCO-20i lists: neither val/fold0.pkl nor trn/fold0.pkl is there, nor "
            f"{coco_image_list.FILE}",
            "fssbench data import-splits coco20i --from DIR with data/splits/coco of HSNet's release, "
            "or lists/coco of PFENet's",
        )
    results = [_import_order(order)] if order is not None else []
    for split, lists in found.items():
        path = imported.store("coco20i", split, {str(class_id): ids for class_id, ids in sorted(lists.items())})
        images = len({image for ids in lists.values() for image in ids})
        summary = f"{sum(map(len, lists.values()))} entries of {images} images in 80 classes"
        results.append(ImportedSplit(split, path, summary, tuple(_coco_differences(split, lists))))
    return results


def _import_order(file: SplitFile) -> ImportedSplit:
    ids = coco_image_list.parse_image_list(file.raw, file.path)
    expected = coco_facts.facts().image_list
    different = f"the list has {len(ids)} images, PFENet's has {expected}, in its order"
    differences = () if coco_image_list.is_official(ids) else (different,)
    kept = coco_image_list.store_image_list(ids)
    return ImportedSplit("val", kept, f"the order of {len(ids)} images", differences, release="PFENet")


def _coco_differences(split: coco_facts.ListSplit, lists: ClassLists) -> list[str]:
    facts, differences = coco_facts.facts(), []
    for fold in range(coco_facts.FOLDS):
        lines = coco_facts.list_lines(split, fold, lists)
        expected = facts.entries[split][fold]
        if len(lines) != expected:
            differences.append(f"the {split} list of fold {fold} has {len(lines)} entries, HSNet's has {expected}")
        elif coco_facts.hash_of(lines) != facts.sha256[split][fold]:
            same = coco_facts.hash_of(sorted(lines)) == facts.sha256_sorted[split][fold]
            what = "the entries of HSNet's in another order" if same else "other entries than HSNet's"
            differences.append(f"the {split} list of fold {fold} has {what}")
    return differences


def _coco_split(files: SplitFiles, split: coco_facts.ListSplit) -> ClassLists | None:
    """Return the lists of a split from VAL/fold0.pkl to fold3.pkl or VAL.json[.gz]; None if neither exists."""
    name = {"val": "val", "train": "trn"}[split]
    if any(path.startswith(f"{name}/") for path in files):
        return _from_pickles(files, name, split)
    for path in (f"{name}.json", f"{name}.json.gz"):
        if path in files:
            return _from_json(files[path])
    return None


def _from_pickles(files: SplitFiles, name: str, split: coco_facts.ListSplit) -> ClassLists:
    lists: ClassLists = {}
    for fold in range(coco_facts.FOLDS):
        file = files.get(f"{name}/fold{fold}.pkl")
        if file is None:
            others = next(one.path for path, one in files.items() if path.startswith(f"{name}/"))
            raise MissingError(f"there is no file {others.with_name(f'fold{fold}.pkl')}")
        for class_id, ids in _fold_lists(parse_pickle(file.raw, file.path), file.path, split, fold).items():
            if lists.setdefault(class_id, ids) != ids:
                raise BrokenFileError(
                    f"{file.path} has another list of class {class_id - 1} than the file of another fold"
                )
    return lists


def _fold_lists(value: Value, path: Path, split: coco_facts.ListSplit, fold: int) -> ClassLists:
    """Return the lists of the classes that belong to the fold; the others must be empty."""
    if not isinstance(value, dict):
        raise BrokenFileError(f"{path} is not a dict of lists")
    own = coco_facts.fold_classes(fold, split)
    lists: ClassLists = {class_id: [] for class_id in own}
    for key, names in value.items():
        if type(key) is not int or not 0 <= key < len(coco_facts.facts().classes) or not isinstance(names, list):
            raise BrokenFileError(f"{path} has something else than lists under the classes 0 to 79")
        if key + 1 in own:
            lists[key + 1] = [_image_id(name, path, split) for name in names]
        elif names:
            raise BrokenFileError(f"{path} lists class {key}, which is not a {split} class of fold {fold}")
    return lists


def _image_id(name: Value, path: Path, split: coco_facts.ListSplit) -> int:
    match = re.fullmatch(rf"{split}2014/COCO_{split}2014_([0-9]{{12}})\.jpg", name) if isinstance(name, str) else None
    if match is None:
        shown = repr(name)[:60] if isinstance(name, str) else "something that is not a name"
        raise BrokenFileError(f"{path} lists {shown}, which is not an image of {split}2014")
    return int(match[1])


def _from_json(file: SplitFile) -> ClassLists:
    """Read {"0": [image ids], ..., "79": [...]}, classes counted from 0 as in the release."""
    from pydantic import TypeAdapter, ValidationError

    raw, path = file.raw, file.path
    if path.suffix == ".gz":
        try:
            with gzip.GzipFile(fileobj=BytesIO(raw)) as content:
                raw = content.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise BrokenFileError(f"can't read {path}: {error}") from error
    if len(raw) > MAX_BYTES:
        raise BrokenFileError(f"{path} is too large for a split file")
    try:
        lists = TypeAdapter(dict[int, imported.Ids]).validate_json(without_mark(raw), strict=True)
    except ValidationError as error:
        message = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise BrokenFileError(f"{path} is not JSON with lists of image ids: {message}") from error
    refuse_repeated(without_mark(raw), path)
    if set(lists) != set(range(80)):
        raise BrokenFileError(f"{path} does not have the classes 0 to 79")
    return {key + 1: ids for key, ids in lists.items()}


def _import_fss(files: SplitFiles, source: Path) -> list[ImportedSplit]:
    facts = fss_facts.facts()
    found = {split: _class_names(files[fact.file]) for split, fact in facts.items() if fact.file in files}
    if not found:
        files_of_release = ", ".join(fact.file for fact in facts.values())
        raise MissingError(
            f"{source} has no FSS-1000 splits: none of {files_of_release} exists",
            "fssbench data import-splits fss1000 --from DIR with data/splits/fss of HSNet's release",
        )
    results = []
    for split, names in found.items():
        path = imported.store("fss1000", split, {"classes": names})
        differences = []
        if fss_facts.hash_of(names) != facts[split].sha256:
            differences.append(
                f"the {split} classes ({len(names)}) are not those of HSNet's release ({facts[split].classes}); "
                "class ids are positions in the sorted list, so they differ too"
            )
        results.append(ImportedSplit(split, path, f"{len(names)} classes", tuple(differences)))
    return results


def _class_names(file: SplitFile) -> list[str]:
    """Return the class names of a list; names that lead out of a folder are refused."""
    path = file.path
    try:
        lines = file.raw[: 1 << 20].decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BrokenFileError(f"can't read {path}: {error}") from error
    names = [line.strip() for line in lines if line.strip()]
    for number, name in enumerate(names, 1):
        if not re.fullmatch(r"[\w'()&-][\w'()&. -]*", name):
            raise BrokenFileError(f"{path}: entry {number} is not a class name: {name[:60]!r}")
    if not names or len(set(names)) != len(names):
        raise BrokenFileError(f"{path} has {'a class twice' if names else 'no class'}")
    return names


def _import_isaid(files: SplitFiles, source: Path) -> list[ImportedSplit]:
    found = [files.get(f"val/fold{fold}.txt") for fold in range(isaid.FOLDS)]
    if not all(found):
        raise MissingError(
            f"{source} has no iSAID-5i lists: val/fold0.txt to fold2.txt are not all there",
            "fssbench data import-splits isaid5i --from DIR with matcher/data/splits/isaid of GF-SAM's release",
        )
    lists = {str(fold): isaid.parse_list(file.raw, fold, file.path) for fold, file in enumerate(found) if file}
    differences = [
        f"the list of fold {fold} is not GF-SAM's, or in another order"
        for fold, lines in lists.items()
        if isaid.hash_of(lines) != isaid.facts().sha256[int(fold)]
    ]
    path = imported.store("isaid5i", "val", lists)
    summary = f"{sum(map(len, lists.values()))} entries in {isaid.FOLDS} folds"
    return [ImportedSplit("val", path, summary, tuple(differences), release="GF-SAM")]


_READERS: dict[str, tuple[Layout, Callable[[SplitFiles, Path], list[ImportedSplit]]]] = {
    "coco20i": (
        Layout(
            folder="coco",
            files=(
                *(f"{split}/fold{fold}.pkl" for split in ("val", "trn") for fold in range(coco_facts.FOLDS)),
                *("val.json", "val.json.gz", "trn.json", "trn.json.gz", coco_image_list.FILE),
            ),
            released=rf"(?:val|trn)/fold[0-3]\.pkl|{re.escape(coco_image_list.FILE)}",
            known_by="(?i:coco).*",
        ),
        _import_coco,
    ),
    "fss1000": (
        Layout(
            folder="fss",
            files=tuple(fact.file for fact in fss_facts.facts().values()),
            released=r"(?:(?<=fss/)|(?<=FSS-1000/splits/))(?:trn|val|test)\.txt",
            known_by="(?i:fss).*",
        ),
        _import_fss,
    ),
    "isaid5i": (
        Layout(
            folder="isaid",
            files=tuple(f"val/fold{fold}.txt" for fold in range(isaid.FOLDS)),
            released=r"(?:(?<=isaid/)|(?<=iSAID/splits/))val/fold[0-2]\.txt",
            known_by="(?i:isaid).*",
        ),
        _import_isaid,
    ),
}
"""For each data set: where its split files are, and the function that reads them."""
