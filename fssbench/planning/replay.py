"""A run again: the request that its record and its episode lists stand for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.hub.names import hub_name, is_hub_name
from fssbench.planning.request import Request
from fssbench.results.arguments import method_argument, protocol_argument
from fssbench.results.record import Run
from fssbench.results.shard import Shard

if TYPE_CHECKING:
    from fssbench.planning.settings import Settings
    from fssbench.results.until import Until


def request_of(run: Run, folder: Path, settings: Settings, root: Path | None = None) -> Request:
    """Return the request that evaluates a run again, on the episode lists in its folder.

    Args:
        run: The record of the run.
        folder: Its folder.
        settings: How to compute; precision and form are those of the run.
        root: Folder of the data; default the recorded one if it is there, else where the data set is found.

    Raises:
        UsageError: If the run can't be evaluated from its record: its weights were in memory, its predictions came from
            files, or it has some folds of several.
    """
    first, options = run.folds[0], dict(run.dataset.options)
    kinds = {"memory": "its weights were those of a Python program", "predictions": "its predictions came from files"}
    if first.weights.kind in kinds:
        raise UsageError(
            f"the run in {folder} can't be replayed: {kinds[first.weights.kind]}",
            "fssbench score counts files again" if first.weights.kind == "predictions" else "run that program again",
        )
    trained_on = run.train_dataset

    def option(name: str) -> str | None:
        value = options.get(name)
        return None if value is None else str(value)

    return Request(
        method=_with_file(method_argument(run.method), folder),
        dataset=run.dataset.name,
        train_dataset=trained_on,
        test_classes=option("test_classes") if trained_on else None,
        allow_leak=True,  # what it tested is on record, and is marked again
        fold=str(first.fold) if len(run.folds) == 1 else "all",
        backbone=_pinned(run, folder),
        variant=run.method.variant,
        task=run.method.task,
        protocol=_with_file(protocol_argument(run.protocol), folder),
        checkpoint=_checkpoint(run, folder),
        random_weights=first.weights.kind == "random",
        seed=first.weights.seed or None,  # 0 is the default, whatever the seed of the list
        weak=bool(run.method.options.get("weak", False)),
        episodes=str(folder / "episodes-fold{fold}.json"),
        limit=run.limit if run.until is None else _most(run, run.until),
        until=None if run.until is None else run.until.half_width,
        together=1 if run.until is None else run.until.together,
        ended=run.until if run.until is not None and run.until.stopped else None,
        labels=option("labels"),
        lists=option("lists"),
        part=option("part"),
        root=root or recorded_root(run),
        settings=replace(settings, precision=run.precision, plain=run.plain),
        shard=None if run.shard is None else Shard(*run.shard),
        cut=run.cut,
        label=run.label,
        label_backbone=run.label_backbone,
    )


def _most(run: Run, rule: Until) -> int | None:
    """Return the limit of a run that the data could end before it."""
    if len(rule.looks) == len(rule.schedule):
        return run.limit
    return None if rule.schedule[-1] >= max(fold.episodes for fold in run.folds) else rule.schedule[-1]


def recorded_root(run: Run) -> Path | None:
    """Return the folder of the data at the last start of a run; None if it is not here."""
    recorded = run.starts[-1].environment.root if run.starts else None
    return Path(recorded) if recorded and Path(recorded).is_dir() else None


def recorded_file(path: str, folder: Path) -> str:
    """Return where a file of a record is: a relative path is of the folder in which the run was started.

    That folder is not on record. It is this one, or most likely one of those that the run folder is in.

    Args:
        path: The file or folder, as it was typed.
        folder: The run folder.
    """
    if Path(path).expanduser().is_absolute() or Path(path).exists():
        return path
    places = (str(place / path) for place in folder.resolve().parents)
    return next((place for place in places if Path(place).exists()), path)


def _with_file(argument: str, folder: Path) -> str:
    """Return the argument of --method or --protocol, with the file that it names where that is now."""
    path, colon, name = argument.rpartition(":")
    return f"{recorded_file(path, folder)}{colon}{name}" if path.endswith((".py", ".toml")) else argument


def _pinned(run: Run, folder: Path) -> str | None:
    """Return the backbone; a model of the Hugging Face hub at the commit of the run."""
    backbone, models = run.method.backbone, run.folds[0].weights.hub
    if backbone is None or not is_hub_name(backbone):
        return backbone
    named = hub_name(backbone)
    if named.folder:
        found = recorded_file(named.folder, folder)
        return backbone if found == named.folder else str(replace(named, folder=found))
    return str(replace(named, revision=models[0].revision)) if models and models[0].revision else backbone


def _checkpoint(run: Run, folder: Path) -> str | None:
    """Return the file of the weights, with {fold} where folds have their own; None for registered ones."""
    weights = [fold.weights for fold in run.folds]
    if weights[0].kind != "checkpoint" or all(one.checkpoint or one.path is None for one in weights):
        return None
    paths = {fold.fold: recorded_file(fold.weights.path or "", folder) for fold in run.folds}
    first = run.folds[0].fold
    if len(set(paths.values())) == 1:
        return paths[first]
    parts = paths[first].split(str(first))
    for place in range(1, len(parts)):
        name = str(first).join(parts[:place]) + "{fold}" + str(first).join(parts[place:])
        if all(name.replace("{fold}", str(fold)) == path for fold, path in paths.items()):
            return name
    raise UsageError(
        f"the run in {folder} can't be replayed: its folds have weights whose names are not alike",
        "fssbench eval, fold by fold, with --checkpoint FILE",
    )
