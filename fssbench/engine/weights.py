"""Where a fold's weights come from: a file, the registry of checkpoints, chance, or nowhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fssbench.errors import MissingError
from fssbench.methods import MethodInfo
from fssbench.results.record import Weights

if TYPE_CHECKING:
    from fssbench.methods.method import Method

Kind = Literal["checkpoint", "random", "none"]


@dataclass(frozen=True)
class Source:
    """Where weights come from.

    Attributes:
        kind: "checkpoint", "random" or "none".
        path: The checkpoint's file.
        sha256: Its hash.
        seed: Seed of random weights.
    """

    kind: Kind
    path: Path | None = None
    sha256: str | None = None
    seed: int | None = None

    @property
    def record(self) -> Weights:
        """What the record of a run keeps of it."""
        return Weights(self.kind, self.sha256, None if self.path is None else str(self.path), self.seed)


def given_source(path: Path) -> Source:
    """Return the source for a file that was named.

    Raises:
        MissingError: If it is not there.
    """
    if not path.is_file():
        raise MissingError(f"there is no checkpoint {path}", "fssbench checkpoints list")
    with path.open("rb") as file:
        return Source("checkpoint", path, hashlib.file_digest(file, "sha256").hexdigest())


def registered_source(info: MethodInfo, variant: str, backbone: str, dataset: str, fold: int, shots: int) -> Source:
    """Return the source for the checkpoint that is registered for this.

    Raises:
        MissingError: If none is registered, or its file is not on this machine.
    """
    from fssbench.checkpoints import find, prepare

    record = find(info.name, variant, backbone, dataset, fold, shots)
    return given_source(prepare(record))


def load(method: Method[Any, Any], source: Source) -> None:
    """Load weights into a method that was built for them; random weights and none need nothing.

    Raises:
        CheckpointError: If they do not fit.
    """
    if source.path is not None:
        from fssbench.checkpoints import load_into

        load_into(method, source.path)
