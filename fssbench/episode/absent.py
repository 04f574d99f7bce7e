"""A list in which a share of the queries hold no class of their episode: a method should predict nothing there.

So many queries of another list are replaced, classes and supports stay. The new query is one of the images that the
protocol lists under another class of the fold, so that it looks like the other queries. It has no pixel of the
episode's classes in its label map, and nothing else there says that it may hold one: no crowd, no object that is
covered or too small for the list, no ignored region that is not a rim (`Dataset.unseen_classes`).

Which queries are replaced, and by which images, depends on the seed of the list, on the episode and on its number. In
the list `query_class` is the class under which a query is listed: it is none of `classes` exactly if the query holds
none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fssbench.episode.episode import Episode, EpisodeList, holds_none
from fssbench.episode.listed import lists_of
from fssbench.episode.permuted import number_of, permuted
from fssbench.errors import BrokenFileError, MissingError, UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset, Split
    from fssbench.protocols.rules import Protocol

Held = Mapping[str, frozenset[int]]
"""The classes that have a pixel in each image."""
_NOTHING: frozenset[int] = frozenset()


def check_absent(share: float) -> float:
    """Return a share of absent queries.

    Raises:
        UsageError: If it is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of absent queries is more than 0 and less than 1, not {share:g}", "--absent 0.25")
    return share


def with_absent(episodes: EpisodeList, dataset: Dataset, rules: Protocol, share: float) -> EpisodeList:
    """Return a list in which a share of the queries of another list hold no class of their episode.

    Queries of the list that hold none already (FS-CS) count towards the share.

    Args:
        episodes: The list.
        dataset: The opened data set.
        rules: The protocol that drew it.
        share: The share, rounded to whole episodes.

    Raises:
        UsageError: If the list has absent queries already, the share rounds to none or all, the protocol counts base
            classes together, or the labels of the data set don't tell what is absent.
        MissingError: If there is no image for an episode.
    """
    check_absent(share)
    _check_possible(episodes, dataset, rules)
    dataset = dataset.for_shots(episodes.shot)
    target = round(share * len(episodes))
    if not 0 < target < len(episodes):
        raise UsageError(
            f"{100 * share:g} % of {len(episodes)} episodes are {target}: there have to be absent queries and others",
            "more episodes, or another share",
        )
    held = held_classes(dataset, episodes.split)
    chosen = [_with_true_class(episode, held) for episode in episodes]
    none = [n for n, episode in enumerate(chosen) if held.get(episode.query, _NOTHING).isdisjoint(episode.classes)]
    unsure = [
        number
        for number in none
        if not (holds_none(chosen[number]) and _surely_none(chosen[number].query, chosen[number], dataset, held))
    ]
    if len(none) > target:
        raise UsageError(
            f"{len(none)} of {len(episodes)} queries of the list hold no class of their episode already",
            f"--absent {len(none) / len(episodes):.2g} or more",
        )
    others = sorted(set(range(len(chosen))) - set(none))
    others.sort(key=lambda number: number_of(("absent", *_key(episodes, number, chosen[number]))))
    entries = lists_of(dataset, episodes.fold, episodes.split, rules.on(dataset.name)).entries
    for number in (*unsure, *_spared(others, chosen, held)[: target - len(none)]):
        chosen[number] = _replaced(chosen[number], number, episodes, entries, dataset, held)
    return replace(
        episodes,
        episodes=tuple(chosen),
        absent=share,
        base_hash=episodes.base_hash or episodes.hash,
        base_count=episodes.base_count or len(episodes),
    ).of(dataset)


def held_classes(dataset: Dataset, split: Split) -> dict[str, frozenset[int]]:
    """Return the classes that have a pixel in each image of a split."""
    index = dataset.index(split)
    found: dict[str, set[int]] = {}
    for name, class_id in zip(index["name"], index["class_id"].tolist(), strict=True):
        found.setdefault(name, set()).add(class_id)
    return {name: frozenset(classes) for name, classes in found.items()}


def check_claims(episodes: EpisodeList, dataset: Dataset, where: str) -> None:
    """Refuse a list with absent queries that says of a query what its label map does not.

    Args:
        episodes: The list; one without absent queries is fine.
        dataset: The opened data set.
        where: What the list is called.

    Raises:
        BrokenFileError: With the first such episode.
    """
    if episodes.absent is None:
        return
    wrong = false_claims(episodes, held_classes(dataset.for_shots(episodes.shot), episodes.split))
    if wrong:
        raise BrokenFileError(
            f"{where}: {claim_fault(episodes, wrong[0])}", f"fssbench episodes verify LIST --dataset {episodes.dataset}"
        )


