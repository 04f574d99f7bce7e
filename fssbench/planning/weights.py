"""Where the weights of a fold come from: a file, the registry of checkpoints, random initialisation, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.datasets.catalogue import require_training
from fssbench.errors import CheckpointError, MissingError, UsageError
from fssbench.hub.names import hub_name, is_hub_name
from fssbench.results.method_record import Option
from fssbench.results.weights_record import HubModel, Trained, Weights

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
        paths: The file of the checkpoint and, if the frozen backbone has its own file, that file; for two joined
            networks the file of each.
        hashes: Their hex sha256.
        checkpoint: Name in the registry, if it was found there; two names are joined by "+".
        options: Arguments of `fssbench.build` that the weights need.
        seed: Seed of random weights.
        hub: The models of the Hugging Face hub that the weights are of.
        trained: What the weights say of their training; None if nothing says it.
    """

    kind: Kind
    paths: tuple[Path, ...] = ()
    hashes: tuple[str, ...] = ()
    checkpoint: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    seed: int | None = None
    hub: tuple[HubModel, ...] = ()
    trained: Trained | None = None

    @property
    def record(self) -> Weights:
        """Its entry in the record of a run."""
        return Weights(
            kind=self.kind,
            sha256=self.hashes[0] if self.hashes else None,
            backbone_sha256=self.hashes[1] if len(self.hashes) > 1 else None,
            checkpoint=self.checkpoint,
            path=str(self.paths[0]) if self.paths else None,
            seed=self.seed,
            hub=self.hub,
            trained=self.trained,
        )

    def pinned(self, backbone: str | None) -> str | None:
        """Return a backbone as it is built: a model of the Hugging Face hub at the commit of these weights."""
        if backbone is None or not is_hub_name(backbone) or not self.hub:
            return backbone
        return str(replace(hub_name(backbone), revision=self.hub[0].revision))


def file_source(paths: tuple[Path, ...], method: str, dataset: str, fold: int) -> Source:
    """Return the source for a named checkpoint and, if the backbone has its own file, that file.

    Args:
        paths: The checkpoint, and the file of its backbone.
        method: Name of the method.
        dataset: The data set that it was trained on, according to the user.
        fold: The fold whose classes it has not seen.

    Raises:
        MissingError: If a file is missing.
        BrokenFileError: If a file is not a weight file.
        UsageError: If the registry or the file itself says that it was trained on another data set or for another fold,
            so that training has seen the evaluated classes.
        CheckpointError: If the file says that it belongs to another method.
    """
    from fssbench.checkpoints import file_sha256, recognise, records, stated_options
    from fssbench.checkpoints.registry import check_not_seen
    from fssbench.checkpoints.training import registered_training, stated_training

    for path in paths:
        recognise(path)
    hashes = tuple(map(file_sha256, paths))
    _check_trained_on(hashes[0], dataset)
    check_not_seen(hashes[0], method, dataset, fold)
    _check_stated(paths[0], method, dataset, fold)
    known = next((entry for entry in records() if entry.sha256 == hashes[0]), None)
    options = known.options if known else stated_options(paths[0])
    trained = registered_training(known, paths[0]) if known else stated_training(paths[0])
    return Source("checkpoint", paths, hashes, known.id if known else None, options, trained=trained)


def _check_trained_on(sha256: str, dataset: str) -> None:
    """Refuse a file that is registered as trained on another data set.

    Raises:
        UsageError: Naming the record.
    """
    from fssbench.checkpoints import records

    # ImageNet weights belong to no data set.
    known = [entry for entry in records() if entry.sha256 == sha256 and entry.dataset]
    if known and all(entry.dataset != dataset for entry in known):
        raise UsageError(
            f"this file is registered as {known[0].id}: it was trained on {known[0].dataset}, not on {dataset}",
            f"--train-dataset {known[0].dataset}",
        )


