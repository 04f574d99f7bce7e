"""COCO-20i as HSNet splits it: the 80 classes of COCO 2014, class k in fold k % 4.

Labels come from the instance annotations, or from the PNG masks that HSNet's authors distribute. An image is listed
under a class if its label map has at least 2048 pixels of it. Only HSNet's split files define the order of HSNet's
lists; if they were imported (`fssbench data import-splits coco20i`), they are used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, cast, get_args

import numpy as np

from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.coco20i.annotated import Annotated
from fssbench.datasets.coco20i.facts import ListSplit
from fssbench.datasets.coco20i.image_order import image_order
from fssbench.datasets.coco20i.labels import AnnotatedImage, is_large, paint
from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.datasets.io.images import read_label, read_photo, size_of, value_counts
from fssbench.datasets.io.index_cache import cached_index, fingerprint_of, frame_of, key_of
from fssbench.datasets.release_lists import ImageOrder
from fssbench.datasets.roots import require_root
from fssbench.datasets.splits import stored as imported
from fssbench.errors import MissingError, UsageError, did_you_mean
from fssbench.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

LabelRule = Literal["hsnet", "pycocotools", "png", "large"]
Extent = Literal["all", "here"]

CLASS_COUNT = 80
MIN_PIXELS = 2048
"""Number of pixels of a class (2 * 32 * 32) from which an image is listed under it."""


def index_of(labels: Iterator[tuple[str, Label]]) -> pd.DataFrame:
    """Return a row per (image, class) that has a pixel: `name`, `class_id`, `pixels`.

    Args:
        labels: Image names and label maps (H, W), values 0..80.
    """
    rows: list[tuple[str | int, ...]] = []
    for name, label in labels:
        pixels = value_counts(label)
        rows += [(name, int(c), int(pixels[c])) for c in np.flatnonzero(pixels[1:]) + 1]
    return frame_of(rows)


class Coco20i(Dataset):
    """COCO2014/{train,val}2014/*.jpg, COCO2014/annotations/instances_{train,val}2014.json; or COCO 2017's files.

    Args:
        root: The folder COCO2014.
        labels: The rule for label maps: "hsnet", "pycocotools" or "large" (see labels.py), or "png" for the masks
            annotations/{train,val}2014/COCO_*.png.
        lists: "all" uses all entries of imported lists, so that the episodes are the same everywhere. "here" uses only
            entries whose image and class exist; with a part of the data, these are no longer the release's lists.
    """

    name = "coco20i"
    exact_index = True
    root: Path

    def __init__(self, root: Path, labels: LabelRule = "hsnet", lists: Extent = "all") -> None:
        self.root = root
        self.labels = labels
        self.lists = lists
        self.annotations = root / "annotations"
        self.annotated = Annotated(self.annotations, self._imported_lists)
        self.absence_unknown = "its PNG masks don't show crowds" if labels == "png" else ""
        self._indices: dict[ListSplit, pd.DataFrame] = {}
        self._imported: dict[ListSplit, dict[int, list[int]] | None] = {}
        self._fingerprints: dict[ListSplit, str] = {}
        if not self.annotations.is_dir():
            raise MissingError(
                f"{root} has no folder annotations with COCO's instance annotations",
                "put instances_train2014.json and instances_val2014.json there, or give another --root",
            )

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open COCO2014 at `root` (or in it), or where the configuration says.

        Args:
            root: The folder.
            **options: `labels`: "hsnet" (default), "pycocotools", "large" or "png"; `lists`: "all" (default) or "here".
        """
        cls.refuse_options(options, ("labels", "lists"))
        labels, lists = options.get("labels", "hsnet"), options.get("lists", "all")
        if labels not in get_args(LabelRule):
            rules = get_args(LabelRule)
            meant = did_you_mean(str(labels), rules)
            raise UsageError(f"coco20i has no label rule '{labels}'; there are {', '.join(rules)}{meant}")
        if lists not in get_args(Extent):
            raise UsageError(f"the lists of coco20i can be {' or '.join(get_args(Extent))}, not '{lists}'")
        return cls(require_root(cls.name, root), cast("LabelRule", labels), cast("Extent", lists))

    @property
    def remedy(self) -> str:
        """What to do about a missing or broken file."""
        return (
            f"fssbench data fetch coco20i --episodes LIST gets its photos; {self.check_command} lists what is missing"
        )

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the names of the 60 base classes of a fold."""
        classes = coco_facts.facts().classes
        return tuple(classes[class_id - 1] for class_id in coco_facts.fold_classes(fold, "train"))

    @cached_property
    def class_names(self) -> Mapping[int, str]:
        """The names of COCO's 80 categories, in order of their ids."""
        return dict(enumerate(coco_facts.facts().classes, 1))

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of one split: label rule, pixels per image and class, lists in order."""
        split = self._list_split(split)
        if split not in self._fingerprints:
            rule = {"dataset": self.name, "side": split, "labels": self.labels, "order": self._order(split)}
            lists = self._lists(split)
            pairs = ((coco_facts.image_name(split, i), c) for c in range(1, CLASS_COUNT + 1) for i in lists[c])
            self._fingerprints[split] = fingerprint_of(rule, self._index(split), pairs)
        return self._fingerprints[split]

    @property
    def list_order(self) -> str:
        """The order of the lists: HSNet's, that of other imported lists, or by image id."""
        return self._order("val")

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return fold + 1, fold + 5, ... (20 classes) for "val", the 60 others for "train"."""
        return coco_facts.fold_classes(self.check_fold(fold), self._list_split(split))

    def index(self, split: Split) -> pd.DataFrame:
        """Return `name`, `class_id`, `pixels` of every class in every image of the split, by name and class."""
        return self._index(self._list_split(split)).copy()

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the lists of a fold, class by class: imported lists if there are any, otherwise sorted by image id."""
        return self.entries_of(self.fold_classes(fold, split), split)

    def entries_of(self, classes: Collection[int], split: Split) -> pd.DataFrame:
        """Return the lists of some classes, class by class."""
        split = self._list_split(split)
        lists = self._lists(split)
        rows = ((coco_facts.image_name(split, i), c) for c in sorted(classes) for i in lists[c])
        return frame_of(rows, ("name", "class_id"))

    def object_lists(self, split: Split) -> dict[int, list[str]] | None:
        """Return the images of each class that have a large annotation of it; None with labels of PNG masks.

        Quirk: in FSSDINO's release the order is that of a Python set of image ids, filled in the order of the file.
        """
        if self.labels == "png":
            return None
        side = self._list_split(split)
        images = self.annotated.images(side)
        large = sorted(
            (one.place, one.class_id, image.image_id)
            for image in images.values()
            for one in image.instances
            if is_large(one)
        )
        found: dict[int, set[int]] = {class_id: set() for class_id in range(1, CLASS_COUNT + 1)}
        for _, class_id, image_id in large:
            found[class_id].add(image_id)
        return {class_id: [coco_facts.image_name(side, i) for i in ids] for class_id, ids in found.items()}

    def image_order(self, split: Split) -> ImageOrder | None:
        """Return PFENet's order of the val images if it was imported (`fssbench data import-splits coco20i`)."""
        return image_order() if self._list_split(split) == "val" else None

    def image(self, name: str) -> Image:
        """Return the image with a name, or the image of COCO 2017 with the same id."""
        if self.arriving is not None:
            self.arriving.wait(name)
        return read_photo(self.photo_path(name), self.remedy)

    def photo_path(self, name: str) -> Path:
        """Return the path of the photo: under its name, or under its name in COCO 2017; the former if it is missing."""
        number = f"{coco_facts.split_and_id(name)[1]:012d}.jpg"
        places = (self.root / name, self.root / "train2017" / number, self.root / "val2017" / number)
        return next((path for path in places if path.is_file()), places[0])

    def label(self, name: str) -> Label:
        """Return the label map, painted or read by the label rule; crowds are background."""
        if self.labels == "png":
            return read_label(self._mask_path(name), CLASS_COUNT, ignore=False, remedy=self.remedy)
        return paint(self._annotated_image(name), self.labels)

    def unseen_classes(self, name: str) -> frozenset[int]:
        """Return the classes of all annotations: also crowds, and objects that are too small or covered by others."""
        image = self._annotated_image(name)
        return image.crowds | {instance.class_id for instance in image.instances}

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) from the annotations, or the header of the PNG mask."""
        if self.labels == "png":
            return size_of(self._mask_path(name), self.remedy)
        image = self._annotated_image(name)
        return image.height, image.width

    def image_names(self, split: ListSplit) -> list[str]:
        """Return the names of all images of a split, sorted by id, including those without objects."""
        if self.labels == "png":
            folder = self.annotations / f"{split}2014"
            names = sorted(f"{split}2014/{path.stem}.jpg" for path in folder.glob(f"COCO_{split}2014_*.png"))
            if not names:
                raise MissingError(
                    f"{folder} has no masks COCO_{split}2014_*.png",
                    "put the masks there that HSNet's authors distribute, or use the label rule hsnet",
                )
            return names
        return [coco_facts.image_name(split, i) for i in self.annotated.images(split)]

    def _annotated_image(self, name: str) -> AnnotatedImage:
        split, image_id = coco_facts.split_and_id(name)
        images = self.annotated.images(split)
        if image_id not in images:
            raise MissingError(
                f"the annotations in {self.annotations} have no image {name}",
                f"{self.check_command} lists what else is missing; "
                "for a part of the data use --lists here (in Python lists='here')",
            )
        return images[image_id]

    def _mask_path(self, name: str) -> Path:
        coco_facts.split_and_id(name)
        return (self.annotations / name).with_suffix(".png")

    def _index(self, split: ListSplit) -> pd.DataFrame:
        if split not in self._indices:
            if self.labels == "png":
                files = [self._mask_path(name) for name in self.image_names(split)]
                imported_key = ""
            else:
                files = self.annotated.files(split)
                imported_key = "" if files[0].stem.endswith("2014") else str(self._imported_lists(split))
            key = key_of(files, self.name, split, self.labels, imported_key)
            name = f"{self.name}-{self.labels}-{split}"
            self._indices[split] = cached_index(name, key, lambda: self._read(split), self.root)
        return self._indices[split]

    def _read(self, split: ListSplit) -> pd.DataFrame:
        doing = f"{'reading' if self.labels == 'png' else 'painting'} the {split} masks"
        names = self.image_names(split)
        return index_of((name, self.label(name)) for name in tracked(names, doing, "masks"))

    def _imported_lists(self, split: ListSplit) -> dict[int, list[int]] | None:
        if split not in self._imported:
            self._imported[split] = imported.load_class_lists(self.name, split, CLASS_COUNT)
        return self._imported[split]

    def _lists(self, split: ListSplit) -> dict[int, list[int]]:
        """Return the image ids of each class in list order: as imported, or sorted by id."""
        lists = self._imported_lists(split)
        if lists is not None and self.lists == "all":
            return {c: lists.get(c, []) for c in range(1, CLASS_COUNT + 1)}
        index = self._index(split)
        if lists is None:
            index = index[index["pixels"] >= MIN_PIXELS]
        here: dict[int, list[int]] = {c: [] for c in range(1, CLASS_COUNT + 1)}
        for image_id, class_id in zip(index["name"].str[-16:-4].astype("int64"), index["class_id"], strict=True):
            here[int(class_id)].append(int(image_id))
        if lists is None:
            return {c: sorted(ids) for c, ids in here.items()}
        known = {c: set(ids) for c, ids in here.items()}
        return {c: [i for i in lists.get(c, []) if i in known[c]] for c in here}

    def _order(self, split: ListSplit) -> str:
        lists = self._imported_lists(split)
        if lists is None:
            return "canonical (by image id)"
        total, here = sum(map(len, lists.values())), sum(map(len, self._lists(split).values()))
        order = "official (HSNet)" if coco_facts.is_official(split, lists) else "imported (not HSNet's)"
        return order if here == total else f"{order}, {here} of {total} entries are here"

    def _list_split(self, split: Split) -> ListSplit:
        if split == "test":
            raise UsageError("coco20i has no test images; papers test on its val images", "--split val")
        return split
