"""The data sets by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.datasets.catalogue import REGISTRY, list_datasets
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset

__all__ = ["REGISTRY", "list_datasets", "open_dataset"]


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
            are then its folds (`fssbench.datasets.transfer.view`).
        test_classes: Which classes are asked then: "unseen", "all", "own", or a release's choice; default as the pair
            of data sets is asked.
        **options: The data set's own, e.g. `labels="pycocotools"` for coco20i.

    Raises:
        UsageError: If the name or an option is unknown.
        MissingError: If the data is not there.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> dataset.fold_classes(0)
        (1, 2, 3, 4, 5)
        >>> dataset.class_names[1]
        'gear'
    """
    cls = REGISTRY.get(name)
    opened: Dataset = cls.open(None if root is None else Path(root), **options)
    if train_dataset is None:
        if test_classes is not None:
            raise UsageError("test_classes says which classes weights from elsewhere are asked", "train_dataset=NAME")
        return opened
    from fssbench.datasets.transfer.view import transfer_view

    return transfer_view(opened, train_dataset, test_classes)
