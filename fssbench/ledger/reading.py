"""The shipped data of the ledger: training sets, networks, methods, and printed rows that differ from their method."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from fssbench.hub.names import hub_name, is_hub_name
from fssbench.ledger.facts import NETWORK, Facts

Supervision = Literal["masks", "unnamed masks", "tags", "text", "images"]
UNTRAINED = ("-tiny", "-tiny-1024")
"""The endings of networks that are only built with random weights, to try a method out."""


@dataclass(frozen=True)
class TrainingSet:
    """A set that networks were trained on (sets.toml).

    Attributes:
        title: As papers call it.
        supervision: How its images were labelled.
        source: Where this is stated.
        holds: The data sets whose classes are all among its labels.
        mapped: The data sets whose classes were held against its labels one by one.
    """

    title: str
    supervision: Supervision
    source: str
    holds: Sequence[str] = ()
    mapped: Sequence[str] = ()


@dataclass(frozen=True)
class Network:
    """What backbones were trained on (networks.toml).

    Attributes:
        sets: Keys of sets.toml.
        source: Where this is stated.
        names: The backbones, if there are several.
        hub: Patterns of models of the Hugging Face hub.
    """

    sets: Sequence[str]
    source: str
    names: Sequence[str] = ()
    hub: Sequence[str] = ()


@dataclass(frozen=True)
class RowFacts:
    """Facts of printed rows that are not those of their method (rows.toml); a list that is empty fits every row.

    Attributes:
        source: Where they are stated.
        facts: The facts.
        leaking: The tested classes that training has seen, of rows trained on another data set; None if not known.
    """

    source: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    leaking: Sequence[str] | None = None
    sources: Sequence[str] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    variants: Sequence[str] | None = None
    roles: Sequence[str] = ()

    def fits(self, row: Row) -> bool:
        """Return whether a printed row is one of these."""
        return (
            (not self.sources or row.source in self.sources)
            and (not self.methods or row.method in self.methods)
            and (not self.datasets or row.dataset in self.datasets)
            and (self.variants is None or row.variant in self.variants)
            and (not self.roles or row.role in self.roles)
        )


class Row(Protocol):
    """What the ledger reads of a printed row (`fssbench.publications.rows.PrintedRow`)."""

    @property
    def source(self) -> str:
        """Key of its source."""

    @property
    def method(self) -> str:
        """Key of its method."""

    @property
    def variant(self) -> str:
        """Its variant; empty for none."""

    @property
    def role(self) -> str:
        """Its role."""

    @property
    def dataset(self) -> str:
        """Its data set, or pair of data sets."""

    @property
    def task(self) -> str:
        """Its task."""

    @property
    def backbone(self) -> str:
        """Its backbone; empty if it was not printed."""


@dataclass(frozen=True)
class MethodFacts:
    """The facts of a method, and those that differ on a data set or in FS-CS (methods.toml)."""

    facts: Facts
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, dataset: str = "", task: str = "") -> Facts:
        """Return the facts on a data set and for a task."""
        return self.facts.given_more(**{**self.on.get(dataset, {}), **self.on.get(task, {})})


def _read(name: str) -> dict[str, Any]:
    with (Path(__file__).parent / name).open("rb") as file:
        return tomllib.load(file)


@cache
def training_sets() -> dict[str, TrainingSet]:
    """Return the training sets by key."""
    return {key: TrainingSet(**entry) for key, entry in _read("sets.toml").items()}


@cache
def networks() -> dict[str, Network]:
    """Return the backbones by name, with what they were trained on."""
    return {
        name: network
        for key, entry in _read("networks.toml").items()
        for network in [Network(**entry)]
        for name in (network.names or ([] if network.hub else [key]))
    }


@cache
def _hub_networks() -> list[Network]:
    return [network for entry in _read("networks.toml").values() if (network := Network(**entry)).hub]


@cache
def categories() -> dict[str, list[str]]:
    """Return the ImageNet-1k categories that are a class of PASCAL or COCO, by the class as COCO spells it."""
    found: dict[str, list[str]] = _read("imagenet.toml")["categories"]
    return found


@cache
def _methods() -> dict[str, MethodFacts]:
    found = {}
    for name, entry in _read("methods.toml").items():
        on = entry.pop("on", {})
        found[name] = MethodFacts(Facts(**entry), on)
    return found


@cache
def _rows() -> list[RowFacts]:
    return [RowFacts(**entry) for entry in _read("rows.toml").values()]


def known_methods() -> list[str]:
    """Return the methods that have an entry, of which some state nothing."""
    return list(_methods())


def method_facts(name: str, dataset: str = "", task: str = "") -> Facts:
    """Return the facts of a method by its key; nothing is stated of one that has no entry.

    Args:
        name: Its key.
        dataset: The data set of its folds, as facts may differ between them.
        task: "fss", "fscs" or "cross-domain".
    """
    entry = _methods().get(name)
    return entry.of(dataset, task) if entry else Facts()


def row_facts(row: Row) -> Facts:
    """Return the facts of a printed row: those of its method, unless rows.toml says otherwise.

    Of a re-run by others it is not stated how it was trained, beyond the masks of base classes.
    """
    facts = method_facts(row.method, row.dataset.partition("_to_")[0], row.task)
    if row.role == "rerun":
        facts = facts.given_more(novel_images=None, chosen_on=None)
    for one in _rows():
        if one.fits(row):
            names = dict.fromkeys(one.facts, one.source)
            facts = facts.given_more(**one.facts, sources={**facts.sources, **names})
    return facts


def stated_leaks(row: Row) -> tuple[str, ...] | None:
    """Return the tested classes that training on another data set has seen, where a source says so; None otherwise."""
    found = (one.leaking for one in _rows() if one.leaking is not None and one.fits(row))
    return next((tuple(names) for names in found), None)


def pretraining_of(facts: Facts, backbone: str | None) -> tuple[str, ...] | None:
    """Return the sets that the backbone of an entry was trained on; None if it is not stated.

    Args:
        facts: The entry.
        backbone: The backbone; empty or None if it is not known.
    """
    if facts.pretraining != NETWORK:
        return facts.pretraining
    return sets_of(backbone) if backbone else None


def sets_of(backbone: str) -> tuple[str, ...] | None:
    """Return the sets that a backbone was trained on, of joined ones those of all; None if it is not stated."""
    if is_hub_name(backbone):
        repository = hub_name(backbone).repository
        fits = (one for one in _hub_networks() if any(fnmatchcase(repository, pattern) for pattern in one.hub))
        network = next(fits, None) if repository else None
        return None if network is None else tuple(network.sets)
    found: dict[str, None] = {}
    for part in backbone.split("+"):
        if part.endswith(UNTRAINED):
            continue
        if part not in networks():
            return None
        found |= dict.fromkeys(networks()[part].sets)
    return tuple(found)


def network_source(backbone: str) -> str:
    """Return where it is stated what a backbone was trained on; empty if it is not stated."""
    if is_hub_name(backbone):
        repository = hub_name(backbone).repository
        fits = (one.source for one in _hub_networks() if any(fnmatchcase(repository, name) for name in one.hub))
        return next(fits, "") if repository else ""
    known = networks()
    return "; ".join(dict.fromkeys(known[part].source for part in backbone.split("+") if part in known))
