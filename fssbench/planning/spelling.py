"""A request in the names of the catalogues: a run records hsnet and pascal5i where HSNet and PASCAL-5i were typed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from fssbench.datasets.catalogue import REGISTRY as DATASETS
from fssbench.methods.build_arguments import known_backbone, known_variant
from fssbench.methods.catalogue import REGISTRY as METHODS
from fssbench.methods.catalogue import list_backbones, method_info
from fssbench.names import known_name

R = TypeVar("R")


def spelled(request: R) -> R:
    """Return a request whose names are those of the catalogues; an unknown name stays, for whoever looks it up.

    Args:
        request: A frozen dataclass with some of the fields method, variant, backbone, dataset and train_dataset.

    Raises:
        UsageError: If a name stands for several, or the method is unknown.
    """
    given: dict[str, Any] = {field.name: getattr(request, field.name) for field in fields(request)}  # type: ignore[arg-type]
    changed = {name: DATASETS.spelled(given[name]) for name in ("dataset", "train_dataset") if given.get(name)}
    backbone, variant, method = given.get("backbone"), given.get("variant"), given.get("method")
    if method:
        changed["method"] = METHODS.spelled(method)
        info = method_info(method)
        if variant:
            variant = changed["variant"] = known_variant(info, variant)
        if backbone:
            changed["backbone"] = known_backbone(info, backbone, variant if variant in info.tasks else None)
    elif backbone:
        changed["backbone"] = known_name("backbone", backbone, list_backbones()) or backbone
    return replace(request, **changed)  # type: ignore[type-var]
