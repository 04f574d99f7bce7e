"""Whether a tensor can be a weight: what loads without an error and still gives a number of nothing is refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from fssbench.errors import CheckpointError

_LOG = logging.getLogger(__name__)
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The types whose values are the weights themselves; those of 8 bits and fewer need a scale from elsewhere."""

BACKBONE = re.compile(r"(backbone\d*|encoder|layer\d)\.")
"""Where the methods keep their backbones."""

_CLASSIFIER = re.compile(r"backbone\.(fc|classifier)\.")
"""What ImageNet's files hold besides, and no method uses."""

_DENSE = "ask for the weights as dense tensors of 16, 32 or 64-bit floating point"


def check_form(key: str, value: Tensor) -> None:
    """Refuse a tensor whose values can't be read as they are: none, spread over several tensors, or of another kind.

    Nothing is computed, so that a tensor that only claims to be huge costs nothing.

    Raises:
        CheckpointError: If it is on the meta device, quantised, sparse, nested, complex, or floating-point of 8 bits or
            fewer, naming the key and the type.
    """
    dtype = _name(value)
    layout = str(value.layout).removeprefix("torch.")
    what = ""
    if value.is_meta:
        what = "has a shape but no values: it was saved from the meta device"
    elif value.is_quantized:
        what = f"is quantised ({dtype})"
    elif value.is_nested or value.layout != torch.strided:
        what = f"is no dense tensor ({'nested' if value.is_nested else layout})"
    elif value.is_complex():
        what = f"holds complex numbers ({dtype}), which no parameter has"
    elif value.dtype.is_floating_point and value.dtype not in _FLOATS:
        what = f"holds {dtype}, whose scale is not part of a state dict"
    if what:
        raise CheckpointError(f"{key} {what}", _DENSE)


def check_values(key: str, value: Tensor) -> None:
    """Refuse NaN and infinity, after which every answer is background or nothing.

    Raises:
        CheckpointError: Naming the key and how many of its values are not finite.
    """
    if not value.dtype.is_floating_point:
        return
    # The sum is finite for nearly every sound tensor and needs no second one of its size.
    if value.numel() == 0 or torch.isfinite(value.sum(dtype=torch.float64)):
        return
    count = value.numel() - int(torch.isfinite(value).sum())
    if count:
        raise CheckpointError(
            f"{key} is not finite: {count} of its {value.numel()} values are NaN or infinite",
            "other weights, e.g. an earlier checkpoint of that training",
        )


def cast(key: str, value: Tensor, own: Tensor) -> Tensor:
    """Return a weight in the type of the method's own, where that keeps what it is.

    Args:
        key: Its name.
        value: Of the same shape as `own`.
        own: What the method has under that name.

    Raises:
        CheckpointError: If it is integer or bool where the method has floating point, the other way round, or not
            finite, in the file or in the method's type.
    """
    check_values(key, value)
    # Averaged weights may keep their batch counters in floating point: 100.0 is a count, 0.5 is none.
    is_count = _kind(own) == "integer" and _kind(value) == "float" and torch.equal(value, value.round())
    if _kind(value) != _kind(own) and not is_count:
        raise CheckpointError(f"{key} holds {_name(value)} where the method has {_name(own)}", _DENSE)
    taken = value.to(own.dtype)
    check_values(key, taken)
    return taken


def check_not_zero(state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are zero throughout, in the backbone or in what stands behind it; warn of a kernel that is.

    Biases, offsets and counters are often zero; all kernels of a part are only where it was never filled. A single
    kernel may start at zero, and be no part of what was trained.

    Args:
        state: All weights of a method, under their names in it.

    Raises:
        CheckpointError: Naming the part.
    """
    kernels = {key: value for key, value in state.items() if value.ndim >= 2 and not _CLASSIFIER.match(key)}
    in_backbone = {key for key in kernels if BACKBONE.match(key)}
    parts = (("the backbone", in_backbone), ("the network behind the backbone", kernels.keys() - in_backbone))
    empty = [key for key, value in kernels.items() if not bool(value.any())]
    for part, keys in parts:
        if keys and keys <= set(empty):
            raise CheckpointError(f"all weights of {part} are zero", "weights that were trained")
    if empty:
        _LOG.warning("%d of %d kernels are zero throughout, the first %s", len(empty), len(kernels), empty[0])


def _name(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _kind(value: Tensor) -> str:
    if value.dtype == torch.bool:
        return "bool"
    return "float" if value.dtype.is_floating_point else "integer"
