"""What a feature store has of one encoder: the key of an image, and features that are read and written by it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fssbench.checkpoints.hashes import encoder_sha256, state_sha256
from fssbench.engine.features.jobs import AnyMethod
from fssbench.engine.features.store import FeatureStore, Skeleton, taken_apart
from fssbench.errors import UsageError
from fssbench.fast.pytree import mapped
from fssbench.planning.settings import Settings
from fssbench.version import __version__

_CODE = ("backbones", "fast", "layers", "methods")
"""The packages whose files decide what `encode` returns."""


class StoredEncoder:
    """An encoder and the store of its features.

    Args:
        store: The store.
        key: From `encoder_key`.
        device: Where the method computes.
        rounded: Whether its features are rounded to float16.
    """

    def __init__(self, store: FeatureStore, key: str, device: torch.device, *, rounded: bool = False) -> None:
        self._store, self._key, self._device, self._rounded = store, key, device, rounded
        self._like: Skeleton | None = None

    def key(self, pixels: Tensor) -> str:
        """Return the key of an image, by its pixels as the network takes them, float32 (3, h, w)."""
        digest = hashlib.sha256(f"{self._key} {tuple(pixels.shape)} {pixels.dtype}\n".encode())
        digest.update(pixels.contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def get(self, key: str) -> Any:  # noqa: ANN401 - each method has its own type
        """Return the features of an image; None if the store has none, or no image was encoded yet.

        The first image is always encoded, since nothing in a file says which classes its features have.
        """
        found = None if self._like is None else self._store.get(key, self._like)
        return None if found is None else mapped(found, lambda tensor: tensor.to(self._device, non_blocking=True))

    def put(self, key: str, features: object) -> None:
        """Write the features of an image."""
        if self._like is None and (found := taken_apart(features)) is not None:
            self._like = found[0]
        self._store.put(key, features, rounded=self._rounded)


def encoder_key(method: AnyMethod, settings: Settings, device: torch.device) -> str | None:
    """Return a hash of all that decides what a method makes of given pixels; None if that is not known.

    It is not known of methods from outside: their code may change, and nothing here would show it.
    """
    if method.built is None or method.info is not None:
        return None
    encoder = method.shared_encoder
    cuda = device.type == "cuda"
    code = type(method) if encoder is None else type(method).encode
    facts = {
        "fssbench": (__version__, _code_sha256()),
        "torch": torch.__version__,
        "encode": (code.__module__, code.__qualname__),
        "network": repr(method if encoder is None else encoder),
        "encoded_with": repr(method.encoded_with),
        "weights": state_sha256(method) if encoder is None else encoder_sha256(encoder),
        "built": None
        if encoder is not None
        else (method.built.variant, method.built.backbone, repr(method.built.options)),
        "precision": settings.precision,
        "compiled": settings.compiled,
        "deterministic": settings.deterministic,
        "channels_last": settings.channels_last,
        "device": torch.cuda.get_device_name(device) if cuda else f"cpu {torch.backends.cpu.get_cpu_capability()}",
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@cache
def _code_sha256() -> str:
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(path for name in _CODE for path in (root / name).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def rounded(features: Any) -> Any:  # noqa: ANN401 - each method has its own type
    """Return features whose float32 tensors are rounded to float16 and back.

    Raises:
        UsageError: If a number does not fit.
    """

    def to_half_and_back(tensor: Tensor) -> Tensor:
        if tensor.dtype != torch.float32:
            return tensor
        found = tensor.half().float()
        if not bool(torch.isfinite(found).all()) and bool(torch.isfinite(tensor).all()):
            raise UsageError(
                f"features of this network are too large for float16: up to {float(tensor.abs().max()):.3g}",
                "leave --precision out",
            )
        return found

    return mapped(features, to_half_and_back)