def _check_stated(path: Path, method: str, dataset: str, fold: int) -> None:
    """Refuse a file whose metadata names another method, or a training that has seen the evaluated classes.

    Raises:
        CheckpointError: If it belongs to another method.
        UsageError: If it was trained on another data set, or for another fold.
    """
    from fssbench.checkpoints.files import file_metadata
    from fssbench.datasets.catalogue import list_datasets
    from fssbench.methods.catalogue import list_methods

    metadata = file_metadata(path)
    # The file of a backbone, which a prototype method uses, names the backbone.
    if (network := metadata.get("network", method)) != method and network in list_methods():
        raise CheckpointError(f"{path} holds the weights of {network}, not of {method}", f"--method {network}")
    if (trained_on := metadata.get("dataset", dataset)) != dataset and trained_on in list_datasets():
        raise UsageError(
            f"{path} says that it was trained on {trained_on}, not on {dataset}", f"--train-dataset {trained_on}"
        )
    if (trained_fold := metadata.get("fold", str(fold))) != str(fold) and trained_fold.isdecimal():
        raise UsageError(
            f"{path} says that it was trained for fold {trained_fold}: it has seen the classes of fold {fold}",
            f"--fold {trained_fold}, or the file for fold {fold}",
        )


def registered_source(entry: Record) -> Source:
    """Return the source for a registered checkpoint.

    Raises:
        MissingError: If its file is not on this machine.
        BrokenFileError: If its file is not the one that was registered.
    """
    from fssbench.checkpoints import file_sha256, locate
    from fssbench.checkpoints.hub import registered_model
    from fssbench.checkpoints.training import registered_training

    paths = locate(entry)
    hashes = tuple(map(file_sha256, paths))
    hub = (registered_model(entry, paths[0], hashes[0]),) if entry.hub else ()
    trained = registered_training(entry, paths[0])
    return Source("checkpoint", paths, hashes, entry.id, entry.options, hub=hub, trained=trained)


def joined_source(entries: Sequence[Record]) -> Source:
    """Return the source for the registered networks of a joined backbone; see `registered_source`."""
    if len(entries) == 1:
        return registered_source(entries[0])
    parts = list(map(registered_source, entries))
    return Source(
        "checkpoint",
        tuple(path for part in parts for path in part.paths),
        tuple(sha256 for part in parts for sha256 in part.hashes),
        "+".join(entry.id for entry in entries),
        {name: value for entry in entries for name, value in entry.options.items()},
        hub=tuple(model for part in parts for model in part.hub),
    )


def sources_for(
    request: Request, info: MethodInfo, variant: str, backbone: str | None, folds: list[int]
) -> dict[int, Source]:
    """Return where the weights of each fold come from.

    Raises:
        UsageError: If options exclude each other or the method, or the checkpoints do not form one run.
        MissingError: If a checkpoint is missing or not registered.
        BrokenFileError: If a file is not a checkpoint.
    """
    if backbone is not None and is_hub_name(backbone):
        return hub_sources(request, info, variant, backbone, folds)
    return _sources(request, info, variant, backbone, folds)


def hub_sources(request: Request, info: MethodInfo, variant: str, backbone: str, folds: list[int]) -> dict[int, Source]:
    """Return where the weights of each fold come from, if the backbone is a model of the Hugging Face hub.

    Raises:
        UsageError, MissingError, BrokenFileError: As `sources_for`; and if the model is not there or not valid.
    """
    from fssbench.checkpoints.hub import backbone_model
    from fssbench.hub.networks import hub_network

    named = f"{backbone} names the weights of the backbone"
    if request.backbone_weights is not None:
        raise UsageError(f"{named}, and --backbone-weights others", "leave --backbone-weights out")
    if not info.trainable and (request.checkpoint is not None or request.random_weights):
        option = "--random-weights" if request.random_weights else "--checkpoint"
        raise UsageError(f"{named}, and {info.name} has no others", f"leave {option} out")
    model = backbone_model(hub_network(backbone))
    if not info.trainable:
        return dict.fromkeys(folds, Source("checkpoint", hashes=(model.sha256,), hub=(model,)))
    sources = _sources(request, info, variant, backbone, folds)
    for source in sources.values():
        _check_hub(source, model, backbone)
    return {
        fold: replace(source, hashes=(*source.hashes[:1], model.sha256) if source.hashes else (), hub=(model,))
        for fold, source in sources.items()
    }


