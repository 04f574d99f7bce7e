"""Builds a method by its name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from fssbench.errors import UsageError
from fssbench.methods.base.built import BuiltAs
from fssbench.methods.build_arguments import check_build, check_weak, known_backbone, known_variant
from fssbench.methods.catalogue import REGISTRY, OwnSource, method_info

if TYPE_CHECKING:
    from fssbench.methods.base.method import Method


def build(
    name: str,
    backbone: str | None = None,
    variant: str | None = None,
    way: int = 1,
    shot: int = 1,
    trained_on: str | None = None,
    **options: Any,  # noqa: ANN401 - each method documents its own
) -> Method[Any, Any]:
    """Build a method: eval mode, random weights, nothing downloaded.

    A backbone that is a model of the Hugging Face hub has its own weights, which are frozen; what is not in the hub's
    cache is downloaded.

    Args:
        name: One of `list_methods()`, also as papers write it: "HSNet". So are the other names.
        backbone: One of the variant's backbones; default its first. A method that takes any pyramid also takes a model
            of the hub, `hf:OWNER/NAME[@REVISION][#LAYERS]` or `hf:./FOLDER[#LAYERS]`.
        variant: A variant, for methods that have several, e.g. "fscs"; default its first.
        way: N of the episodes that it will predict.
        shot: K of the episodes that it will predict.
        trained_on: The data set whose released configuration is built, e.g. "coco20i". A release's configurations may
            differ in options that its weights do not show, such as PFENet's pyramid. Default the method's own default,
            which is that of PASCAL-5i if the release has one. `options` have priority.
        **options: The method's own options, e.g. `weak=True` for asnet.

    Raises:
        UsageError: If a name is unknown or the arguments do not fit the method.

    Examples:
        >>> import fssbench
        >>> import torch
        >>> method = fssbench.build("prototype", backbone="small")
        >>> query, supports, masks = torch.rand(3, 96, 96), torch.rand(1, 1, 3, 96, 96), torch.ones(1, 1, 96, 96)
        >>> method.segment(query, supports, masks).labels.shape
        torch.Size([96, 96])
    """
    name = REGISTRY.require(name)
    info = method_info(name)
    variant = None if variant is None else known_variant(info, variant)
    backbone = None if backbone is None else known_backbone(info, backbone, variant)
    check_build(name, backbone, variant, way, shot)
    if trained_on is not None:
        from fssbench.datasets.catalogue import REGISTRY as DATASETS

        trained_on = DATASETS.require(trained_on)
        options = info.options_on(trained_on, variant) | options
    if options.get("weak"):
        check_weak(info, variant)
    cls = REGISTRY.get(name)
    arguments: dict[str, Any] = dict(options, way=way, shot=shot)
    if info.backbones:
        arguments["backbone"] = backbone or info.backbones_for(variant)[0]
    if info.names_variant:
        arguments["variant"] = variant or next(iter(info.tasks))
    try:
        method = cls(**arguments)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        known = [
            option
            for option in inspect.signature(cls).parameters
            if option not in ("backbone", "variant", "way", "shot")
        ]
        raise UsageError(
            f"{name}: {str(error).split(') ')[-1]}; its options: {', '.join(known) or 'none'}",
            "leave it out, or give one of these",
        ) from error
    method.built = BuiltAs(name, arguments.get("variant"), arguments.get("backbone"), way, shot, options, trained_on)
    return method.eval()


def check_unchanged(planned: OwnSource | None, method: Method[Any, Any]) -> None:
    """Refuse a method of one's own that was built of another file than the one that was planned and goes on record.

    Args:
        planned: Its file when the command began; None for a registered method.
        method: As it was built.

    Raises:
        UsageError: If its file was changed in between.
    """
    own = None if method.info is None else method.info.own
    if planned is not None and (own is None or (own.sha256, own.imports) != (planned.sha256, planned.imports)):
        raise UsageError(
            f"{planned.path}, or a file that it imports, was changed while the command began", "type the command again"
        )
