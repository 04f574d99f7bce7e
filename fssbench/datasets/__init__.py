"""The data sets by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.registry import Registry

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset


def _base() -> type:
    from fssbench.datasets.dataset import Dataset

    return Dataset


REGISTRY: Registry[type[Dataset]] = Registry(
    "dataset",
    _base,
    {
        "pascal5i": "fssbench.datasets.pascal5i:Pascal5i",
        "coco20i": "fssbench.datasets.coco20i:Coco20i",
        "fss1000": "fssbench.datasets.fss1000:FSS1000",
        "folder": "fssbench.datasets.folder:Folder",
        "suim": "fssbench.datasets.suim:Suim",
        "deepglobe": "fssbench.datasets.deepglobe:DeepGlobe",
        "isic2018": "fssbench.datasets.isic2018:Isic2018",
        "chestxray": "fssbench.datasets.chestxray:ChestXray",
        "shapes20i": "fssbench.datasets.shapes20i:Shapes20i",
        "shapes20i-underwater": "fssbench.datasets.shapes20i:Shapes20iUnderwater",
    },
)


def list_datasets() -> list[str]:
    """Return the names of all data sets, sorted."""
    return REGISTRY.names()


def own_data_in(root: Path) -> str | None:
    """Return "folder" if a folder of one's own data is at `root`, None otherwise."""
    from fssbench.datasets.folder_description import FILE

    return "folder" if (root / FILE).is_file() else None


def require_training(name: str, remedy: str) -> None:
    """Refuse a data set as what weights were trained on if it trains nothing.

    Args:
        name: One of `list_datasets()`.
        remedy: What to do instead.

    Raises:
        UsageError: If it has no training classes.
    """
    if REGISTRY.get(name).seen_in_training(0) == ():
        raise UsageError(f"{name} trains nothing: it is asked of weights that were trained elsewhere", remedy)


def open_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    train_dataset: str | None = None,
    test_classes: str | None = None,
    **options: object,
) -> Dataset:
    """Open a data set.

    Args:
        name: One of `list_datasets()`.
        root: The folder that holds its files; default as `fssbench data where` shows.
        train_dataset: What the weights that are to answer were trained on, where that is another data set: the folds
            are then its folds (`fssbench.datasets.seen_from`).
        test_classes: Which classes are asked then: "unseen", "all", "own", or a release's choice; default as the pair
            of data sets is asked.
        **options: The data set's own, e.g. `labels="pycocotools"` for coco20i.

    Raises:
        UsageError: If the name or an option is unknown.
        MissingError: If the data is not there.
    """
    cls = REGISTRY.get(name)
    opened: Dataset = cls.open(None if root is None else Path(root), **options)
    if train_dataset is None:
        if test_classes is not None:
            raise UsageError("test_classes says which classes weights from elsewhere are asked", "train_dataset=NAME")
        return opened
    from fssbench.datasets.seen_from import seen_from

    return seen_from(opened, train_dataset, test_classes)
