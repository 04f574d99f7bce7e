"""Checkpoints: a registry of records; their files are located or downloaded, read safely and loaded strictly."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.checkpoints.download import fetch
    from fssbench.checkpoints.fetching import locate
    from fssbench.checkpoints.files import file_sha256, recognise, stated_options
    from fssbench.checkpoints.loading import load_into, load_release, read_state
    from fssbench.checkpoints.registry import Record, add, find, record, records

_HOMES = {
    "Record": "registry",
    "add": "registry",
    "fetch": "download",
    "file_sha256": "files",
    "find": "registry",
    "load_into": "loading",
    "load_release": "loading",
    "locate": "fetching",
    "read_state": "loading",
    "recognise": "files",
    "record": "registry",
    "records": "registry",
    "stated_options": "files",
}

__all__ = [
    "Record",
    "add",
    "fetch",
    "file_sha256",
    "find",
    "load_into",
    "load_release",
    "locate",
    "read_state",
    "recognise",
    "record",
    "records",
    "stated_options",
]


def __getattr__(name: str) -> object:
    # Only `loading` needs torch; finding a checkpoint and detecting a broken file do not.
    if name not in _HOMES:
        raise AttributeError(f"module 'fssbench.checkpoints' has no attribute '{name}'")
    return getattr(importlib.import_module(f"fssbench.checkpoints.{_HOMES[name]}"), name)