def _check_hub(source: Source, model: HubModel, backbone: str) -> None:
    """Refuse a checkpoint that says it was trained on another backbone.

    Raises:
        CheckpointError: If its metadata names another model, or other layers.
    """
    from fssbench.checkpoints.files import file_metadata

    stated = file_metadata(source.paths[0]) if source.paths else {}
    layers = ",".join(map(str, model.layers))
    for what, mine in (("backbone_sha256", model.sha256), ("backbone_layers", layers)):
        if stated.get(what, mine) != mine:
            raise CheckpointError(
                f"{source.paths[0]} was trained on another backbone than {backbone}: "
                f"{what.replace('_', ' ')} {stated[what][:12]}, not {mine[:12]}",
                f"--backbone {stated.get('backbone', 'NAME')}",
            )


def _sources(
    request: Request, info: MethodInfo, variant: str, backbone: str | None, folds: list[int]
) -> dict[int, Source]:
    if not info.needs_weights and request.checkpoint is None:
        return dict.fromkeys(folds, Source("none"))
    if not info.needs_weights and info.own is None:
        raise UsageError(f"{info.name} has no weights", "leave --checkpoint out")
    if request.random_weights:
        return dict.fromkeys(folds, Source("random", options=info.random_with, seed=request.seed or 0))
    require_training(request.trained_on, "--train-dataset NAME, or --random-weights")
    if request.checkpoint is not None:
        sources = _given_sources(request.checkpoint, request, folds, shared=info.training == "training-free")
    elif info.own is not None:
        raise UsageError(
            f"{info.name} needs weights, and none were named",
            "--checkpoint FILE, or --random-weights; or has_weights = False in the class that loads its own",
        )
    else:
        from fssbench.checkpoints import find
        from fssbench.checkpoints.fetching import absent_together, present

        name, weak, shots = request.trained_on, request.weak, request.shots
        # Networks that are joined by "+" have a record each.
        networks = (backbone or "").split("+")
        found = {
            fold: [find(info.name, variant, one, name, fold, weak=weak, shots=shots) for one in networks]
            for fold in folds
        }
        # Folds with the same weights read their files once.
        distinct = {tuple(entry.id for entry in entries): entries for entries in found.values()}
        needed = [entry for entries in distinct.values() for entry in entries]
        missing = [entry for entry in needed if not present(entry)]
        if len(missing) > 1:
            raise absent_together(missing, needed)
        made = {ids: joined_source(entries) for ids, entries in distinct.items()}
        sources = {fold: made[tuple(entry.id for entry in entries)] for fold, entries in found.items()}
    first = next(iter(sources.values()))
    if other := next((one for one in sources.values() if dict(one.options) != dict(first.options)), None):
        raise UsageError(
            f"the checkpoints need different options: {other.paths[0]} {dict(other.options)}, "
            f"{first.paths[0]} {dict(first.options)}",
            "evaluate fold by fold",
        )
    return sources


def _given_sources(name: str, request: Request, folds: list[int], *, shared: bool) -> dict[int, Source]:
    """Return the source of each fold for a named checkpoint; `shared`: all folds may have the same one."""
    if len(folds) > 1 and "{fold}" not in name and not (shared and Path(name).is_file()):
        if not Path(name).is_file():
            raise MissingError(f"there is no checkpoint {name}", "fssbench checkpoints list")
        raise UsageError(
            "each fold has its own checkpoint: with several folds, the name after --checkpoint contains {fold}",
            "--checkpoint 'DIR/fold{fold}.pt', or --fold 0",
        )
    return {fold: file_source(_files(request, fold), request.method, request.trained_on, fold) for fold in folds}


def _files(request: Request, fold: int) -> tuple[Path, ...]:
    names = (request.checkpoint, request.backbone_weights)
    return tuple(Path(name.replace("{fold}", str(fold))) for name in names if name is not None)
