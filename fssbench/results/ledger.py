"""The ledger of a run: what its weights have seen of the tested classes, and what the method was given."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from fssbench.files import shipped
from fssbench.ledger.classes import base_classes, class_names
from fssbench.ledger.facts import FACTS, NETWORK, Facts, declared
from fssbench.ledger.seen import Seen, seen
from fssbench.methods.catalogue import is_built_in, method_info
from fssbench.results.weights_record import Trained

if TYPE_CHECKING:
    from fssbench.results.record import FoldRecord, Run
    from fssbench.results.weights_record import Weights


def ledger_of(run: Run) -> tuple[Facts, Seen]:
    """Return the facts of a run, and which of its test classes were seen in training.

    The facts are those of the method, as far as the weights are those of its release. Of others is stated what they say
    themselves, which `fssbench train` writes. Of weights that say nothing, and of predictions, nothing is known.
    """
    every = [_of_fold(run, fold) for fold in run.folds]
    if not every:
        return Facts(), Seen(None, None, None, None, None)
    return _alike([facts for facts, _ in every]), _together([found for _, found in every])


def _of_fold(run: Run, fold: FoldRecord) -> tuple[Facts, Seen]:
    tested = fold.class_names or _named(run.dataset.name, fold.classes)

    def with_seen(facts: Facts) -> tuple[Facts, Seen]:
        return facts, seen(facts, run.method.backbone, run.dataset.name, tested, fold.leaking)

    usual = with_seen(_of_method(run))
    # A network that is known to have seen the classes is taken for it by its name alone; one that has not is not.
    return usual if usual[1].masks and fold.weights.kind == "checkpoint" else with_seen(_facts(run, fold))


def _named(dataset: str, classes: tuple[int, ...]) -> tuple[str, ...] | None:
    """Return the names of label values, which count from 1; None if they are not known without the data set's files."""
    names = class_names(dataset)
    if names is None or any(not 1 <= value <= len(names) for value in classes):
        return None
    return tuple(names[value - 1] for value in classes)


def _facts(run: Run, fold: FoldRecord) -> Facts:
    weights, facts = fold.weights, _of_method(run)
    if weights.kind == "random":
        return facts.given_more(pretraining=(), training="none", novel_images="none", chosen_on="nothing", classes=None)
    if weights.kind == "none":
        return facts
    if weights.kind == "predictions":
        return Facts()
    trained = weights.trained or _registered(weights)
    if trained is not None and trained.released:
        return facts
    if trained is not None:
        return facts.with_training(
            "the weights",
            training="base tags" if run.method.options.get("weak") is True else "base masks",
            classes=trained.classes,
            novel_images=trained.novel_images,
            chosen_on=trained.chosen_on,
            pretraining=facts.pretraining or NETWORK,
        )
    if run.method.ledger or _is_of_networks(run, weights):
        return facts
    return Facts(adapts=facts.adapts, given=facts.given, source=facts.source, sources=facts.sources)


def _of_method(run: Run) -> Facts:
    """Return the facts of the method of a run."""
    name = run.method.name
    if run.method.code is None and is_built_in(name):
        weak = run.method.options.get("weak") is True
        key = run.train_dataset or run.dataset.name
        return method_info(name).facts(key, run.method.task, weak=weak, variant=run.method.variant)
    # What is not valid was refused when run.json was read.
    return declared(dict(run.method.ledger), name) or Facts()


@cache
def _shipped() -> dict[str, Trained | None]:
    """Return what the shipped registry knows of the training of each checkpoint; None for a network alone."""
    # The registry is not used here: importing its schema takes longer than a table.
    raw = tomllib.loads(shipped("checkpoints.toml").read_text(encoding="utf-8"))["checkpoint"]
    return {
        one["id"]: Trained(one["dataset"], one["fold"], released="path" not in one) if one.get("dataset") else None
        for one in raw
    }


def _registered(weights: Weights) -> Trained | None:
    """Return what is known of the training of registered weights, for a run of an earlier version."""
    found = _shipped().get(weights.checkpoint or "")
    if found is None or found.fold is None:
        return None
    return replace(found, classes=base_classes(found.dataset, found.fold))


def _is_of_networks(run: Run, weights: Weights) -> bool:
    """Return whether the weights are those of public networks alone, registered or of the hub."""
    if weights.hub and run.method.code is None and is_built_in(run.method.name):
        return not method_info(run.method.name).trainable
    names, known = (weights.checkpoint or "").split("+"), _shipped()
    return all(name in known and known[name] is None for name in names)


def _alike(every: list[Facts]) -> Facts:
    """Return the facts of all folds; one in which they differ is not stated."""
    first = every[0]
    differing = {name: None for name in FACTS if any(getattr(one, name) != getattr(first, name) for one in every)}
    return first.given_more(**differing, classes=None) if len(every) > 1 else first


def _together(every: list[Seen]) -> Seen:
    """Return what was seen in some fold."""
    tested: tuple[str, ...] | None = tuple(dict.fromkeys(name for one in every for name in one.tested or ()))
    if any(one.tested is None for one in every):
        tested = None
    return Seen(
        masks=_union([one.masks for one in every]),
        labels=_union([one.labels for one in every]),
        unnamed=_any([one.unnamed for one in every]),
        images=_any([one.images for one in every]),
        tested=tested,
    )


def _union(every: list[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    found = tuple(dict.fromkeys(name for one in every for name in one or ()))
    return found if found or all(one is not None for one in every) else None


def _any(every: list[bool | None]) -> bool | None:
    return True if True in every else None if None in every else False
