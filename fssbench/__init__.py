"""fssbench: measure few-shot semantic segmentation methods on the same episodes.

Nothing heavy is imported until a name is used: `import fssbench` costs milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from fssbench.version import __version__

if TYPE_CHECKING:
    from fssbench.checkpoints import load_release
    from fssbench.comparison import plan
    from fssbench.datasets import open_dataset
    from fssbench.datasets.catalogue import list_datasets
    from fssbench.engine import evaluate
    from fssbench.episode import Episode, EpisodeList, episodes
    from fssbench.errors import FSSBenchError
    from fssbench.methods.building import build
    from fssbench.methods.catalogue import list_methods
    from fssbench.metrics.summary import summarise
    from fssbench.photos import load
    from fssbench.photos.segment import segment
    from fssbench.protocols.rules import list_protocols
    from fssbench.publications.load import published

_HOMES = {
    "Episode": "fssbench.episode",
    "EpisodeList": "fssbench.episode",
    "FSSBenchError": "fssbench.errors",
    "build": "fssbench.methods",
    "episodes": "fssbench.episode",
    "evaluate": "fssbench.engine",
    "list_datasets": "fssbench.datasets",
    "list_methods": "fssbench.methods",
    "list_protocols": "fssbench.protocols.rules",
    "load": "fssbench.photos",
    "load_release": "fssbench.checkpoints",
    "open_dataset": "fssbench.datasets",
    "plan": "fssbench.comparison",
    "published": "fssbench.publications.load",
    "segment": "fssbench.photos",
    "summarise": "fssbench.metrics.summary",
}

__all__ = [
    "Episode",
    "EpisodeList",
    "FSSBenchError",
    "__version__",
    "build",
    "episodes",
    "evaluate",
    "list_datasets",
    "list_methods",
    "list_protocols",
    "load",
    "load_release",
    "open_dataset",
    "plan",
    "published",
    "segment",
    "summarise",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fssbench' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
