"""The methods by name. Their code, and torch, are imported only when one is built."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fssbench.ledger.classes import class_names
from fssbench.ledger.facts import Facts, declared
from fssbench.ledger.reading import known_methods, method_facts
from fssbench.ledger.seen import seen
from fssbench.registry import Registry, imported

if TYPE_CHECKING:
    from fssbench.methods.base.method import Method


@dataclass(frozen=True)
class OwnSource:
    """The code of a method that is not registered.

    Attributes:
        path: Its file; empty where there is none.
        sha256: Hex hash of that file; empty where there is none.
        imports: The files next to it that it imports: name and sha256 of each.
    """

    path: str
    sha256: str
    imports: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method without importing it (methods.toml).

    Attributes:
        name: Name in the registry.
        target: "module:class".
        title: The paper's title, or what the method does.
        venue: e.g. "ICCV 2021"; empty for a floor.
        source: The release that the code follows; empty for a floor.
        tasks: For each variant ("" if there is only one) its task, default variant first.
        backbones: Names of the backbones it was released with, default first; empty if it needs none.
        trainable: Whether `fssbench train` can train it. A method without training, such as a floor, needs no
            checkpoint of its own.
        protocols: For each task the protocol by which its release evaluates; a variant may have its own, or a data set
            for the method's only task.
        weak: Whether it can learn from image-level labels (`build(..., weak=True)`).
        on: For each data set, the arguments of `build` that its released configuration changes; a table named after a
            variant applies to that variant.
        ablation: For each variant of the paper's ablation, the name of its printed row in `fssbench.published`.
        printed: For each data set the variant that the printed results are of, where that is not the first of its task.
        backbones_of: For a variant that was not released with all `backbones`, its own, default first.
        pyramid: Whether it takes any pyramid of `fssbench.backbones`: besides `backbones` those of `PYRAMIDS`.
        base_classes: Number of base classes that it predicts, unless an option of that name changes it; 0 if it
            predicts the novel class only, None if unknown.
        fast: "module:class" of its fast form (`fssbench.fast.form`); empty if it has none.
        weights: Whether it has its own weights and needs a checkpoint; None: it does if it has a backbone.
        partial: Whether only a part of the paper's method was released, so that the default variant, too, is a row of
            the ablation, and the paper's results are not its own.
        own: The code of a method that is not registered but named by its code, "./my.py:MyNet".
        idea: The method in a few lines; empty if unknown.
        k_shot: For each task how K supports of a class are used, one of `K_SHOT_RULES`.
        learnable: For each backbone the number of trained parameters of the default variant, for 1-way 1-shot
            episodes; a test computes it again.
        ways: For a task the largest number of ways that it predicts; default 1 for "fss", any number for "fscs".
        adapts: Whether it learns from the episode's supports or query when it predicts.
        tried_with: The arguments of `build` with which it is tried out, for a method whose defaults take long or find
            nothing with random weights.
        random_with: The arguments of `build` with random weights, where those for trained weights need a file.
        random_start: The backbones on which its training starts from random weights, because the name stands for a
            network of its own.
        seen: What its weights have seen of the classes that it is evaluated on, for a method that takes weights as they
            are; empty for one that is trained on the base classes of a fold, or is not known.
        seen_classes: The data sets whose test classes were among the labels that its weights were trained on.
        differs: In what an evaluation here differs from that of its release, where that can't be repeated.
        ledgers: For a variant whose facts in the contamination ledger are not those of the method, its key there.
        ledger: What a method that is not one of fssbench's declares for the contamination ledger; for those of fssbench
            it stands in ledger/methods.toml.
    """

    name: str
    target: str
    title: str
    venue: str
    source: str
    tasks: dict[str, Literal["fss", "fscs"]]
    backbones: tuple[str, ...]
    trainable: bool
    protocols: Mapping[str, str] = field(default_factory=lambda: {"fss": "hsnet", "fscs": "ifsl-fscs"})
    weak: bool = False
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ablation: Mapping[str, str] = field(default_factory=dict)
    printed: Mapping[str, str] = field(default_factory=dict)
    backbones_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pyramid: bool = False
    base_classes: int | None = 0
    fast: str = ""
    weights: bool | None = None
    partial: bool = False
    own: OwnSource | None = None
    idea: str = ""
    k_shot: Mapping[str, str] = field(default_factory=dict)
    learnable: Mapping[str, int] = field(default_factory=dict)
    ways: Mapping[str, int] = field(default_factory=dict)
    adapts: bool = False
    tried_with: Mapping[str, Any] = field(default_factory=dict)
    random_with: Mapping[str, Any] = field(default_factory=dict)
    random_start: Sequence[str] = ()
    seen: str = ""
    seen_classes: Sequence[str] = ()
    differs: str = ""
    ledgers: Mapping[str, str] = field(default_factory=dict)
    ledger: Facts | None = None

    def __post_init__(self) -> None:
        """Check what a method declares for the ledger, which may be a dict."""
        object.__setattr__(self, "ledger", declared(self.ledger, self.name))

    @property
    def training(self) -> str:
        """How the method comes to its weights: "trained", "training-free", or "unknown" for code from elsewhere."""
        if self.trainable:
            return "trained"
        return "training-free" if self.weights is None and self.own is None else "unknown"

    def knows_classes_of(self, dataset: str) -> bool:
        """Return whether its weights were trained on labels of the test classes of a data set."""
        tested = dataset.rpartition("_to_")[2]
        if tested in self.seen_classes:
            return True
        facts, network = self.facts(), self.backbones[0] if self.backbones else None
        return bool(seen(facts, network, tested, class_names(tested), ()).masks)

    def facts(self, dataset: str = "", task: str = "", *, weak: bool = False, variant: str | None = None) -> Facts:
        """Return its facts in the contamination ledger: those of ledger/methods.toml, or what it declares itself.

        Args:
            dataset: The data set of the folds, as facts may differ between them; empty for the usual ones.
            task: "fss" or "fscs".
            weak: Whether it was trained with image-level labels.
            variant: The variant; None for the first.
        """
        if not is_built_in(self.name) or self.own is not None:
            return self.ledger or Facts()
        # ASNet_w, whose printed rows have a key of their own, is given no masks; the others still are.
        own_key = f"{self.name}-w"
        if weak and own_key in known_methods():
            return method_facts(own_key, dataset, task)
        facts = method_facts(self.ledgers.get(variant or "", self.name), dataset, task)
        return facts.given_more(training="base tags") if weak else facts

    @property
    def needs_weights(self) -> bool:
        """Whether it needs a checkpoint, or a request for random weights."""
        return bool(self.backbones) if self.weights is None else self.weights

    @property
    def names_variant(self) -> bool:
        """Whether a run says which variant was measured."""
        return len(self.tasks) > 1 or self.partial

    def backbones_for(self, variant: str | None) -> tuple[str, ...]:
        """Return the backbones that a variant takes (None: the default one), default first; empty if it needs none."""
        name = next(iter(self.tasks)) if variant is None else variant
        return (*self.backbones_of.get(name, self.backbones), *self._pyramids)

    @property
    def all_backbones(self) -> tuple[str, ...]:
        """The backbones that it takes in some variant, default first."""
        return (*self.backbones, *self._pyramids)

    @property
    def _pyramids(self) -> tuple[str, ...]:
        return PYRAMIDS if self.pyramid else ()

    def small_backbone_for(self, variant: str | None = None) -> str | None:
        """Return the backbone of a variant with which it is tried out: "small" or a tiny network, or else its default.

        None if it needs no backbone.
        """
        known = self.backbones_for(variant)
        tiny = (name for name in known if name == "small" or "-tiny" in name)
        return next(tiny, known[0] if known else None)

    def options_on(self, dataset: str, variant: str | None = None) -> dict[str, Any]:
        """Return the arguments of `build` for a data set; lists are returned as tuples.

        Args:
            dataset: Name of the data set.
            variant: The variant; None for the first.
        """
        on_dataset = self.on.get(dataset, {})
        own = on_dataset.get(next(iter(self.tasks)) if variant is None else variant, {})
        options = {key: value for key, value in on_dataset.items() if key not in self.tasks} | dict(own)
        return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}

    def protocol_for(self, task: str, variant: str | None = None, dataset: str = "") -> str:
        """Return the protocol by which the release evaluates a variant on a data set.

        Args:
            task: The task of the variant, whose protocol it is where nothing more is said.
            variant: The variant; None for the task alone.
            dataset: Name of the data set; empty for any.
        """
        own = self.protocols.get(dataset)
        if variant is not None:
            own = self.protocols.get(variant, own)
        return own or self.protocols[task]

    def most_ways(self, task: str) -> int | None:
        """Return the largest number of ways that it predicts in a task; None for any number."""
        return self.ways.get(task, 1 if task == "fss" else None)

    def variant_for(self, task: str) -> str | None:
        """Return the first variant for a task; None if there is none."""
        return next((variant for variant, variant_task in self.tasks.items() if variant_task == task), None)

    def printed_variant(self, task: str, dataset: str) -> str | None:
        """Return the variant that printed results without a variant are of; None if there is none for the task."""
        stated = self.printed.get(dataset)
        return stated if stated is not None and self.tasks[stated] == task else self.variant_for(task)


