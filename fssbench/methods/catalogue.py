"""The methods by name. Their code (and torch) is imported only when one is built."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fssbench.errors import UsageError
from fssbench.registry import Registry, imported

if TYPE_CHECKING:
    from fssbench.methods.base.method import Method


@dataclass(frozen=True)
class OwnSource:
    """The code of a method that is not registered: its file and the hex sha256 of it; empty where there is no file."""

    path: str
    sha256: str


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method without importing it (methods.toml).

    Attributes:
        name: Name in the registry.
        target: "module:class".
        title: The paper's title, or what it does.
        venue: e.g. "ICCV 2021"; empty for a floor.
        source: The release whose code decides; empty for a floor.
        tasks: For each variant ("" where there is only one form) its task, default variant first.
        backbones: Names of the backbones it was released with, default first; empty if it needs none.
        trainable: Whether `fssbench train` can train it; floors need no checkpoint.
        protocols: For each task the protocol that its release evaluates by; a variant may have its own.
        weak: Whether it has a weakly supervised form, which `build(..., weak=True)` makes.
        on: For each data set the arguments of `build` that the release's configuration for it differs in; a table
            named after a variant holds that variant's own.
        ablation: For each variant of the paper's ablation the name that its printed row has in `fssbench.published`.
        backbones_of: For a variant that was not released with all of `backbones`, its own, default first.
        base_classes: How many base classes it knows by itself unless an option of that name says otherwise: 0 if it
            answers of the novel class alone, None if that is not said.
        fast: "module:class" of its fast form (`fssbench.fast.form`); empty if it has none.
        weights: Whether it has weights of its own, so that it needs a checkpoint; None: those that have a backbone do.
        partial: Whether no more than a part of the paper's method was released, so that its default form, too, is a row
            of the ablation and the paper's results are not its own.
        own: Where the code of a method is that is not registered but named by its code, "./my.py:MyNet".
        idea: The method in a few lines; empty if that is not known.
        k_shot: For each task how K supports of a class are used, one of `K_SHOT_RULES`.
        learnable: For each backbone the number of parameters that training moves, in the default variant, as built for
            1-way 1-shot episodes; a test computes them anew.
        ways: For a task the largest number of ways that it predicts; default 1 for "fss", any number for "fscs".
        adapts: Whether it learns from the episode's supports or query when it predicts.
        random_start: Of `backbones` those on which its training starts from random weights: the name stands for a
            network of its own, for which there are no weights of a backbone.
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
    backbones_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
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
    random_start: Sequence[str] = ()

    @property
    def training(self) -> str:
        """How the method comes to its weights: "trained", "training-free", or "unknown" for code from elsewhere."""
        if self.trainable:
            return "trained"
        return "training-free" if self.weights is None and self.own is None else "unknown"

    @property
    def needs_weights(self) -> bool:
        """Whether it predicts only with weights that somebody gives, or says that random ones will do."""
        return bool(self.backbones) if self.weights is None else self.weights

    @property
    def names_variant(self) -> bool:
        """Whether a run says which variant was measured."""
        return len(self.tasks) > 1 or self.partial

    def backbones_for(self, variant: str | None) -> tuple[str, ...]:
        """Return the backbones of a variant (None: the default one), default first; empty if it needs none."""
        name = next(iter(self.tasks)) if variant is None else variant
        return tuple(self.backbones_of.get(name, self.backbones))

    def options_on(self, dataset: str, variant: str | None = None) -> dict[str, Any]:
        """Return the arguments of `build` that belong to a data set; lists come as tuples.

        Args:
            dataset: Name of the data set.
            variant: The form; None for the first.
        """
        given = self.on.get(dataset, {})
        own = given.get(next(iter(self.tasks)) if variant is None else variant, {})
        options = {key: value for key, value in given.items() if key not in self.tasks} | dict(own)
        return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}

    def protocol_for(self, task: str, variant: str | None = None) -> str:
        """Return the protocol that the release evaluates a variant by; None is one that has none of its own."""
        own = None if variant is None else self.protocols.get(variant)
        return own or self.protocols[task]

    def most_ways(self, task: str) -> int | None:
        """Return the largest number of ways that it predicts in a task; None for any number."""
        return self.ways.get(task, 1 if task == "fss" else None)

    def variant_for(self, task: str) -> str | None:
        """Return the variant that answers `task`, None if there is none."""
        return next((variant for variant, its in self.tasks.items() if its == task), None)


K_SHOT_RULES = {
    "joint": "all supports are read together, as if they were one larger support",
    "averaged": "what each support gives is averaged: features, prototypes or scores",
    "voted": "each support gives a mask, and the masks vote",
    "maximum": "each support gives scores, and each position takes the largest",
    "re-weighted": "supports are averaged with weights that the method computes",
    "retrained": "a part of the network is trained on the supports of the episode",
    "unused": "supports are not looked at",
}
"""The ways to use K supports of a class, as `MethodInfo.k_shot` names them."""

_SEEN_IN_WEIGHTS = frozenset({"base_classes"})
"""Options that change the shape of a parameter: a checkpoint of another configuration is refused anyway."""


@cache
def _built_in() -> dict[str, MethodInfo]:
    with (Path(__file__).parent / "methods.toml").open("rb") as file:
        raw = tomllib.load(file)
    return {
        name: MethodInfo(**{**fields, "name": name, "backbones": tuple(fields["backbones"])})
        for name, fields in raw.items()
    }


REGISTRY: Registry[type[Method[Any, Any]]] = Registry(
    "method",
    "fssbench.methods.base.method:Method",
    {name: info.target for name, info in _built_in().items()},
    by_code="fssbench.methods.own.method:own_method",
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
    """Return the names of the backbones that methods here are released with."""
    return list(dict.fromkeys(name for info in _built_in().values() for name in info.backbones))


def method_info(name: str) -> MethodInfo:
    """Return what is known of a method; for one registered by another package, what its class says.

    Raises:
        UsageError: If the name is unknown.
    """
    REGISTRY.require(name)
    if name in _built_in():
        return _built_in()[name]
    cls = REGISTRY.get(name)
    if cls.info is not None:
        return cls.info
    described = cast("Callable[[type, str, str], MethodInfo]", imported("fssbench.methods.own.method:described"))
    return described(cls, name, f"{cls.__module__}:{cls.__qualname__}")


def check_build(name: str, backbone: str | None, variant: str | None, way: int, shot: int) -> MethodInfo:
    """Refuse arguments of `build` that do not fit the method, without importing it.

    Raises:
        UsageError: Naming what is allowed.
    """
    info = method_info(name)
    if variant is not None and variant not in info.tasks:
        raise UsageError(f"{name} has no variant '{variant}'; it has {', '.join(v or 'one form' for v in info.tasks)}")
    backbones = info.backbones_for(variant)
    if backbone is not None and backbones and backbone not in backbones:
        form = f" in variant {variant or next(iter(info.tasks))}" if backbone in info.backbones else ""
        raise UsageError(f"{name} has no backbone '{backbone}'{form}; it has {', '.join(backbones)}")
    if way < 1 or shot < 1:
        raise UsageError(f"way and shot are at least 1, not {way} and {shot}")
    task = info.tasks[variant] if variant is not None else next(iter(info.tasks.values()))
    most = info.most_ways(task)
    if most is not None and way > most:
        joint = info.variant_for("fscs") if task == "fss" else None
        raise UsageError(
            f"{name} answers {'1-way episodes only' if most == 1 else f'episodes of 1 to {most} ways'}"
            + (f" unless variant='{joint}'" if joint else "")
            + f", not {way}-way"
        )
    return info


def check_weak(info: MethodInfo, variant: str | None) -> None:
    """Refuse a weakly supervised form that the method does not have.

    Raises:
        UsageError: Naming the form that learns from image-level labels, if there is one.
    """
    if not info.weak:
        raise UsageError(f"{info.name} has no weakly supervised form", "leave --weak out")
    form = next(iter(info.tasks)) if variant is None else variant
    if info.tasks[form] != "fscs":
        raise UsageError(
            f"{info.name} learns from image-level labels in form {info.variant_for('fscs')}, not in form {form}",
            "--task fs-cs, or leave --weak out",
        )
