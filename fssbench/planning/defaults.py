"""By whose rules, recipes and options a data set is asked and trained on that has none of its own. No torch."""

from __future__ import annotations

from fssbench.methods.catalogue import MethodInfo
from fssbench.protocols.rules import OWN_DATA

FROM_SCRATCH = ("small",)
"""The backbones that are trained here; the others have their ImageNet weights."""

EMBEDDED = "shapes20i"
"""The data set that those are made for, whose pictures are small."""


def rules_of(asked: str, trained_on: str, backbone: str | None) -> str:
    """Return the data set whose default protocol holds: of one's own data, that of what the weights were trained on.

    Args:
        asked: The data set that is asked.
        trained_on: The one that the weights were trained on.
        backbone: Its name, if one was said.
    """
    if asked != OWN_DATA:
        return asked
    if trained_on != OWN_DATA:
        return trained_on
    return EMBEDDED if backbone in FROM_SCRATCH else asked


def recipes_like(dataset: str, backbone: str | None) -> str | None:
    """Return the data set whose recipes serve one that has none of its own; None if nothing is like it."""
    from fssbench.datasets.catalogue import REGISTRY

    if dataset == OWN_DATA and backbone in FROM_SCRATCH:
        return EMBEDDED  # Only there such a backbone is trained.
    return REGISTRY.get(dataset).resembles


def configured(trained_on: str, info: MethodInfo, backbone: str | None = None) -> str:
    """Return the data set whose options of a method hold: for one without its own, those of the one that it is like."""
    like = recipes_like(trained_on, backbone)
    return like if like is not None and trained_on not in info.on else trained_on
