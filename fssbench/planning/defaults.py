"""Which protocol, recipes and options apply to a data set that has none of its own; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from fssbench.datasets.catalogue import dataset_info
from fssbench.methods.catalogue import MethodInfo

T = TypeVar("T")

FROM_SCRATCH = ("small",)
"""The backbones that are trained here; the others have their ImageNet weights."""


def protocol_source(dataset: str, trained_on: str, backbone: str | None) -> str:
    """Return the data set whose default protocol applies. For the user's own data it is that of the training data.

    Args:
        dataset: The evaluated data set.
        trained_on: The data set that the weights were trained on.
        backbone: The named backbone; None if none was named.
    """
    if not dataset_info(dataset).own:
        return dataset
    if not dataset_info(trained_on).own:
        return trained_on
    small = dataset_info(dataset).recipes_of_small if backbone in FROM_SCRATCH else None
    return small or dataset


def recipe_source(dataset: str, backbone: str | None) -> str | None:
    """Return the data set whose recipes apply to one that has no recipes of its own; None if there is none."""
    info = dataset_info(dataset)
    return (info.recipes_of_small if backbone in FROM_SCRATCH else None) or info.recipes_of


def options_source(trained_on: str, info: MethodInfo, backbone: str | None = None) -> str:
    """Return the data set whose options of a method apply; for one without its own, that of `recipe_source`."""
    source = recipe_source(trained_on, backbone)
    return source if source is not None and trained_on not in info.on else trained_on


def build_options(
    info: MethodInfo, variant: str, backbone: str | None, trained_on: str, needed: Mapping[str, T]
) -> dict[str, T]:
    """Return the method's own arguments of `fssbench.build`: those of the training data set, and those that are needed.

    All options that belong to a data set are those of the training data set, even if no parameter depends on them: a
    network is evaluated as it was trained.

    Args:
        info: The method.
        variant: Its variant.
        backbone: Its backbone; None if it has none.
        trained_on: The training data set.
        needed: The options of the weights or of a recipe, which have priority.
    """
    return info.options_on(options_source(trained_on, info, backbone), variant) | dict(needed)
