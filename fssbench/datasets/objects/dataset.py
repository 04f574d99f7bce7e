"""The base class of data sets without training here: classes in folds, evaluated on the images of val."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from fssbench.datasets.dataset import Split
from fssbench.datasets.io.index_cache import fingerprint_of
from fssbench.datasets.release_lists import ObjectLists
from fssbench.datasets.untrained import UntrainedDataset
from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


class ValOnly(UntrainedDataset):
    """A data set with the split "val" alone, for methods without training.

    A subclass defines the images of each class (`listed`), the classes of each fold (`folds`), the pixels (`_index`),
    and where masks and photos are.
    """

    comparable_classes = False

    @property
    @abstractmethod
    def folds(self) -> tuple[tuple[int, ...], ...]:
        """The label values of the classes of each fold, sorted."""

    @abstractmethod
    def listed(self, fold: int) -> Iterable[tuple[str, int]]:
        """Return the (image, class) pairs of a fold, in list order."""

    def drawn_from(self, fold: int) -> Iterable[tuple[str, int]]:
        """Return everything that the draws of a fold depend on, as (text, class) in order; for the fingerprint."""
        return self.listed(fold)

    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 over rule, pixels per image and class, folds and lists."""
        self._check_split(split)
        facts = {"dataset": self.name, "labels": self.rule, "order": self.list_order, "folds": repr(self.folds)}
        lists = (pair for fold in range(self.fold_count) for pair in self.drawn_from(fold))
        return fingerprint_of(facts, self._index, lists)

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the classes of a fold; none for "train"."""
        self.check_fold(fold)
        return () if split == "train" else self.folds[fold]

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the (image, class) pairs of a fold, in list order."""
        from fssbench.datasets.io.index_cache import frame_of

        self._check_split(split)
        return frame_of(self.listed(self.check_fold(fold)), ("name", "class_id"))

    def _check_split(self, split: Split) -> None:
        if split != "val":
            raise UsageError(f"{self.name} has no {split} images: it is evaluated on val", "--split val")


def images_of(choices: ObjectLists) -> Iterator[tuple[str, int]]:
    """Yield the image of each object that shows its class, photo by photo."""
    for class_id, photos in choices.by_class.items():
        for photo in photos:
            yield from ((name, class_id) for name in photo.images if name is not None)


def drawable_of(choices: ObjectLists) -> Iterator[tuple[str, int]]:
    """Yield the photos of each class with all objects that can be drawn, "-" for one that does not show the class."""
    for class_id, photos in choices.by_class.items():
        for photo in photos:
            yield f"{photo.photo} {' '.join(name or '-' for name in photo.images)}", class_id
