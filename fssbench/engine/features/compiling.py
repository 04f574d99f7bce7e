"""Compiles the encoder by torch before its first call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from fssbench.errors import UsageError

Features = TypeVar("Features")

_UNFINISHED = re.compile(r"(/\S+\.so): file too short")
"""A library of torch's cache, which is not written at once."""


def compiled(encode: Callable[[Tensor], Features]) -> Callable[[Tensor], Features]:
    """Return `encode`, which is compiled at its first call, and again for images of another shape.

    Raises:
        UsageError: At the first call, if torch can't compile it here.
    """
    ready: Callable[[Tensor], Features] = torch.compile(encode)

    def call(images: Tensor) -> Features:
        try:
            return ready(images)
        except Exception as error:
            reason = compiler_reason(error)
            if reason is None:
                raise
            unfinished = _UNFINISHED.search(reason)
            raise UsageError(
                f"--compile: torch can't compile the encoder here: {reason}",
                f"remove {unfinished[1]}, which a command that was killed has left"
                if unfinished
                else "install a C++ compiler (g++, or CXX=...), or leave --compile out",
            ) from error

    return call


def compiler_reason(error: Exception) -> str | None:
    """Return the first line of what torch's compiler says; None if the error is of something else."""
    # Imported here because it takes seconds; after an error of the compiler it is imported already.
    from torch._dynamo.exc import TorchDynamoException

    if not isinstance(error, TorchDynamoException):
        return None
    return next((line for line in str(error).splitlines() if line), type(error).__name__)
