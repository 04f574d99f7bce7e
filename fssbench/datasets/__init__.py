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
        name: One of `list_datasets()`, also as papers write it: "PASCAL-5i".
        root: The folder of its files; default as `fssbench data where` shows.
        train_dataset: The data set that the weights were trained on, if it is another one. The folds are then those of
            the training data set (`fssbench.datasets.transfer.view`).
        test_classes: Which classes are tested in that case: "unseen", "all", "own", or the choice of a release; the
            default depends on the data sets.
        **options: Options of the data set, e.g. `labels="pycocotools"` for coco20i.

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
            raise UsageError("test_classes is only for weights trained on another data set", "train_dataset=NAME")
        return opened
    from fssbench.datasets.transfer.view import transfer_view

    return transfer_view(opened, train_dataset, test_classes)
