"""Where a fold's weights come from: a file, the registry of checkpoints, chance, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.datasets.catalogue import require_training
from fssbench.errors import CheckpointError, MissingError, UsageError
from fssbench.results.record import Option, Weights

if TYPE_CHECKING:
    from fssbench.checkpoints import Record
    from fssbench.methods.catalogue import MethodInfo
    from fssbench.planning.request import Request

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


def file_source(paths: tuple[Path, ...], method: str, dataset: str, fold: int) -> Source:
    """Return the source for a checkpoint that was named and, where it is kept apart, the file of its backbone.

    Args:
        paths: The checkpoint, and the file of its backbone.
        method: Name of the method.
        dataset: What it is said to be trained on.
        fold: The fold whose classes it has not seen.

    Raises:
        MissingError: If it is not there.
        BrokenFileError: If it is no weight file.
        UsageError: If the registry knows it, or it says of itself, that it is of another data set, or for another
            fold, whose training has seen the classes to be asked.
        CheckpointError: If it says that it is of another method.
    """
    from fssbench.checkpoints import file_sha256, recognise, records, stated_options
    from fssbench.checkpoints.registry import check_not_seen

    for path in paths:
        recognise(path)
    hashes = tuple(map(file_sha256, paths))
    _check_trained_on(hashes[0], dataset)
    check_not_seen(hashes[0], method, dataset, fold)
    _check_stated(paths[0], method, dataset, fold)
    known = next((entry for entry in records() if entry.sha256 == hashes[0]), None)
    options = known.options if known else stated_options(paths[0])
    return Source("checkpoint", paths, hashes, known.id if known else None, options)


def _check_trained_on(sha256: str, dataset: str) -> None:
    """Refuse a file that is registered as trained on another data set than is said.

    Raises:
        UsageError: Naming the record.
    """
    from fssbench.checkpoints import records

    # Weights of ImageNet belong to no data set.
    known = [entry for entry in records() if entry.sha256 == sha256 and entry.dataset]
    if known and all(entry.dataset != dataset for entry in known):
        raise UsageError(
            f"this file is registered as {known[0].id}: it was trained on {known[0].dataset}, not on {dataset}",
            f"--train-dataset {known[0].dataset}",
        )


def _check_stated(path: Path, method: str, dataset: str, fold: int) -> None:
    """Refuse a file that says of itself that it is of another method, or has seen the classes to be asked.

    Raises:
        CheckpointError: If it is of another method.
        UsageError: If it was trained on another data set, or for another fold.
    """
    from fssbench.checkpoints.files import stated
    from fssbench.datasets.catalogue import list_datasets
    from fssbench.methods.catalogue import list_methods

    said = stated(path)
    # A backbone's own file, say for a prototype method, names the backbone.
    if (network := said.get("network", method)) != method and network in list_methods():
        raise CheckpointError(f"{path} holds the weights of {network}, not of {method}", f"--method {network}")
    if (trained_on := said.get("dataset", dataset)) != dataset and trained_on in list_datasets():
        raise UsageError(
            f"{path} says that it was trained on {trained_on}, not on {dataset}", f"--train-dataset {trained_on}"
        )
    if (its := said.get("fold", str(fold))) != str(fold) and its.isdecimal():
        raise UsageError(
            f"{path} says that it was trained for fold {its}: it has seen the classes of fold {fold}",
            f"--fold {its}, or the file for fold {fold}",
        )


def registered_source(entry: Record) -> Source:
    """Return the source for a registered checkpoint.

    Raises:
        MissingError: If its file is not on this machine.
        BrokenFileError: If its file is not the one that was registered.
    """
    from fssbench.checkpoints import file_sha256, locate

    paths = locate(entry)
    return Source("checkpoint", paths, tuple(map(file_sha256, paths)), entry.id, entry.options)


def sources_for(
    request: Request, info: MethodInfo, variant: str, backbone: str | None, folds: list[int]
) -> dict[int, Source]:
    """Return where the weights of each fold come from, as somebody asked for it.

    Raises:
        UsageError: If options exclude each other or the method, or the checkpoints do not make one run.
        MissingError: If a checkpoint is not there or not registered.
        BrokenFileError: If a file is no checkpoint.
    """
    if not info.needs_weights and request.checkpoint is None:
        return dict.fromkeys(folds, Source("none"))
    if not info.needs_weights and info.own is None:
        raise UsageError(f"{info.name} has no weights", "leave --checkpoint out")
    if request.random_weights:
        return dict.fromkeys(folds, Source("random", seed=request.seed or 0))
    require_training(request.trained_on, "--train-dataset NAME says on what; or --random-weights")
    if request.checkpoint is not None:
        sources = _given_sources(request.checkpoint, request, folds)
    elif info.own is not None:
        raise UsageError(
            f"{info.name} has weights, and none were named",
            "--checkpoint FILE, or --random-weights; or has_weights = False in the class that loads its own",
        )
    else:
        from fssbench.checkpoints import find

        name, weak, shots = request.trained_on, request.weak, request.shots
        found = [find(info.name, variant, backbone or "", name, fold, weak=weak, shots=shots) for fold in folds]
        sources = {fold: registered_source(entry) for fold, entry in zip(folds, found, strict=True)}
    first = next(iter(sources.values()))
    if other := next((its for its in sources.values() if dict(its.options) != dict(first.options)), None):
        raise UsageError(
            f"the checkpoints differ in what they need: {other.paths[0]} {dict(other.options)}, "
            f"{first.paths[0]} {dict(first.options)}",
            "evaluate fold by fold",
        )
    return sources


def _given_sources(name: str, request: Request, folds: list[int]) -> dict[int, Source]:
    if len(folds) > 1 and "{fold}" not in name:
        if not Path(name).is_file():
            raise MissingError(f"there is no checkpoint {name}", "fssbench checkpoints list")
        raise UsageError(
            "each fold has its own checkpoint: for all folds the name after --checkpoint says where the fold goes",
            "--checkpoint 'DIR/fold{fold}.pt', or --fold 0",
        )
    return {fold: file_source(_files(request, fold), request.method, request.trained_on, fold) for fold in folds}


def _files(request: Request, fold: int) -> tuple[Path, ...]:
    names = (request.checkpoint, request.backbone_weights)
    return tuple(Path(name.replace("{fold}", str(fold))) for name in names if name is not None)
