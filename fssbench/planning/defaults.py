"""By whose protocol, recipes and options a data set without its own is evaluated and trained on. No torch."""

from __future__ import annotations

from fssbench.datasets.catalogue import dataset_info
from fssbench.methods.catalogue import MethodInfo

FROM_SCRATCH = ("small",)
"""The backbones that are trained here; the others have their ImageNet weights."""


def protocol_source(dataset: str, trained_on: str, backbone: str | None) -> str:
    """Return the data set whose default protocol holds: of one's own data, that of what the weights were trained on.

    Args:
        dataset: The data set that is evaluated on.
        trained_on: The one that the weights were trained on.
        backbone: The name that was given, if one was.
    """
    if not dataset_info(dataset).own:
        return dataset
    if not dataset_info(trained_on).own:
        return trained_on
    small = dataset_info(dataset).recipes_of_small if backbone in FROM_SCRATCH else None
    return small or dataset


def recipe_source(dataset: str, backbone: str | None) -> str | None:
    """Return the data set whose recipes serve one that has none of its own; None if there is none."""
    info = dataset_info(dataset)
    return (info.recipes_of_small if backbone in FROM_SCRATCH else None) or info.recipes_of


def options_source(trained_on: str, info: MethodInfo, backbone: str | None = None) -> str:
    """Return the data set whose options of a method hold: for one without its own, those of `recipe_source`."""
    source = recipe_source(trained_on, backbone)
    return source if source is not None and trained_on not in info.on else trained_on
