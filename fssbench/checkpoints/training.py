"""What weights say of their training: in their metadata, or in the registry of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.checkpoints.files import file_metadata
from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import BrokenFileError, FSSBenchError
from fssbench.files import shipped
from fssbench.ledger.classes import base_classes, class_names
from fssbench.ledger.facts import NETWORK, Facts, declared
from fssbench.ledger.seen import Seen, seen
from fssbench.methods.catalogue import list_methods, method_info
from fssbench.results.weights_record import Trained

if TYPE_CHECKING:
    from fssbench.checkpoints.entry import Record


def stated_training(path: Path) -> Trained | None:
    """Return what the metadata of a safetensors file says of its training; None if it says nothing.

    Raises:
        BrokenFileError: If what it says is not valid.
    """
    metadata = file_metadata(path)
    dataset, fold = metadata.get("dataset", ""), metadata.get("fold", "")
    if not dataset or not (fold.isascii() and fold.isdecimal() and len(fold) < 4):
        return None
    try:
        classes = json.loads(metadata["trained_classes"]) if "trained_classes" in metadata else None
        # The ledger checks names and choices.
        stated = {"novel_images": metadata.get("novel_images"), "chosen_on": metadata.get("chosen_on")}
        facts = declared({**stated, "classes": classes, "source": dataset}, "the metadata") or Facts()
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path}: the classes in its metadata are not JSON") from error
    except FSSBenchError as error:
        raise BrokenFileError(f"{path}: {error.message}") from error
    known = facts.classes if facts.classes is not None else _base_classes(dataset, int(fold))
    return Trained(dataset, int(fold), known, facts.novel_images, facts.chosen_on)


def registered_training(entry: Record, path: Path) -> Trained | None:
    """Return what is known of the training of a registered checkpoint; None if nothing is.

    Args:
        entry: Its record.
        path: Its file.
    """
    if not entry.dataset or entry.fold is None:
        return None
    of_project = entry.registry == shipped("checkpoints.toml")
    if of_project and (entry.url or entry.hub or entry.package):
        return Trained(entry.dataset, entry.fold, _base_classes(entry.dataset, entry.fold), released=True)
    return stated_training(path)


def ledger_of(entry: Record, path: Path | None) -> tuple[Facts, Seen]:
    """Return the ledger of a checkpoint, and which classes that its fold tests were seen in training.

    Args:
        entry: Its record.
        path: Its file; None if it is not on this machine, so that it can say nothing itself.
    """
    info = method_info(entry.method) if entry.method in list_methods() else None
    facts = Facts(pretraining=NETWORK, training="none") if info is None else info.facts(entry.dataset, weak=entry.weak)
    released = entry.registry == shipped("checkpoints.toml") and not entry.path
    if released and entry.dataset:
        classes = None if entry.fold is None else _base_classes(entry.dataset, entry.fold)
        facts = facts.given_more(classes=classes)
    elif not released:
        trained = None if path is None else stated_training(path)
        facts = facts.with_training(
            "the weights" if trained else "the registry",
            training="base tags" if entry.weak else "base masks" if entry.dataset else None,
            classes=trained.classes if trained else None,
            novel_images=trained.novel_images if trained else None,
            chosen_on=trained.chosen_on if trained else None,
        )
    return facts, seen(facts, entry.backbone, entry.dataset, _tested(entry))


def _tested(entry: Record) -> tuple[str, ...] | None:
    """Return the names of the classes that the fold of a checkpoint tests; None if they are not known."""
    every = class_names(entry.dataset)
    base = _base_classes(entry.dataset, entry.fold) if entry.dataset and entry.fold is not None else None
    return None if every is None or base is None else tuple(name for name in every if name not in base)


def _base_classes(dataset: str, fold: int) -> tuple[str, ...] | None:
    return base_classes(dataset, fold) if dataset in list_datasets() else None
