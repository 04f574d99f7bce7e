"""Repeatable computation on request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fssbench.errors import UsageError
from fssbench.planning.settings import Settings

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def computing(settings: Settings) -> Iterator[None]:
    """Let torch use algorithms alone that give the same digits each time, if settings ask for that.

    Raises:
        UsageError: If an operation of the method has no such algorithm on the device.
    """
    if not settings.deterministic:
        yield
        return
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # else products on a card are refused; read at the first product
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise UsageError(f"--deterministic: {str(error).split('. ')[0].splitlines()[0]}", "leave it out") from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def described(settings: Settings) -> tuple[str, ...]:
    """Return what may change last digits, for the record of a start."""
    named = {
        "compiled": settings.compiled,
        "compiled_heads": settings.compiled_heads,
        "channels_last": settings.channels_last,
        "deterministic": settings.deterministic,
    }
    return tuple(name for name, chosen in named.items() if chosen)