K_SHOT_RULES = {
    "joint": "all supports are read together, as if they were one larger support",
    "averaged": "what each support gives is averaged: features, prototypes or scores",
    "voted": "each support gives a mask, and the masks vote",
    "maximum": "each support gives scores, and each position takes the largest",
    "re-weighted": "supports are averaged with weights that the method computes",
    "retrained": "a part of the network is trained on the supports of the episode",
    "first": "the first support is used, and the others are not looked at",
    "unused": "supports are not looked at",
}
"""The ways to use K supports of a class, as `MethodInfo.k_shot` names them."""

PYRAMIDS = tuple(f"efficientnet-lite{n}" for n in range(3))
"""Backbones with a pyramid that no release of a method used."""


@cache
def _built_in() -> dict[str, MethodInfo]:
    with (Path(__file__).parent / "methods.toml").open("rb") as file:
        raw = tomllib.load(file)
    return {
        name: MethodInfo(**{**fields, "name": name, "backbones": tuple(fields["backbones"])})
        for name, fields in raw.items()
    }


def is_built_in(name: str) -> bool:
    """Return whether a method is one of fssbench's own."""
    return name in _built_in()


def is_floor(name: str) -> bool:
    """Return whether a method is a floor: one of fssbench's own that follows no paper, and that others should beat."""
    return is_built_in(name) and not (_built_in()[name].venue or _built_in()[name].source)


