"""What a method does in each step, counted exactly: calls, floating-point operations, bytes written and bytes copied.

Counts are the same on every machine and with every number of threads, so what grew is the code's work. Products and
convolutions are not computed, which would take nearly all of the time: their results are zeros of the right shape and
layout. Which positions a mask keeps is computed, as the amount of work depends on it. Where it depends on values of
maps too (PPNet's k-means, the mask proposals of methods on SAM), what is counted is the work for maps of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from kernels import ellipse
from torch import Tensor
from torch._ops import OpOverload
from torch._prims_common import suggest_memory_format

import fssbench
from fssbench.engine.profiling.flops import Watching, operations_of
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import MethodInfo, method_info
from fssbench.protocols.rules import protocol

BRIEF_SIDE = 144
"""Of the images at which every method is counted in a second."""
SIDE_OF_PHOTOS = 473
"""Taken for a protocol in which each image keeps its size."""
LARGE = ("resnet50", "vgg16", "swin-b", "vit-b16-384")
"""Backbones with which methods are counted at the size of their protocol, the first that a method has."""
LONG_TO_BUILD = ("vit-b16-384",)
"""Those of them that the smallest images are not counted with."""
ONE_SIZE = ("asnet", "asnet-hm")
"""Methods that take no images as small as `BRIEF_SIDE`."""
LONG = ("matcher", "oslsm")
"""Methods that take seconds with the smallest images, too."""

_ATEN = torch.ops.aten
_COPYING = {
    "_reshape_copy", "_to_copy", "cat", "clone", "constant_pad_nd", "copy_", "flip", "gather", "index", "index_select",
    "repeat", "repeat_interleave", "roll", "stack",
}  # fmt: skip
"""Operations that move values and compute none."""
_WRITING_NOTHING = {
    "_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided",
}  # fmt: skip
_DRAWING = {"normal_", "random_", "uniform_"}


@dataclass(frozen=True)
class Counts:
    """What a step does.

    Attributes:
        calls: How many operations torch runs; views and allocations are none.
        operations: Floating-point operations of products, convolutions and attention; a multiply-add is two.
        bytes_written: Size of what all calls return or change.
        bytes_copied: The part of it that is written by calls that only move values.
    """

    calls: int
    operations: int
    bytes_written: int
    bytes_copied: int


COUNTED = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True)
class Case:
    """A method as it is counted.

    Attributes:
        method: Its name.
        backbone: That of the method.
        side: Of the images, in pixels.
        shots: K.
        brief: Whether it takes at most a second; tests count these.
    """

    method: str
    backbone: str
    side: int
    shots: int
    brief: bool

    def __str__(self) -> str:
        return f"{self.method} ({self.backbone}, {self.side} x {self.side}, {self.shots}-shot)"


def cases(names: Sequence[str] | None = None) -> list[Case]:
    """Return how methods are counted; those without a backbone are not.

    Args:
        names: Of the methods; default all.
    """
    found = []
    for name in fssbench.list_methods() if names is None else names:
        info = method_info(name)
        large = next((backbone for backbone in LARGE if backbone in info.backbones_for(None)), None)
        small = info.small_backbone_for(None) if large is None or large in LONG_TO_BUILD else large
        if small is not None:
            side = _side(info) if name in ONE_SIZE else BRIEF_SIDE
            found.append(Case(name, small, side, 1, brief=name not in LONG))
        if large is not None:
            sizes = [Case(name, large, _side(info), shots, brief=False) for shots in (1, 5)]
            found += [case for case in sizes if name not in ONE_SIZE or case.shots > 1]
    return found


def count(case: Case, *, computing: bool = False) -> dict[str, Counts]:
    """Return the counts of each step of the form in which a method is evaluated, for one image, support or episode.

    Args:
        case: What is counted.
        computing: Whether products are computed, too; that only takes longer.
    """
    with Counter(computing=computing):
        info = method_info(case.method)
        options = dict(info.random_with) | (dict(info.tried_with) if case.backbone not in LARGE else {})
        plain = fssbench.build(case.method, case.backbone, shot=case.shots, **options)
    method, size = fast_form(plain), (case.side, case.side)
    image, mask = torch.zeros(1, 3, *size), ellipse(case.side, 0.2)
    found: dict[str, Counts] = {}

    def counted(step: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - each step returns something else
        with Counter(computing=computing) as counter:
            result = call()
        found[step] = counter.counts
        return result

    with torch.inference_mode():
        # What is computed only once, such as codes of positions, was computed for the first image.
        first = counted("encode", lambda: method.encode(image))
        each_step(method, first, image, mask, counted)
    return found


def each_step(
    method: Method[Any, Any], first: object, image: Tensor, mask: Tensor, run: Callable[[str, Callable[[], Any]], Any]
) -> None:
    """Run the steps of an episode whose supports are all the same one.

    Args:
        method: The method.
        first: The features of the query.
        image: The support, float32 (1, 3, H, W).
        mask: Its mask, uint8 (1, H, W).
        run: Given the name of each step and what it does; it returns what that returns.
    """
    features = run("encode", lambda: method.encode(image))
    support = run("condition", lambda: conditioned(method, features, mask))
    query = run("prepare_query", lambda: method.prepare_query(first))
    size = (image.shape[-2], image.shape[-1])
    run("predict", lambda: method.predict_many([query], [[[support] * method.shot] * method.way], [size]))


def conditioned(method: Method[Any, Any], features: object, mask: Tensor) -> object:
    """Return what a method keeps of a support, whose class is a dog if it reads names."""
    support = method.condition(features, mask)
    return method.with_names(support, ["dog"]) if method.reads_class_names else support


class Counter(Watching):  # type: ignore[no-untyped-call]
    """Counts what runs inside its context; random numbers are not drawn, and products only if `computing`."""

    def __init__(self, *, computing: bool = False) -> None:
        super().__init__()
        self.computing = computing
        self.counts = Counts(0, 0, 0, 0)

    def run(self, func: OpOverload, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 - as torch
        """Run an operation and count it."""
        name = func.overloadpacket.__name__
        if name in _DRAWING:
            return args[0].zero_()
        out = func(*args, **keywords) if self.computing else _uncomputed(func, args, keywords)
        is_view = any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)
        if not is_view and name not in _WRITING_NOTHING:
            size = sum(tensor.nbytes for tensor in _tensors(out))
            known = self.counts
            self.counts = Counts(
                known.calls + 1,
                known.operations + operations_of(func, args, keywords, out),
                known.bytes_written + size,
                known.bytes_copied + size * (name in _COPYING),
            )
        return out


def _uncomputed(func: OpOverload, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Return what an operation returns; of a product or convolution zeros in its place."""
    if func.overloadpacket in (_ATEN.mm, _ATEN.addmm, _ATEN.bmm, _ATEN.baddbmm):
        if "out" in keywords:
            return keywords["out"].zero_()
        return args[-1].new_zeros(_on_meta(func, args, keywords).shape)
    if func.overloadpacket in (_ATEN.addmm_, _ATEN.baddbmm_):
        return args[0]
    if func is _ATEN.convolution.default:
        image, weight = args[:2]
        # As torch's: the layout of the result is channels_last if that of the image or of the weights is.
        layouts = [suggest_memory_format(tensor) for tensor in (image, weight) if tensor.ndim == 4]
        layout = torch.channels_last if torch.channels_last in layouts else torch.contiguous_format
        return image.new_zeros(_on_meta(func, args, keywords).shape).contiguous(memory_format=layout)
    return func(*args, **keywords)


def _on_meta(func: OpOverload, args: tuple[Any, ...], keywords: dict[str, Any]) -> Tensor:
    """Return a result without values, from which its shape is read."""

    def without_values(value: object) -> object:
        return value.to("meta") if isinstance(value, Tensor) else value

    given = {key: without_values(value) for key, value in keywords.items()}
    out: Tensor = func(*map(without_values, args), **given)
    return out


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _side(info: MethodInfo) -> int:
    name = info.protocols.get("fss") or next(iter(info.protocols.values()))
    return protocol(name).input[0] or SIDE_OF_PHOTOS
