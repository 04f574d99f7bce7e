"""Checks that tensors can be weights. Invalid weights could load without an error and give meaningless numbers."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from fssbench.errors import CheckpointError

_LOG = logging.getLogger(__name__)
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Types whose values are the weights themselves; types of 8 bits and fewer need a separate scale."""

BACKBONE = re.compile(r"(backbone\d*|(original_)?encoder|layer\d)\.")
"""The names of backbones in methods."""

_CLASSIFIER = re.compile(r"backbone\.(_?fc|classifier)\.")
"""Layers in ImageNet files that no method uses."""

_DENSE = "ask for the weights as dense tensors of 16, 32 or 64-bit floating point"


def check_form(key: str, value: Tensor) -> None:
    """Refuse a tensor whose values can't be used directly: none, spread over several tensors, or of another kind.

    Nothing is computed, so a tensor that only claims to be huge costs nothing.

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
        what = f"is not a dense tensor ({'nested' if value.is_nested else layout})"
    elif value.is_complex():
        what = f"holds complex numbers ({dtype}), which no parameter has"
    elif value.dtype.is_floating_point and value.dtype not in _FLOATS:
        what = f"holds {dtype}, whose scale is not part of a state dict"
    if what:
        raise CheckpointError(f"{key} {what}", _DENSE)


def check_values(key: str, value: Tensor) -> None:
    """Refuse NaN and infinity, with which every prediction would be background or invalid.

    Raises:
        CheckpointError: Naming the key and how many of its values are not finite.
    """
    if not value.dtype.is_floating_point:
        return
    # The sum is finite for nearly every valid tensor, and needs no second tensor of that size.
    if value.numel() == 0 or torch.isfinite(value.sum(dtype=torch.float64)):
        return
    count = value.numel() - int(torch.isfinite(value).sum())
    if count:
        raise CheckpointError(
            f"{key} is not finite: {count} of its {value.numel()} values are NaN or infinite",
            "use other weights, e.g. an earlier checkpoint of that training",
        )


def cast(key: str, value: Tensor, own: Tensor) -> Tensor:
    """Return a weight in the type of the method's parameter, if that does not change its meaning.

    Args:
        key: Its name.
        value: A tensor of the same shape as `own`.
        own: The method's tensor of that name.

    Raises:
        CheckpointError: If it is integer or bool where the method has floating point, or the other way round, or if it
            is not finite in the file or in the method's type.
    """
    check_values(key, value)
    # Averaged weights may have floating-point batch counters: 100.0 is a count, 0.5 is not.
    is_count = _kind(own) == "integer" and _kind(value) == "float" and torch.equal(value, value.round())
    if _kind(value) != _kind(own) and not is_count:
        raise CheckpointError(f"{key} holds {_name(value)} where the method has {_name(own)}", _DENSE)
    taken = value.to(own.dtype)
    check_values(key, taken)
    return taken


def check_not_zero(state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are all zero in the backbone or in the rest; warn of a single kernel that is zero.

    Biases, offsets and counters are often zero. All kernels of a part are zero only if it was never loaded. A single
    kernel may start at zero without being trained.

    Args:
        state: All weights of a method, by their names in it.

    Raises:
        CheckpointError: Naming the part.
    """
    kernels = {key: value for key, value in state.items() if value.ndim >= 2 and not _CLASSIFIER.match(key)}
    in_backbone = {key for key in kernels if BACKBONE.match(key)}
    parts = (("the backbone", in_backbone), ("the network behind the backbone", kernels.keys() - in_backbone))
    empty = [key for key, value in kernels.items() if not bool(value.any())]
    for part, keys in parts:
        if keys and keys <= set(empty):
            raise CheckpointError(f"all weights of {part} are zero", "use weights that were trained")
    if empty:
        _LOG.warning("%d of %d kernels are zero throughout, the first %s", len(empty), len(kernels), empty[0])


def _name(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _kind(value: Tensor) -> str:
    if value.dtype == torch.bool:
        return "bool"
    return "float" if value.dtype.is_floating_point else "integer"