REGISTRY: Registry[type[Method[Any, Any]]] = Registry(
    "method",
    "fssbench.methods.base.method:Method",
    {name: info.target for name, info in _built_in().items()},
    by_code="fssbench.methods.own.method:own_method",
    by_target="fssbench.methods.own.method:method_of_package",
)


def list_methods() -> list[str]:
    """Return the names of all methods, sorted.

    Examples:
        >>> import fssbench
        >>> "hsnet" in fssbench.list_methods()
        True
    """
    return REGISTRY.names()


def list_backbones() -> list[str]:
    """Return the names of the backbones that methods here take."""
    return list(dict.fromkeys(name for info in _built_in().values() for name in info.all_backbones))


def method_info(name: str) -> MethodInfo:
    """Return the catalogue entry of a method; for one from another package, what its class declares.

    Raises:
        UsageError: If the name is unknown.
    """
    name = REGISTRY.require(name)
    if name in _built_in():
        return _built_in()[name]
    cls = REGISTRY.get(name)
    if cls.info is not None:
        return cls.info
    described = cast("Callable[[type, str, str], MethodInfo]", imported("fssbench.methods.own.method:described"))
    return described(cls, name, f"{cls.__module__}:{cls.__qualname__}")


def info_at_hand(name: str) -> MethodInfo | None:
    """Return the catalogue entry of a registered method if nothing has to be imported for it; None otherwise.

    A method of another package is described by its class, and importing that imports torch.
    """
    return method_info(name) if name in _built_in() or REGISTRY.is_imported(name) else None


def infos_at_hand() -> list[MethodInfo]:
    """Return the catalogue entries of all registered methods for which nothing has to be imported, sorted by name."""
    return [info for name in list_methods() if (info := info_at_hand(name)) is not None]
