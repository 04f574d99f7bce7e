"""Reading and hashing label maps, and checking them against the index that the lists were made from."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Mapping
from functools import cached_property

import numpy as np

from fssbench.config import cache_folder, reachable
from fssbench.datasets.dataset import Dataset, Label, Split
from fssbench.errors import BrokenFileError


def label_hash(label: Label) -> bytes:
    """Return the sha256 of a label map: of its shape, written as (H, W), and of its values, row by row."""
    return hashlib.sha256(repr(label.shape).encode("ascii") + np.ascontiguousarray(label).tobytes()).digest()


def check_size(dataset: Dataset, name: str, photo: tuple[int, int], label: Label) -> None:
    """Refuse an image whose size is not that of its label map, as the pixels can't be aligned.

    Args:
        dataset: The opened data set.
        name: Name of the image.
        photo: (height, width) of the image.
        label: The label map (H, W).

    Raises:
        BrokenFileError: If the sizes differ, unless the data set's release has such images (`Dataset.sizes_differ`).
    """
    if photo != label.shape and not dataset.sizes_differ:
        raise BrokenFileError(
            f"{dataset.name} {name}: the photo has {photo[0]} x {photo[1]} pixels, its label map "
            f"{label.shape[0]} x {label.shape[1]}",
            dataset.check_command,
        )


class LabelMaps:
    """Reads the label maps of some images, and refuses those that have lost a class that is in the index.

    Where the index counts what label maps have (`Dataset.exact_index`), other numbers of pixels are refused too.
    Such a label map was changed after the lists were made, so its episodes would be wrong without any message.

    Args:
        dataset: The opened data set.
        names: The images that will be read; used when the first one is read.
        splits: The splits of these images.
    """

    def __init__(self, dataset: Dataset, names: Collection[str], splits: Collection[Split]) -> None:
        self._dataset, self._names, self._splits = dataset, names, splits

    def of(self, name: str) -> Label:
        """Return a label map (H, W); see `Dataset.label`.

        Raises:
            MissingError: If the mask does not exist.
            BrokenFileError: If it can't be decoded, or a class in the index has no pixel in it.
        """
        label = self._dataset.label(name)
        if not self._dataset.rendered:
            self._compare(name, label)
        return label

    @cached_property
    def _indexed(self) -> Mapping[str, Mapping[int, int]]:
        """The number of pixels of each class, by image name."""
        pixels: dict[str, dict[int, int]] = {name: {} for name in self._names}
        for split in sorted(self._splits):
            index = self._dataset.index(split)
            index = index[index["name"].isin(list(pixels))]
            columns = (index["name"], index["class_id"].tolist(), index["pixels"].tolist())
            for name, class_id, count in zip(*columns, strict=True):
                pixels[name].update({class_id: count} if count else {})
        return pixels

    def _compare(self, name: str, label: Label) -> None:
        listed = self._indexed[name]
        counts = np.bincount(label.ravel(), minlength=max(listed, default=0) + 1)
        exact = self._dataset.exact_index
        changed = [c for c, pixels in listed.items() if not counts[c] or (exact and counts[c] != pixels)]
        if changed:
            class_id = changed[0]
            number = f"{counts[class_id]} pixels" if counts[class_id] else "no pixel"
            raise BrokenFileError(
                f"{self._dataset.name} {name}: the label map has {number} of '{self._dataset.class_names[class_id]}' "
                f"({class_id}), but had {listed[class_id]} when the lists were made",
                f"make sure that nothing changes the masks, and run the command again{_cache_remedy()}",
            )


def _cache_remedy() -> str:
    cache = reachable(lambda: cache_folder() / "index")
    return "" if cache is None else f"; if that does not help, remove the cached lists: rm -r {shlex.quote(str(cache))}"
