"""Hashes of weights in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fssbench.results.record import Weights

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor, nn

    from fssbench.methods.base.method import Method


def weights_in_memory(method: Method[Any, Any]) -> Weights:
    """Return the hash of a method's weights: names, types, shapes and values, in order of the names."""
    return Weights("memory", state_sha256(method)) if method.state_dict() else Weights("none")


def state_sha256(module: nn.Module) -> str:
    """Return the hex hash of a module's weights, buffers included, as `weights_in_memory` has it."""
    return _sha256(module.state_dict())


def encoder_sha256(encoder: nn.Module) -> str:
    """Return the hex hash of the weights that decide what a frozen encoder makes of an image.

    Left out: layers that never run, which some releases' files hold and others do not, and how many batches a batch
    norm has seen, which matters in training alone.
    """
    from fssbench.backbones import UnusedLinear

    unused = tuple(f"{name}." for name, layer in encoder.named_modules() if isinstance(layer, UnusedLinear))
    deciding = {
        key: its
        for key, its in encoder.state_dict().items()
        if not key.startswith(unused) and not key.endswith("num_batches_tracked")
    }
    return _sha256(deciding)


def _sha256(state: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().to("cpu").contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
