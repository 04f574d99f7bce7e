"""Where a fold's weights come from: a file, the registry of checkpoints, chance, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fssbench.errors import CheckpointError
from fssbench.results.record import Option, Weights

if TYPE_CHECKING:
    from fssbench.checkpoints import Record
    from fssbench.methods.method import Method

Kind = Literal["checkpoint", "random", "none"]


@dataclass(frozen=True, eq=False)
class Source:
    """Where weights come from.

    Attributes:
        kind: "checkpoint", "random" or "none".
        paths: The checkpoint's file and, where the frozen backbone is kept apart, its file.
        hashes: Their hex sha256.
        checkpoint: Name in the registry, if it was found there.
        options: Arguments of `fssbench.build` that the weights need.
        seed: Seed of random weights.
    """

    kind: Kind
    paths: tuple[Path, ...] = ()
    hashes: tuple[str, ...] = ()
    checkpoint: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    seed: int | None = None

    @property
    def record(self) -> Weights:
        """What the record of a run keeps of it."""
        return Weights(
            kind=self.kind,
            sha256=self.hashes[0] if self.hashes else None,
            backbone_sha256=self.hashes[1] if len(self.hashes) > 1 else None,
            checkpoint=self.checkpoint,
            path=str(self.paths[0]) if self.paths else None,
            seed=self.seed,
        )


def given_source(path: Path, dataset: str, fold: int) -> Source:
    """Return the source for a file that was named.

    Raises:
        MissingError: If it is not there.
        BrokenFileError: If it is no weight file.
        CheckpointError: If the registry knows it as weights for another fold of the data set, whose training has
            seen the classes to be asked.
    """
    from fssbench.checkpoints import file_sha256, recognise, records, stated_options

    recognise(path)
    sha256 = file_sha256(path)
    known = [entry for entry in records() if entry.sha256 == sha256]
    for entry in known:
        if entry.dataset == dataset and entry.fold is not None and all(other.fold != fold for other in known):
            raise CheckpointError(
                f"{path} is {entry.id}: it was trained on classes of fold {fold} and answers fold {entry.fold} only",
                f"--fold {entry.fold}, or a checkpoint for fold {fold}",
            )
    options = known[0].options if known else stated_options(path)
    name = known[0].id if known else None
    return Source("checkpoint", (path,), (sha256,), name, cast("Mapping[str, Option]", options))


def registered_source(entry: Record) -> Source:
    """Return the source for a registered checkpoint.

    Raises:
        MissingError: If its file is not on this machine.
        BrokenFileError: If its file is not the one that was registered.
    """
    from fssbench.checkpoints import file_sha256, locate

    paths = locate(entry)
    return Source("checkpoint", paths, tuple(map(file_sha256, paths)), entry.id, entry.options)


def load(method: Method[Any, Any], source: Source) -> None:
    """Load weights into a method that was built for them; random weights and none need nothing.

    Raises:
        CheckpointError: If they do not fit.
    """
    if source.paths:
        from fssbench.checkpoints import load_into

        load_into(method, *source.paths)