def false_claims(episodes: EpisodeList, held: Held) -> list[int]:
    """Return the numbers of the episodes of which a list with absent queries says what the label maps do not."""
    return [
        number
        for number, episode in enumerate(episodes)
        if holds_none(episode) != held.get(episode.query, _NOTHING).isdisjoint(episode.classes)
    ]


def claim_fault(episodes: EpisodeList, number: int) -> str:
    """Return what is wrong with the claim of an episode."""
    episode = episodes[number]
    if holds_none(episode):
        return f"episode {number} says that {episode.query} holds none of its classes, but its label map does"
    return f"episode {number} says that {episode.query} holds one of its classes, but its label map has none"


def unsure_claims(episodes: EpisodeList, dataset: Dataset, held: Held) -> list[int]:
    """Return the numbers of the absent queries that may hold a class of their episode without a pixel of it."""
    return [
        number
        for number, episode in enumerate(episodes)
        if holds_none(episode) and not _surely_none(episode.query, episode, dataset, held)
    ]


def _check_possible(episodes: EpisodeList, dataset: Dataset, rules: Protocol) -> None:
    if episodes.absent is not None:
        raise UsageError(f"{100 * episodes.absent:g} % of the list's queries are absent already", "leave --absent out")
    if episodes.references is not None:
        raise UsageError(
            "absent queries come before references", "give both --absent and --references for the protocol's own list"
        )
    if dataset.absence_unknown:
        raise UsageError(f"{dataset.name} has no absent queries: {dataset.absence_unknown}", "leave --absent out")
    if rules.on(dataset.name).base is not None:
        raise UsageError(
            f"protocol {rules.name} counts base classes, too: false positives of one class are those of another there",
            "--protocol hsnet",
        )


def _spared(numbers: Sequence[int], episodes: Sequence[Episode], held: Held) -> list[int]:
    """Return episodes in their order, but last those without which no query would hold some class."""
    left: Counter[int] = Counter()
    for number in numbers:
        left.update(held[episodes[number].query].intersection(episodes[number].classes))
    first: list[int] = []
    last: list[int] = []
    for number in numbers:
        there = held[episodes[number].query].intersection(episodes[number].classes)
        if all(left[class_id] > 1 for class_id in there):
            left.subtract(there)
            first.append(number)
        else:
            last.append(number)
    return first + last


def _with_true_class(episode: Episode, held: Held) -> Episode:
    """Return an episode whose `query_class` is one of its classes if the query holds one, as it may in FS-CS."""
    there = held.get(episode.query, _NOTHING).intersection(episode.classes)
    if not there or not holds_none(episode):
        return episode
    return replace(episode, query_class=next(c for c in episode.classes if c in there))


def _surely_none(name: str, episode: Episode, dataset: Dataset, held: Held) -> bool:
    """Return whether an image holds none of the classes of an episode, as far as its annotations say."""
    if not held.get(name, _NOTHING).isdisjoint(episode.classes):
        return False
    unseen = dataset.unseen_classes(name)
    return unseen is not None and unseen.isdisjoint(episode.classes)


def _replaced(
    episode: Episode,
    number: int,
    episodes: EpisodeList,
    entries: Sequence[tuple[str, int]],
    dataset: Dataset,
    held: Held,
) -> Episode:
    for name, class_id in _candidates(episode, number, episodes, entries):
        if _surely_none(name, episode, dataset, held):
            return replace(episode, query=name, query_class=class_id)
    names = ", ".join(dataset.class_names.get(c, str(c)) for c in episode.classes)
    raise MissingError(
        f"{dataset.name} fold {episodes.fold} lists no image that surely holds no {names}, for the query of episode "
        f"{number}",
        "leave --absent out",
    )


def _candidates(
    episode: Episode, number: int, episodes: EpisodeList, entries: Sequence[tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    """Yield the entries of other classes in an order of their own for each episode."""
    supports = {name for names in episode.supports for name in names}
    for place in permuted(len(entries), ("absent query", *_key(episodes, number, episode))):
        name, class_id = entries[place]
        if class_id not in episode.classes and name not in supports:
            yield name, class_id


def _key(episodes: EpisodeList, number: int, episode: Episode) -> tuple[str | int, ...]:
    return (episodes.seed, episodes.fold, number, episode.canonical())
