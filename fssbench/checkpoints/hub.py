"""What a run records of weights from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from fssbench.checkpoints.files import stored_precision
from fssbench.checkpoints.registry import Record
from fssbench.hub.snapshots import revision_of
from fssbench.results.record import HubModel


def hub_model(record: Record, path: Path, sha256: str) -> HubModel:
    """Return what a run records of a registered model of the hub.

    Args:
        record: A record with `hub`.
        path: Its file, in the hub's cache.
        sha256: Hex hash of the file.
    """
    return HubModel(record.hub, revision_of(path.parent), sha256, stored_precision(path), record.licence)
