"""What a number by a protocol or of a release is of: its choices in words, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fssbench.errors import UsageError, unknown_name
from fssbench.methods.catalogue import K_SHOT_RULES, is_built_in, method_info
from fssbench.protocols.choices import IGNORING, RESIZING, Protocol, size_in_words
from fssbench.protocols.own import names_file
from fssbench.protocols.releases import NAMED, TOPICS, Release, release_of_protocol, releases
from fssbench.protocols.rules import list_protocols, protocol

NOT_STATED = "not stated"
EXTRA = {
    "sampler": "drawn here by",
    "way": "ways",
    "split": "split",
    "absent": "a class without a pixel",
    "other_classes": "other classes of the episode",
    "base": "base classes",
}
"""Choices that only protocols here have, in words."""


@dataclass(frozen=True)
class Stated:
    """One choice in words.

    Attributes:
        text: The choice; `NOT_STATED` if nothing says.
        source: Where it is read: file and commit of a release, or the protocol here.
    """

    text: str
    source: str


@dataclass(frozen=True)
class Meaning:
    """What a number is of on one data set.

    Attributes:
        name: The protocol or release, as it was named.
        title: Its description.
        place: Repository and commit of the release, or the source of the protocol.
        dataset: The data set.
        runnable: Whether a protocol here repeats it.
        choices: By topic, in the order of `TOPICS`, then of `EXTRA`.
    """

    name: str
    title: str
    place: str
    dataset: str
    runnable: bool
    choices: dict[str, Stated]


def known_names() -> list[str]:
    """Return all names that `meaning_of` takes besides files: protocols, then releases."""
    protocols = list_protocols()
    return [*protocols, *(name for name in releases() if name not in protocols)]


def datasets_of(name: str) -> tuple[str, ...]:
    """Return the data sets on which a protocol or release is known.

    Raises:
        UsageError: If there is none of that name.
    """
    if _is_protocol(name):
        return protocol(name).datasets
    return _release(name).datasets


def common_dataset(names: Sequence[str]) -> str:
    """Return the data set to compare on: COCO-20i if all are known there, else PASCAL-5i, else the first of all.

    Raises:
        UsageError: If there is no data set on which all are known, or a name is not known.
    """
    known = [datasets_of(name) for name in names]
    for dataset in (*NAMED, *known[0]):
        if all(dataset in one for one in known):
            return dataset
    raise UsageError(f"there is no data set on which {' and '.join(names)} are all known", "fssbench list protocols")


def meaning_of(name: str, dataset: str) -> Meaning:
    """Return what a number by a protocol, or of a release, is of.

    Args:
        name: A protocol ("hsnet", "hsnet@original", "./mine.toml") or a release of releases.toml ("fptrans").
        dataset: The data set.

    Raises:
        UsageError: If there is none of that name, or it is not known on the data set.
    """
    if _is_protocol(name):
        rules = protocol(name).on(dataset)
        release = None if names_file(name) else release_of_protocol(name)
        return _meaning(name, rules.title, rules.source, dataset, release, rules)
    return release_meaning(_release(name), dataset)


def release_meaning(release: Release, dataset: str) -> Meaning:
    """Return what a printed number of a release is of.

    Raises:
        UsageError: If its evaluation is not known on the data set.
    """
    if dataset not in release.datasets:
        raise UsageError(
            f"{release.name} is not known on {dataset}; it is on {', '.join(release.datasets)}", "leave --dataset out"
        )
    rules = protocol(release.protocol).on(dataset) if release.protocol else None
    return _meaning(release.name, release.title, release.place, dataset, release, rules)


def differing(meanings: Sequence[Meaning]) -> tuple[list[str], list[str]]:
    """Return the topics in which some differ or do not say, and those in which all are the same.

    What only protocols here state is left out where a release without one is among them.
    """
    topics = [topic for topic in TOPICS if any(topic in one.choices for one in meanings)]
    topics += [topic for topic in EXTRA if all(topic in one.choices for one in meanings)]
    stated = {topic: {stated_text(one, topic) for one in meanings} for topic in topics}
    shown = [topic for topic in topics if stated[topic] != {NOT_STATED}]
    return (
        [topic for topic in shown if len(stated[topic]) > 1],
        [topic for topic in shown if len(stated[topic]) == 1],
    )


def stated_text(meaning: Meaning, topic: str) -> str:
    """Return a choice in words."""
    found = meaning.choices.get(topic)
    return found.text if found else NOT_STATED


def _is_protocol(name: str) -> bool:
    base = name.partition("@")[0]
    return names_file(name) or "/" in name or "\\" in name or base in list_protocols()


def _release(name: str) -> Release:
    found = releases().get(name)
    if found is None:
        raise unknown_name("protocol or release", name, known_names(), "fssbench list protocols")
    return found


def _meaning(
    name: str, title: str, place: str, dataset: str, release: Release | None, rules: Protocol | None
) -> Meaning:
    derived = {} if rules is None else _of_rules(rules)
    choices: dict[str, Stated] = {}
    for topic in TOPICS:
        if topic in derived:
            choices[topic] = derived[topic]
        elif topic == "shots" and release and is_built_in(release.method):
            rule = method_info(release.method).k_shot.get(rules.task if rules else "fss", "")
            choices[topic] = Stated(K_SHOT_RULES.get(rule, NOT_STATED), f"the method {release.method} here")
        elif release and topic in release.facts and (text := release.facts[topic].on(dataset)):
            choices[topic] = Stated(text, f"{release.place}, {release.facts[topic].file}")
    choices |= {topic: derived[topic] for topic in EXTRA if topic in derived}
    return Meaning(name, title, place, dataset, rules is not None, choices)


def _of_rules(rules: Protocol) -> dict[str, Stated]:
    """Return the choices that a protocol here defines."""
    runs = f"{len(rules.seeds)} runs of " if len(rules.seeds) > 1 else ""
    others = [size for size in rules.score_sizes if size != rules.score_at]
    base = rules.base
    found = {
        "episodes": f"{runs}{rules.episodes:,}",
        "seeds": ", ".join(map(str, rules.seeds)),
        "input": size_in_words(rules.input),
        "resize": RESIZING[rules.resize],
        "scored": rules.score_at + (f" ({others[0]} is an option)" if others else ""),
        "ignore": IGNORING[rules.ignore],
        "sampler": rules.sampler,
        "way": str(rules.way[0]) if rules.way[0] == rules.way[1] else f"{rules.way[0]} to {rules.way[1]}",
        "split": rules.split,
        "absent": "left out of the counts" if rules.absent == "leave-out" else "its predicted pixels count",
        "other_classes": {"background": "background", "neither": "neither foreground nor background"}[
            rules.other_classes
        ],
        "base": "not evaluated" if base is None else f"evaluated {base.asked}",
    }
    return {topic: Stated(text, rules.source) for topic, text in found.items()}
