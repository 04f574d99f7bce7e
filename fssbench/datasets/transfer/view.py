"""A data set as it is asked of weights that were trained on another: the folds are those of the training.

Cross-domain evaluation has one set of weights for each fold of the data set that was trained on, and asks each of them
classes of another data set. Which classes, is one of these choices:

- "unseen": those that the training of the fold has not seen; by default where the data set has folds of its own, as
  COCO-20i to PASCAL-5i is asked (Boudiaf et al., CVPR 2021);
- "all": every class, for each fold; by default where it has none (SUIM, FSS-1000, PATNet's data sets);
- "own": those of its own fold of the same number;
- a release's choice that does not hold what it promises (`choices` in cross_domain.toml).

Images and lists are those of the data set, in its own order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fssbench.datasets.catalogue import REGISTRY, dataset_info
from fssbench.datasets.dataset import Dataset, Image, ImageOrder, Label, Split
from fssbench.datasets.transfer.classes import choices_for, counterparts, facts, seen, supposed
from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def same_scenes(one: str, other: str) -> bool:
    """Return whether two data sets show the same scenes, so that folds, classes and lists of one are the other's."""
    return dataset_info(one).scenes == dataset_info(other).scenes


def default_choice(dataset: Dataset, train: str) -> str:
    """Return which classes of a data set are asked of weights that were trained elsewhere."""
    if not dataset_info(train).folds:
        return "own"  # How many folds the training had is known to its files alone.
    return "unseen" if dataset.fold_count > 1 else "all"


def known_fold_count(test: str, train: str, choice: str | None = None) -> int:
    """Return how many folds a data set has as seen from the one that was trained on; 0 where only its files say it."""
    folds = dataset_info(train).folds
    own = same_scenes(train, test) or choice == "own" or not folds
    return dataset_info(test).folds if own else folds


def transfer_view(dataset: Dataset, train: str, choice: str | None = None) -> Dataset:
    """Return a data set as it is asked of weights that were trained on another; itself where the scenes are the same.

    Args:
        dataset: The opened data set.
        train: Name of the data set that the weights were trained on; it is not opened.
        choice: Which classes are asked; default `default_choice`.

    Raises:
        UsageError: If there is no such data set or choice, or which classes training sees is not known.
    """
    REGISTRY.require(train)
    if same_scenes(train, dataset.name):
        if choice is not None and train == dataset.name:
            raise UsageError("test classes are chosen for weights that were trained elsewhere", "--train-dataset NAME")
        if choice not in (None, "own"):
            raise UsageError(
                f"{dataset.name} and {train} show the same classes in the same folds: there is no other choice",
                "leave --test-classes out",
            )
        return dataset
    known = choices_for(train, dataset.name) if dataset_info(train).folds else ("own",)
    if choice is not None and choice not in known:
        raise UsageError(f"{train} to {dataset.name} has no test classes '{choice}'; there are {', '.join(known)}")
    view = TransferView(dataset, train, choice or default_choice(dataset, train))
    if view.test_classes == "unseen" and any(view.training(fold) is None for fold in range(view.fold_count)):
        raise UsageError(
            f"which classes training on {train} has seen is not known here, nor which of {dataset.name} are unseen",
            "--test-classes all",
        )
    return view


class TransferView(Dataset):
    """A data set whose folds are those of another.

    Args:
        inner: The data set itself.
        train: The name of the other.
        choice: Which classes each fold asks.
    """

    trained_on: str
    test_classes: str
    fold_count = 0

    def __init__(self, inner: Dataset, train: str, choice: str) -> None:
        self.inner = inner
        self.name, self.root = inner.name, inner.root
        self.has_ignore, self.rendered, self.own = inner.has_ignore, inner.rendered, inner.own
        self.sizes_differ, self.evaluated_split = inner.sizes_differ, inner.evaluated_split
        self.trained_on, self.test_classes = train, choice
        self.fold_count = inner.fold_count if choice == "own" else dataset_info(train).folds
        self._means = counterparts(train, inner.name, inner.class_names)

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Refuse: `open_dataset` opens the data set itself, with the argument `train_dataset`.

        Raises:
            UsageError: Always.
        """
        del root, options
        raise UsageError("a data set is seen from another by open_dataset(..., train_dataset=NAME)")

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names of the data set's label values."""
        return self.inner.class_names

    @property
    def remarks(self) -> tuple[str, ...]:
        """The data set's own."""
        return self.inner.remarks

    @property
    def list_order(self) -> str:
        """The data set's own."""
        return self.inner.list_order

    def split_fingerprint(self, split: Split) -> str:
        """Return the data set's own: labels and lists are the same, only folds differ."""
        return self.inner.split_fingerprint(split)

    def training(self, fold: int) -> tuple[str, ...] | None:
        """Return the names of the classes that the training of a fold has seen; None if it is not known."""
        return REGISTRY.get(self.trained_on).seen_in_training(fold)

    def check_fold(self, fold: int) -> int:
        """Return `fold`.

        Raises:
            UsageError: If the data set that was trained on has no such fold.
        """
        if not 0 <= fold < self.fold_count:
            whose = self.name if self.test_classes == "own" else self.trained_on
            raise UsageError(f"{whose} has no fold {fold}: its folds are 0 to {self.fold_count - 1}")
        return fold

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the label values that are asked of the weights of a fold; none for "train": it trains nothing here."""
        self.check_fold(fold)
        if split == "train":
            return ()
        if self.test_classes == "own":
            return self.inner.fold_classes(fold, self.evaluated_split)
        folds = range(self.inner.fold_count)
        every = sorted({c for own in folds for c in self.inner.fold_classes(own, self.evaluated_split)})
        if self.test_classes == "all":
            return tuple(every)
        means = self._means if self.test_classes == "unseen" else supposed(self.test_classes)
        known = seen(every, means, self.training(fold) or ())
        return tuple(c for c in every if c not in known)

    def leaking(self, fold: int, classes: Collection[int]) -> tuple[str, ...] | None:
        """Return the names of those classes that the training of the fold has seen; None if that is not known."""
        training = self.training(fold)
        if training is None:
            return None
        return tuple(self.class_names[c] for c in seen(sorted(classes), self._means, training))

    @property
    def flaw(self) -> str:
        """What is wrong with the choice of classes, in words; empty if nothing is known to be."""
        table = facts().choices.get(self.test_classes)
        return table.flaw if table else ""

    def index(self, split: Split) -> pd.DataFrame:
        """Return the data set's own index."""
        return self.inner.index(split)

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return what the data set's lists admit of the fold's classes, in its own order."""
        return self.inner.entries_of(self.fold_classes(fold, self.evaluated_split), split)

    def image_order(self, split: Split) -> ImageOrder | None:
        """Return the data set's own."""
        return self.inner.image_order(split)

    def image(self, name: str) -> Image:
        """Return the photo."""
        return self.inner.image(name)

    def photo_path(self, name: str) -> Path | None:
        """Return the file that holds the photo."""
        return self.inner.photo_path(name)

    def label(self, name: str) -> Label:
        """Return the label map."""
        return self.inner.label(name)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of the photo."""
        return self.inner.image_size(name)
