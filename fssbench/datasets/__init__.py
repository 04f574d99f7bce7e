"""The data sets by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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


def open_dataset(name: str, root: str | Path | None = None, **options: object) -> Dataset:
    """Open a data set.

    Args:
        name: One of `list_datasets()`.
        root: The folder that holds its files; default as `fssbench data where` shows.
        **options: The data set's own, e.g. `labels="pycocotools"` for coco20i.

    Raises:
        UsageError: If the name or an option is unknown.
        MissingError: If the data is not there.
    """
    cls = REGISTRY.get(name)
    opened: Dataset = cls.open(None if root is None else Path(root), **options)
    return opened
