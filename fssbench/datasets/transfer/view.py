"""A test data set with the folds of the training data set, for cross-domain evaluation.

Cross-domain evaluation has one set of weights for each fold of the training data set, and tests each of them on classes
of another data set. Which classes are tested is one of these choices:

- "unseen": those that the training of the fold has not seen; the default for a data set with folds of its own, as for
  COCO-20i to PASCAL-5i (Boudiaf et al., CVPR 2021);
- "all": all classes in every fold; the default for a data set without folds (SUIM, FSS-1000, PATNet's data sets);
- "own": those of the data set's own fold with the same number;
- the choice of a release, which is flawed (`choices` in classes.toml).

Images and lists are those of the test data set, in its own order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fssbench.datasets.catalogue import REGISTRY, dataset_info
from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.datasets.release_lists import ImageOrder
from fssbench.datasets.transfer.classes import choices_for, counterparts, facts, seen, supposed
from fssbench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd


def same_scenes(one: str, other: str) -> bool:
    """Return whether two data sets have the same scenes, and so the same folds, classes and lists."""
    return dataset_info(one).scenes == dataset_info(other).scenes


def default_choice(dataset: Dataset, train: str) -> str:
    """Return the default choice of test classes for weights that were trained on another data set."""
    if not dataset_info(train).folds:
        return "own"  # Only the files of the training data set define its number of folds.
    return "unseen" if dataset.fold_count > 1 else "all"


def known_fold_count(test: str, train: str, choice: str | None = None) -> int:
    """Return the number of folds for a pair of test and training data set; 0 if only the files define it."""
    folds = dataset_info(train).folds
    own = same_scenes(train, test) or choice == "own" or not folds
    return dataset_info(test).folds if own else folds


def transfer_view(dataset: Dataset, train: str, choice: str | None = None) -> Dataset:
    """Return a data set with the folds of the training data set; the data set itself if both have the same scenes.

    Args:
        dataset: The opened data set.
        train: Name of the training data set; it is not opened.
        choice: Which classes are tested; default `default_choice`.

    Raises:
        UsageError: If there is no such data set or choice, or the training classes are not known.
    """
    train = REGISTRY.require(train)
    if same_scenes(train, dataset.name):
        if choice is not None and train == dataset.name:
            raise UsageError("test classes are only for weights trained on another data set", "--train-dataset NAME")
        if choice not in (None, "own"):
            raise UsageError(
                f"{dataset.name} and {train} have the same classes in the same folds: there is no other choice",
                "leave --test-classes out",
            )
        return dataset
    if not dataset.comparable_classes:
        raise UsageError(
            f"it is not known which classes of {dataset.name} training on {train} has seen",
            "evaluate it with a method without training (fssbench list methods)",
        )
    known = choices_for(train, dataset.name) if dataset_info(train).folds else ("own",)
    if choice is not None and choice not in known:
        raise UsageError(
            f"{train} to {dataset.name} has no test classes '{choice}'; there are {', '.join(known)}"
            f"{did_you_mean(choice, known)}"
        )
    view = TransferView(dataset, train, choice or default_choice(dataset, train))
    if view.test_classes == "unseen" and any(view.training(fold) is None for fold in range(view.fold_count)):
        raise UsageError(
            f"the classes that training on {train} has seen are not known here, so neither are the unseen ones of "
            f"{dataset.name}",
            "--test-classes all",
        )
    return view


class TransferView(Dataset):
    """A test data set with the folds of a training data set.

    Args:
        inner: The test data set.
        train: Name of the training data set.
        choice: Which classes are tested in each fold.
    """

    trained_on: str
    test_classes: str
    fold_count = 0

    def __init__(self, inner: Dataset, train: str, choice: str) -> None:
        self.inner = inner
        self.name, self.root = inner.name, inner.root
        self.has_ignore, self.rendered, self.own = inner.has_ignore, inner.rendered, inner.own
        self.exact_index = inner.exact_index
        self.sizes_differ, self.evaluated_split = inner.sizes_differ, inner.evaluated_split
        self.given_name = inner.given_name
        self.absence_unknown, self.one_class_each = inner.absence_unknown, inner.one_class_each
        self.trained_on, self.test_classes = train, choice
        self.fold_count = inner.fold_count if choice == "own" else dataset_info(train).folds
        self._means = counterparts(train, inner.name, inner.class_names)

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Raise an error: a view is opened by `open_dataset` with the argument `train_dataset`.

        Raises:
            UsageError: Always.
        """
        del root, options
        raise UsageError("use open_dataset(..., train_dataset=NAME) for the folds of another data set")

    @property
    def class_names(self) -> Mapping[int, str]:
        """The names of the data set's label values."""
        return self.inner.class_names

    @property
    def remarks(self) -> tuple[str, ...]:
        """The caveats of the test data set."""
        return self.inner.remarks

    @property
    def list_order(self) -> str:
        """The list order of the test data set."""
        return self.inner.list_order

    def split_fingerprint(self, split: Split) -> str:
        """Return the fingerprint of the test data set: labels and lists are the same, only folds differ."""
        return self.inner.split_fingerprint(split)

    def training(self, fold: int) -> tuple[str, ...] | None:
        """Return the names of the classes that the training of a fold has seen; None if it is not known."""
        return REGISTRY.get(self.trained_on).seen_in_training(fold)

    def check_fold(self, fold: int) -> int:
        """Return `fold`.

        Raises:
            UsageError: If the training data set has no such fold.
        """
        if not 0 <= fold < self.fold_count:
            whose = self.name if self.test_classes == "own" else self.trained_on
            raise UsageError(f"{whose} has no fold {fold}: its folds are 0 to {self.fold_count - 1}")
        return fold

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the classes that are tested with the weights of a fold; none for "train"."""
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
        """Return the names of the classes that the training of the fold has seen; None if that is not known."""
        training = self.training(fold)
        if training is None:
            return None
        return tuple(self.class_names[c] for c in seen(sorted(classes), self._means, training))

    @property
    def flaw(self) -> str:
        """What is wrong with the choice of classes; empty if nothing is known."""
        table = facts().choices.get(self.test_classes)
        return table.flaw if table else ""

    def index(self, split: Split) -> pd.DataFrame:
        """Return the data set's own index."""
        return self.inner.index(split)

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the (image, class) pairs of the fold's classes in the lists of the test data set."""
        return self.inner.entries_of(self.fold_classes(fold, self.evaluated_split), split)

    def image_order(self, split: Split) -> ImageOrder | None:
        """Return the image order of the test data set."""
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

    def unseen_classes(self, name: str) -> frozenset[int] | None:
        """Return the classes that the photo may hold besides those in its label map."""
        return self.inner.unseen_classes(name)

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of the photo."""
        return self.inner.image_size(name)
