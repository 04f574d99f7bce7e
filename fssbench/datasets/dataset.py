"""The base class of all data sets: an index, images, labels, folds and a fingerprint. No episodes, no tensors."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self, cast

import numpy as np
import numpy.typing as npt

from fssbench.datasets.catalogue import built_in
from fssbench.datasets.ignore_region import has_unlabelled_region
from fssbench.datasets.release_lists import ImageOrder, ObjectLists
from fssbench.errors import UsageError
from fssbench.escape import printable

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["train", "val", "test"]
Image = npt.NDArray[np.uint8]
Label = npt.NDArray[np.uint8 | np.uint16]


class Arrivals(Protocol):
    """Photos that are being fetched."""

    def wait(self, name: str) -> None:
        """Return as soon as a photo is here."""


class Dataset(ABC):
    """A few-shot segmentation data set.

    Label values are 0 for background, 1..C for the classes, and 255 for the ignore region. A data set in datasets.toml
    gets `fold_count`, `rendered` and `own` from there; a data set of another package sets them itself.
    """

    name: str
    fold_count: int = 4
    """Number of folds; 1 if there is a fixed test split, 0 in a class whose files define it."""
    has_ignore: bool = False
    """Whether label 255 occurs."""
    sizes_differ: bool = False
    """Whether the release has images of another size than their label maps; both are resized to the input size."""
    exact_index: bool = False
    """Whether `index` has exactly the pixels of `label`; then a label map with other counts was changed since."""
    rendered: bool = False
    """Whether the images are rendered, so that there are no files."""
    own: bool = False
    """Whether it is the user's own data, which no release has evaluated: a class with fewer than K + 1 images is
    refused, even where a release's draw would repeat supports."""

    comparable_classes: bool = True
    """Whether its classes can be compared by name with those of other data sets, to find what training has seen."""

    absence_unknown: str = ""
    """Why its label maps don't tell that an image holds no object of a class; empty if they do."""
    one_class_each: bool = False
    """Whether each image is annotated for one class alone, so that others may be in it without a label."""

    given_name: str | None = None
    """The name that the user has given to own data, if any."""

    evaluated_split: Split = "val"
    """The split that evaluations use. A subclass may still call it `asked`, as it was called before version 0.2."""

    trained_on: str | None = None
    """The data set of the folds, if the weights were trained on another one (`fssbench.datasets.transfer.view`)."""
    test_classes: str | None = None
    """Which classes are tested in that case (`fssbench.datasets.transfer.view`)."""

    root: Path | None
    """The folder of the files; None for a rendered data set."""

    arriving: Arrivals | None = None
    """Photos that are on their way while others are evaluated. A data set whose photos are fetched one by one waits for
    each in `image`."""

    def __init_subclass__(cls) -> None:
        """Set the attributes that datasets.toml defines, if the class is in it."""
        super().__init_subclass__()
        if "asked" in vars(cls):
            cls.evaluated_split = vars(cls)["asked"]
        info = built_in().get(getattr(cls, "name", ""))
        if info is not None and info.target == f"{cls.__module__}:{cls.__qualname__}":
            cls.fold_count, cls.rendered, cls.own = info.folds, info.rendered, info.own

    @property
    def check_command(self) -> str:
        """The command that lists missing and broken files."""
        return check_command(self.name, self.root)

    @property
    def remedy(self) -> str:
        """What to do about a missing or broken file."""
        return f"replace the file; {self.check_command} lists what is missing or broken"

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open the data set at `root` (or in it), or where the configuration says (see `fssbench.datasets.roots`).

        By default there are no options, and the class is called with the folder.

        Raises:
            MissingError: If the data is not there, with the command that says where to put it.
            UsageError: If an option is unknown.
        """
        from fssbench.datasets.roots import require_root

        cls.refuse_options(options)
        return cast("Callable[[Path], Self]", cls)(require_root(cls.name, root))

    def __repr__(self) -> str:
        trained = f", trained on {self.trained_on}" if self.trained_on else ""
        where = f" in {self.root}" if self.root is not None else ""
        return printable(f"<{self.name}{trained}{where}>")

    @property
    def remarks(self) -> tuple[str, ...]:
        """Caveats of the data set that belong to every number on it; sentences."""
        return ()

    @property
    @abstractmethod
    def class_names(self) -> Mapping[int, str]:
        """The name of each label value 1..C, sorted by value."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the split that evaluations use; they do not depend on other splits."""
        return self.split_fingerprint(self.evaluated_split)

    @abstractmethod
    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 of all that decides the labels and lists of a split: files, rules, order, seed."""

    @property
    @abstractmethod
    def list_order(self) -> str:
        """The order of the lists as text, e.g. "official (HSNet)" or "canonical (by name)"."""

    @abstractmethod
    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the classes of a fold, sorted: the novel classes for "val", the base classes for "train".

        Raises:
            UsageError: If there is no such fold.
        """

    @abstractmethod
    def index(self, split: Split) -> pd.DataFrame:
        """Return a row per (image, class): `name` (str), `class_id` (int64), `pixels` (int64, original size).

        Every class with at least one pixel in an image has a row, even if no list has the pair.
        """

    @abstractmethod
    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the (image, class) pairs in the list of a fold, in list order: `name` (str), `class_id` (int64).

        The order matters, because samplers index into the list.

        Raises:
            UsageError: If there is no such fold.
        """

    @abstractmethod
    def image(self, name: str) -> Image:
        """Return an image: RGB uint8 (H, W, 3).

        Raises:
            MissingError: If the file does not exist.
            BrokenFileError: If it can't be decoded completely.
        """

    @abstractmethod
    def label(self, name: str) -> Label:
        """Return the label map: uint8 (H, W), values as in `class_names`, 0 and 255 (255 only if `has_ignore`).

        A data set of more than 254 classes (FSS-1000) returns uint16, and 255 is a class there.

        Raises:
            MissingError: If the mask does not exist.
            BrokenFileError: If it can't be decoded, or has a value that is not a class.
        """

    def photo_path(self, name: str) -> Path | None:
        """Return the path of the photo, even if the file is missing; None if images are rendered.

        A continued run uses the content of the file to check that the photo is still the same.
        """
        del name
        return None

    def unseen_classes(self, name: str) -> frozenset[int] | None:
        """Return the classes that an image may hold besides those in its label map: crowds, objects that are covered.

        None if that can be any class: the label map has an ignore region that is not the rim of a labelled object, so
        there may be an object in it (in VOC those that are marked as difficult).
        """
        if self.has_ignore and has_unlabelled_region(self.label(name)):
            return None
        return frozenset()

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of an image."""
        height, width = self.label(name).shape
        return height, width

    def entries_of(self, classes: Collection[int], split: Split) -> pd.DataFrame:
        """Return the (image, class) pairs of some classes in the lists of all folds, fold by fold.

        A data set whose lists have an order of their own keeps that order.
        """
        import pandas as pd

        folds = [self.entries(fold, split) for fold in range(self.fold_count)]
        pairs = pd.concat(folds, ignore_index=True)
        return pairs[pairs["class_id"].isin(list(classes))].reset_index(drop=True)

    def leaking(self, fold: int, classes: Collection[int]) -> tuple[str, ...] | None:
        """Return the names of the tested classes that the training of a fold has seen; None if that is not known.

        Args:
            fold: The fold of the weights.
            classes: The label values of the tested classes.
        """
        del fold, classes
        return ()

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the names of the classes that training on a fold sees; None if the files are needed to know it."""
        del fold
        return None

    def class_lists(self, fold: int, split: Split = "val") -> dict[int, list[str]]:
        """Return the image names of each class of a fold, in list order."""
        entries = self.entries(fold, split)
        lists: dict[int, list[str]] = {class_id: [] for class_id in self.fold_classes(fold, split)}
        for name, class_id in zip(entries["name"], entries["class_id"], strict=True):
            lists[int(class_id)].append(cast("str", name))
        return lists

    def image_order(self, split: Split) -> ImageOrder | None:
        """Return the image order for lists that are made by counting pixels; None if it is by name."""
        del split
        return None

    def object_lists(self, split: Split) -> dict[int, list[str]] | None:
        """Return the images of each class with a large object, by its annotation, in the order of FSSDINO's release.

        None for a data set whose objects are not annotated one by one.
        """
        del split
        return None

    def object_choices(self, fold: int) -> ObjectLists | None:
        """Return the photos and objects that episodes of a fold are drawn from; None if images are whole photos."""
        del fold
        return None

    def for_shots(self, shots: int) -> Dataset:
        """Return the data set whose folds a release evaluates with K shots; itself, unless they depend on K."""
        del shots
        return self

    def check_learnable(self, fold: int) -> None:
        """Refuse training if its images or classes are not separate from those of the evaluation.

        Raises:
            MissingError: If the images of the evaluation are not known.
            UsageError: If a fold has no base class.
        """
        del fold

    @classmethod
    def refuse_options(cls, options: Mapping[str, object], known: tuple[str, ...] = ()) -> None:
        """Refuse options that the data set does not have.

        Raises:
            UsageError: With the first unknown option and the known ones.
        """
        for option in options:
            if option not in known:
                has = f"its options: {', '.join(known)}" if known else "it has none"
                raise UsageError(
                    f"{cls.name} has no option '{option}'; {has}", f"leave --{option} out (in Python {option}=...)"
                )

    def check_fold(self, fold: int) -> int:
        """Return `fold`.

        Raises:
            UsageError: If the data set has no such fold.
        """
        if not 0 <= fold < self.fold_count:
            raise UsageError(f"{self.name} has no fold {fold}: its folds are 0 to {self.fold_count - 1}")
        return fold


def check_command(name: str, root: Path | None) -> str:
    """Return the command that lists missing and broken files of a data set."""
    return f"fssbench data check {name}" + (f" --root {shlex.quote(str(root))}" if root else "")
