"""Whether what a method says of base classes can be counted."""

from __future__ import annotations

from collections.abc import Mapping

from fssbench.datasets.catalogue import dataset_info
from fssbench.datasets.dataset import Dataset
from fssbench.errors import UsageError
from fssbench.methods.catalogue import MethodInfo, list_methods, method_info
from fssbench.protocols.rules import Protocol


def check_base_classes_known(info: MethodInfo, protocol: Protocol) -> None:
    """Refuse a protocol that asks for base classes together with the novel one, of a method that knows none.

    Raises:
        UsageError: Naming the methods that know base classes.
    """
    if protocol.base is None or protocol.base.asked == "apart" or info.base_classes != 0:
        return
    able = [name for name in list_methods() if method_info(name).base_classes]
    raise UsageError(
        f"protocol {protocol.name} asks for base classes too, and {info.name} knows none; "
        f"{', '.join(able)} can be asked",
        f"--method {able[0]}" if able else None,
    )


def check_base_class_count(info: MethodInfo, options: Mapping[str, object], dataset: Dataset, fold: int) -> None:
    """Refuse a method whose base classes can't be those of a fold, since there are more or fewer.

    Args:
        info: The method.
        options: What it is built with besides; `base_classes` among them is its number.
        dataset: The data set whose base classes they should be.
        fold: Its fold.

    Raises:
        UsageError: With both numbers.
    """
    knows = options.get("base_classes", info.base_classes)
    there = len(dataset.fold_classes(fold, "train"))
    if knows and knows != there:
        raise UsageError(
            f"{info.name} would know {knows} base classes here; {dataset.name} fold {fold} has {there}",
            f"weights, or options, that are made for {there} base classes",
        )


def check_base_classes_shared(info: MethodInfo, protocol: Protocol, trained_on: str, dataset: str) -> None:
    """Refuse to count what a method says of base classes in pictures of another data set, whose classes are others.

    Raises:
        UsageError: Naming both data sets.
    """
    scenes = {dataset_info(name).scenes for name in (trained_on, dataset)}
    if protocol.base is not None and info.base_classes and len(scenes) > 1:
        raise UsageError(
            f"protocol {protocol.name} counts base classes; those that {info.name} learnt on {trained_on} "
            f"are not {dataset}'s",
            "--protocol pfenet, which counts the novel classes alone",
        )
