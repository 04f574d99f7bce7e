"""The evaluation: episodes in, rows out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.engine.evaluation import evaluate
    from fssbench.results.run_reader import Results

__all__ = ["Results", "evaluate"]

# Imported on use: the evaluation needs torch, planning it does not.
_HOMES = {"Results": "fssbench.results.run_reader", "evaluate": "fssbench.engine.evaluation"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fssbench.engine' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
