"""What a run records of weights from the Hugging Face hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.checkpoints.files import file_sha256, recognise, stored_precision
from fssbench.checkpoints.registry import Record, records
from fssbench.errors import BrokenFileError
from fssbench.hub.snapshots import revision_of
from fssbench.results.weights_record import HubModel

if TYPE_CHECKING:
    from fssbench.hub.networks import HubNetwork

_SHA256 = re.compile(r"[0-9a-f]{64}")


def registered_model(record: Record, path: Path, sha256: str) -> HubModel:
    """Return what a run records of a registered model of the hub.

    Args:
        record: A record with `hub`.
        path: Its file, in the hub's cache.
        sha256: Hex hash of the file.
    """
    return HubModel(record.hub, revision_of(path.parent), sha256, stored_precision(path), record.licence)


def backbone_model(network: HubNetwork) -> HubModel:
    """Return what a run records of a backbone from the hub; its weight files are read.

    Raises:
        BrokenFileError: If a file is not safetensors, is cut short, or has changed since it was downloaded.
    """
    again = "save the model again"
    if network.name.repository:
        again = f"hf download --force-download {network.name.repository} --revision {network.snapshot.revision}"
    for path in network.weights:
        try:
            kind = recognise(path)
        except BrokenFileError as error:
            raise BrokenFileError(error.message, again) from error
        if kind != "safetensors":
            raise BrokenFileError(f"{path} is not a safetensors file, in spite of its name", again)
    hashes = [file_sha256(path) for path in network.weights]
    for path, sha256 in zip(network.weights, hashes, strict=True):
        # The hub's cache names large files by their hash.
        stored = path.resolve().name
        if _SHA256.fullmatch(stored) and stored != sha256:
            raise BrokenFileError(f"{path} is damaged: its sha256 is {sha256[:12]}..., not {stored[:12]}...", again)
    return HubModel(
        repository=network.name.repository,
        revision=network.snapshot.revision,
        sha256=_together(network.weights, hashes),
        precision=" and ".join(sorted({stored_precision(path) for path in network.weights})),
        licence=network.licence or _registered_licence(network.name.repository),
        layers=network.layers,
    )


def _registered_licence(repository: str) -> str:
    """Return the licence of a model that is registered for a method; empty if none is."""
    known = (entry.licence for entry in records() if repository and entry.hub == repository)
    return next(known, "")


def _together(paths: Sequence[Path], hashes: Sequence[str]) -> str:
    """Return the hash of weights: that of the file, or of the names and hashes of several."""
    if len(hashes) == 1:
        return hashes[0]
    lines = (f"{sha256}  {path.name}\n" for path, sha256 in zip(paths, hashes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
