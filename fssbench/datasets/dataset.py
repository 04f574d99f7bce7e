"""What every data set offers: an index, photos, labels, folds, and a fingerprint. No episodes, no tensors."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from fssbench.datasets.catalogue import built_in
from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["train", "val", "test"]
Image = npt.NDArray[np.uint8]
Label = npt.NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class ImageOrder:
    """The order of a side's images, where a release has one that is not by name.

    Attributes:
        words: Whose it is, e.g. "official (PFENet)".
        names: The images; others are not listed.
    """

    words: str
    names: tuple[str, ...]


class Dataset(ABC):
    """A few-shot segmentation data set.

    Label values are 0 for background, 1..C for the classes, 255 for pixels to ignore. A data set of datasets.toml has
    `fold_count`, `rendered` and `own` from there; one of another package says them itself.
    """

    name: str
    fold_count: int = 4
    """Number of folds; 1 where the data set has a fixed test split, 0 of a class whose files say how many."""
    has_ignore: bool = False
    """Whether label 255 occurs."""
    sizes_differ: bool = False
    """Whether its release has photos of another size than their label maps, which are brought to one size there."""
    rendered: bool = False
    """Whether it is drawn when it is asked for, so that it has no files."""
    own: bool = False
    """Whether it is one's own data, which no release has asked: a class with fewer than K + 1 images is not asked then,
    also where a release's draw would repeat supports."""

    evaluated_split: Split = "val"
    """The split that evaluations use. A subclass may still call it `asked`, as it was called before version 0.2."""

    trained_on: str | None = None
    """The data set whose folds it is seen by, where that is another one (`fssbench.datasets.transfer.view`)."""
    test_classes: str | None = None
    """Which of its classes are asked then (`fssbench.datasets.transfer.view`)."""

    root: Path | None
    """The folder that holds the files; None for a rendered data set."""

    def __init_subclass__(cls) -> None:
        """Take what datasets.toml says of the class, if it stands there: no class has to say it again."""
        super().__init_subclass__()
        if "asked" in vars(cls):
            cls.evaluated_split = vars(cls)["asked"]
        info = built_in().get(getattr(cls, "name", ""))
        if info is not None and info.target == f"{cls.__module__}:{cls.__qualname__}":
            cls.fold_count, cls.rendered, cls.own = info.folds, info.rendered, info.own

    @property
    def check_command(self) -> str:
        """The command that names all that is missing or broken of it."""
        return check_command(self.name, self.root)

    @property
    def remedy(self) -> str:
        """What to do about a file that is missing or broken."""
        return f"replace the file; {self.check_command} names what is missing or broken"

    @classmethod
    @abstractmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        """Open the data set at `root`, or where the configuration says (see `fssbench.config`).

        Raises:
            MissingError: If the data is not there, with the command that says where to put it.
            UsageError: If an option is unknown.
        """

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said beside numbers on it, because it does not hold all that somebody may think; sentences."""
        return ()

    @property
    @abstractmethod
    def class_names(self) -> Mapping[int, str]:
        """The name of each label value 1..C, in rising order."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the side that evaluations ask: they depend on no other."""
        return self.split_fingerprint(self.evaluated_split)

    @abstractmethod
    def split_fingerprint(self, split: Split) -> str:
        """Return the hex sha256 over all that decides labels and lists of a side (files, label rule, order, seed)."""

    @property
    @abstractmethod
    def list_order(self) -> str:
        """Which order the lists are in, in words: e.g. "official (HSNet)" or "canonical (by name)"."""

    @abstractmethod
    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        """Return the label values of a fold, rising: the novel classes for "val", the base classes for "train".

        Raises:
            UsageError: If there is no such fold.
        """

    @abstractmethod
    def index(self, split: Split) -> pd.DataFrame:
        """Return a row per (image, class): `name` (str), `class_id` (int64), `pixels` (int64, original size).

        Every class with at least one pixel has a row, also where no list admits it.
        """

    @abstractmethod
    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        """Return the (image, class) pairs a fold's list admits, in list order: `name` (str), `class_id` (int64).

        The order matters: samplers index into it.

        Raises:
            UsageError: If there is no such fold.
        """

    @abstractmethod
    def image(self, name: str) -> Image:
        """Return the photo: RGB uint8 (H, W, 3).

        Raises:
            MissingError: If the photo is not there.
            BrokenFileError: If it can't be decoded whole.
        """

    @abstractmethod
    def label(self, name: str) -> Label:
        """Return the label map: uint8 (H, W), values as in `class_names`, 0 and 255 (255 only if `has_ignore`).

        A data set of more than 254 classes (FSS-1000) returns uint16, and 255 is a class there.

        Raises:
            MissingError: If the mask is not there.
            BrokenFileError: If it can't be decoded, or holds a value that is no class.
        """

    def photo_path(self, name: str) -> Path | None:
        """Return the file that holds the photo, or should; None where there is none, because photos are drawn.

        By its content a run that is continued knows whether the photos are still those of its rows.
        """
        del name
        return None

    def image_size(self, name: str) -> tuple[int, int]:
        """Return (height, width) of the photo."""
        height, width = self.label(name).shape
        return height, width

    def entries_of(self, classes: Collection[int], split: Split) -> pd.DataFrame:
        """Return the (image, class) pairs that the lists of all folds admit of some classes, fold by fold.

        A data set whose lists have an order of their own keeps to it.
        """
        import pandas as pd

        folds = [self.entries(fold, split) for fold in range(self.fold_count)]
        pairs = pd.concat(folds, ignore_index=True)
        return pairs[pairs["class_id"].isin(list(classes))].reset_index(drop=True)

    def leaking(self, fold: int, classes: Collection[int]) -> tuple[str, ...] | None:
        """Return the names of classes that the training of a fold has seen; None if that is not known.

        Args:
            fold: The fold of the weights.
            classes: Label values that are asked.
        """
        del fold, classes
        return ()

    @classmethod
    def seen_in_training(cls, fold: int) -> tuple[str, ...] | None:
        """Return the names of the classes that training on a fold sees; None if that is not known without the files."""
        del fold
        return None

    def class_lists(self, fold: int, split: Split = "val") -> dict[int, list[str]]:
        """Return for each class of the fold its image names in list order."""
        entries = self.entries(fold, split)
        lists: dict[int, list[str]] = {class_id: [] for class_id in self.fold_classes(fold, split)}
        for name, class_id in zip(entries["name"], entries["class_id"], strict=True):
            lists[int(class_id)].append(cast("str", name))
        return lists

    def image_order(self, split: Split) -> ImageOrder | None:
        """Return the order in which lists made by counting pixels have the images; None if it is by name."""
        del split
        return None

    def check_learnable(self, fold: int) -> None:
        """Refuse to train where the photos or classes to learn from are not apart from those that are asked.

        Raises:
            MissingError: If it is not known which photos are asked.
            UsageError: If a fold has no base class.
        """
        del fold

    @classmethod
    def refuse_options(cls, options: Mapping[str, object], known: tuple[str, ...] = ()) -> None:
        """Refuse options that the data set does not have.

        Raises:
            UsageError: Naming the first unknown option and the known ones.
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
    """Return the command that names all that is missing or broken of a data set, opened or not."""
    return f"fssbench data check {name}" + (f" --root {shlex.quote(str(root))}" if root else "")
