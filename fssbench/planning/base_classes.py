"""Checks whether a method's predictions of base classes can be counted."""

from __future__ import annotations

from collections.abc import Mapping

from fssbench.datasets.catalogue import dataset_info
from fssbench.datasets.dataset import Dataset
from fssbench.errors import UsageError
from fssbench.methods.catalogue import MethodInfo, list_methods, method_info
from fssbench.protocols.rules import Protocol


def check_base_classes_known(info: MethodInfo, protocol: Protocol) -> None:
    """Refuse a protocol that predicts base classes together with the novel one, if the method has no base classes.

    Raises:
        UsageError: Naming the methods that have base classes.
    """
    if protocol.base is None or protocol.base.asked == "apart" or info.base_classes != 0:
        return
    suitable = [name for name in list_methods() if method_info(name).base_classes]
    raise UsageError(
        f"protocol {protocol.name} also counts base classes, which {info.name} does not predict; "
        f"{', '.join(suitable)} can be used",
        f"--method {suitable[0]}" if suitable else None,
    )


def check_base_class_count(info: MethodInfo, options: Mapping[str, object], dataset: Dataset, fold: int) -> None:
    """Refuse a method that has more or fewer base classes than a fold.

    Args:
        info: The method.
        options: The options that it is built with; `base_classes` is the number of its base classes.
        dataset: The data set of the fold.
        fold: The fold.

    Raises:
        UsageError: With both numbers.
    """
    expected = options.get("base_classes", info.base_classes)
    count = len(dataset.fold_classes(fold, "train"))
    if expected and expected != count:
        raise UsageError(
            f"{info.name} would have {expected} base classes here, but {dataset.name} fold {fold} has {count}",
            f"use weights or options for {count} base classes",
        )


def check_base_classes_shared(info: MethodInfo, protocol: Protocol, trained_on: str, dataset: str) -> None:
    """Refuse to count base classes on another data set than the training's, because it has other base classes.

    Raises:
        UsageError: Naming both data sets.
    """
    scenes = {dataset_info(name).scenes for name in (trained_on, dataset)}
    if protocol.base is not None and info.base_classes and len(scenes) > 1:
        raise UsageError(
            f"protocol {protocol.name} counts base classes, but those that {info.name} learned on {trained_on} "
            f"are not those of {dataset}",
            "--protocol pfenet, which counts novel classes only",
        )
