"""Hashes of weights in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fssbench.checkpoints.hub import backbone_model
from fssbench.hub.networks import HubNetwork
from fssbench.results.weights_record import Weights

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor, nn

    from fssbench.methods.base.method import Method


def weights_in_memory(method: Method[Any, Any]) -> Weights:
    """Return the hash of a method's weights: names, types, shapes and values, in the order of the names."""
    if not method.state_dict():
        return Weights("none")
    sources = [source for part in method.modules() if (source := getattr(part, "source", None)) is not None]
    hub = tuple(backbone_model(source) for source in sources if isinstance(source, HubNetwork))
    return Weights("memory", state_sha256(method), hub=hub)


def state_sha256(module: nn.Module) -> str:
    """Return the hex hash of a module's weights and buffers; see `weights_in_memory`."""
    return _sha256(module.state_dict())


def encoder_sha256(encoder: nn.Module) -> str:
    """Return the hex hash of the weights that decide the output of a frozen encoder.

    Left out are layers that never run, which some releases include and others do not, and the batch counters of batch
    norms, which matter in training only.
    """
    from fssbench.backbones import UnusedLinear

    unused = tuple(f"{name}." for name, layer in encoder.named_modules() if isinstance(layer, UnusedLinear))
    deciding = {
        key: tensor
        for key, tensor in encoder.state_dict().items()
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
