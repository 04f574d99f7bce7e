"""One entry of the ledger. A fact that no source states is None: it is never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from fssbench.errors import UsageError, did_you_mean

NOT_STATED = "not stated"
"""How a fact that is None is written."""

NETWORK = ("network",)
"""The pretraining of a method that is what networks.toml says of its backbone."""

Training = Literal["none", "base masks", "base tags", "all masks"]
NovelImages = Literal["kept", "removed", "removed in part", "none"]
Adapts = Literal["none", "support", "support and query", "test set"]
ChosenOn = Literal["novel classes", "base classes", "nothing"]
GIVEN = ("masks", "boxes", "points", "tags", "text", "images", "foreground share")

_CHOICES: dict[str, tuple[str, ...]] = {
    "training": get_args(Training),
    "novel_images": get_args(NovelImages),
    "adapts": get_args(Adapts),
    "chosen_on": get_args(ChosenOn),
}
_LONGEST = 500
_MOST = 50


@dataclass(frozen=True)
class Facts:
    """What is stated of a method, of weights, or of a printed row; None where no source says it.

    A method of another package declares it as `MethodInfo(ledger=Facts(...))`, a class of one's own as the attribute
    `ledger`, a `Facts` or a dict of its fields.

    Attributes:
        pretraining: The sets that the backbone was trained on: keys of sets.toml, or other names, of which is not known
            what they hold. "network" means what networks.toml says of the backbone. () for none.
        training: How it was trained on the data set of its folds, one of `Training`: "none", on the masks of base
            classes, on image labels of them, or on masks of the test classes, too.
        novel_images: Whether training images that hold novel classes were removed, one of `NovelImages`. "kept" means
            that novel classes are background there; "removed in part", that a base learner still sees them; "none",
            that there is no such training.
        adapts: What it is fitted to at test time, one of `Adapts`.
        given: What it is given at test time, of `GIVEN`.
        chosen_on: The classes by whose results the weights were chosen, one of `ChosenOn`.
        classes: The names of the classes whose labels it was trained on, if its weights say so.
        source: Where this is stated.
        sources: Where single facts are stated, by the name of the fact.

    Raises:
        UsageError: If a fact is none of the known ones.
    """

    pretraining: tuple[str, ...] | None = None
    training: Training | None = None
    novel_images: NovelImages | None = None
    adapts: Adapts | None = None
    given: tuple[str, ...] | None = None
    chosen_on: ChosenOn | None = None
    classes: tuple[str, ...] | None = None
    source: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every fact, and take lists as tuples."""
        given: object = self.pretraining
        if given == NETWORK[0]:
            object.__setattr__(self, "pretraining", NETWORK)
        for name in ("pretraining", "given", "classes"):
            object.__setattr__(self, name, _names(name, getattr(self, name), 2000 if name == "classes" else _MOST))
        for name, known in _CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for one in self.given or ():
            _check_choice("given", one, GIVEN)
        _check_text("source", self.source)
        if not isinstance(self.sources, Mapping):
            raise UsageError("ledger: sources is no table", 'sources = { training = "train.py" }')
        for name, text in self.sources.items():
            _check_choice("sources", name, FACTS)
            _check_text("sources", text)

    def source_of(self, fact: str) -> str:
        """Return where a fact is stated; empty if it is not."""
        return "" if getattr(self, fact) is None else self.sources.get(fact, self.source)

    def given_more(self, **facts: object) -> Facts:
        """Return the entry with some facts replaced; "not stated" leaves one open."""
        changes: dict[str, Any] = {name: None if value == NOT_STATED else value for name, value in facts.items()}
        return replace(self, **changes)

    def with_training(self, source: str, **facts: object) -> Facts:
        """Return the entry with the facts of other weights than the release's, and where these are stated."""
        of_method = {name: self.source_of(name) for name in ("pretraining", "adapts", "given") if self.source_of(name)}
        return self.given_more(**facts, source=source, sources=of_method)

    def as_object(self) -> dict[str, object]:
        """Return the facts for JSON: null where one is not stated, and the source of each that is."""
        found: dict[str, object] = {name: _listed(getattr(self, name)) for name in FACTS}
        if self.classes is not None:
            found["classes"] = list(self.classes)
        return {**found, "sources": {name: text for name in FACTS if (text := self.source_of(name))}}


FACTS = ("pretraining", "training", "novel_images", "adapts", "given", "chosen_on")
"""The facts of an entry, in the order in which they are shown."""


def declared(value: object, who: str) -> Facts | None:
    """Return what a method from outside declares: `Facts`, a mapping of its fields, or None.

    Raises:
        UsageError: If it is something else, or a fact is none of the known ones; naming the method.
    """
    if value is None or isinstance(value, Facts):
        return value
    known = [one.name for one in fields(Facts)]
    if not isinstance(value, Mapping):
        raise UsageError(f"{who}: its ledger is {type(value).__name__}", f"a dict with {', '.join(known)}")
    for name in value:
        if name not in known:
            raise UsageError(
                f"{who}: its ledger has {_shown(name)}; there are {', '.join(known)}{did_you_mean(str(name), known)}"
            )
    stated: dict[str, Any] = {name: None if one == NOT_STATED else one for name, one in value.items()}
    try:
        return Facts(**stated)
    except UsageError as error:
        raise UsageError(f"{who}: {error.message}", error.remedy) from error


def _names(fact: str, value: object, most: int) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise UsageError(f"ledger: {fact} is {_shown(value)}, not a list of names", f'{fact} = ["..."]')
    if len(value) > most:
        raise UsageError(f"ledger: {fact} has {len(value)} names, more than {most}")
    for one in value:
        _check_text(fact, one)
        if not one.strip():
            raise UsageError(f"ledger: {fact} has an empty name")
    return tuple(value)


def _check_choice(fact: str, value: object, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        near = did_you_mean(value, known) if isinstance(value, str) else ""
        raise UsageError(f"ledger: {fact} is {_shown(value)}; it is one of {', '.join(known)}{near}")


def _check_text(fact: str, value: object) -> None:
    if not isinstance(value, str):
        raise UsageError(f"ledger: {fact} has {_shown(value)}, which is no text")
    if len(value) > _LONGEST or not value.isprintable():
        raise UsageError(f"ledger: {fact} has a text that is too long or not printable: {_shown(value)}")


def _shown(value: object) -> str:
    text = ascii(value) if isinstance(value, str | int | float | bool) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
