"""A list in which each query of another list has many different supports: how much depends on which were given.

Each pair of query and classes of the list occurs once, in the order in which it first occurs. Its supports are drawn
anew, from the images that the protocol lists under each class: so many different sets of K images, none of which is the
query or is twice in an episode. All sets have the same chance. They depend on the seed of the list, on the query and on
the class, but not on the number of queries or references: the first ten of twenty references are those of a list with
ten.

The list has a run for each reference, in which every query occurs once (`EpisodeList.run_length`): the mean over runs
is the mean over references.

A class with too few sets is refused. With fewer references for some queries their worst and best would not be
comparable, and the components of the variance could not be told apart so simply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from math import comb
from typing import TYPE_CHECKING

from fssbench.episode.episode import Episode, EpisodeList
from fssbench.episode.listed import lists_of
from fssbench.episode.permuted import permuted_sets
from fssbench.errors import MissingError, UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode.samplers.lists import ImageLists
    from fssbench.protocols.rules import Protocol

MOST = 1000
"""The largest number of references of a query."""

Supports = tuple[str, ...]
"""The K supports of one class."""


def check_references(count: int) -> int:
    """Return a number of references.

    Raises:
        UsageError: If it is below 2 or too large.
    """
    if not 2 <= count <= MOST:
        raise UsageError(f"a query has 2 to {MOST} references, not {count}", "--references 20")
    return count


def with_references(
    episodes: EpisodeList, dataset: Dataset, rules: Protocol, count: int, *, skip_short_classes: bool = False
) -> EpisodeList:
    """Return a list in which each query of another list has `count` different supports.

    Args:
        episodes: The list, of one run.
        dataset: The opened data set.
        rules: The protocol that drew it.
        count: R, the number of references.
        skip_short_classes: Leave out queries of classes that have too few images, instead of raising an error.

    Raises:
        UsageError: If the list has several runs or has references already, or the number is out of range.
        MissingError: If a class has too few images for so many different sets of supports.
    """
    check_references(count)
    if episodes.references is not None:
        raise UsageError(
            f"the list has {episodes.references} references for each query already", "leave --references out"
        )
    if episodes.run_length is not None:
        raise UsageError(
            f"protocol {episodes.protocol} draws several runs; references need a list of one run", "--runs 1"
        )
    dataset = dataset.for_shots(episodes.shot)
    lists = lists_of(dataset, episodes.fold, episodes.split, rules.on(dataset.name))
    pools = {class_id: sorted(set(names)) for class_id, names in lists.by_class.items()}
    photos = _photos(lists)
    queries = list({(e.query, e.classes, e.query_class): e for e in episodes}.values())
    drawn = [(query, list(_references(query, pools, photos, episodes, count))) for query in queries]
    short = {query.query: query for query, found in drawn if len(found) < count}
    left_out: tuple[int, ...] = ()
    if short:
        classes = _short_classes(drawn, pools, episodes.shot, count)
        if not skip_short_classes:
            raise _too_few(dataset, episodes, classes, pools, drawn, count)
        drawn = [(query, found) for query, found in drawn if not classes.intersection(query.classes)]
        left_out = tuple(sorted(classes))
    if not drawn:
        raise MissingError(
            f"no class of {dataset.name} fold {episodes.fold} has {count} different sets of {episodes.shot} supports",
            "a smaller --references",
        )
    every = tuple(replace(query, supports=found[number]) for number in range(count) for query, found in drawn)
    return replace(
        episodes,
        episodes=every,
        run_length=len(drawn),
        references=count,
        left_out=tuple(sorted({*episodes.left_out, *left_out})),
        base_hash=episodes.base_hash or episodes.hash,
        base_count=episodes.base_count or len(episodes),
    ).of(dataset)


def _references(
    query: Episode,
    pools: Mapping[int, Sequence[str]],
    photos: Mapping[str, str],
    episodes: EpisodeList,
    count: int,
) -> Iterator[tuple[Supports, ...]]:
    """Yield up to `count` supports for a query, all sets of a class different; fewer if there are no more."""
    own = photos.get(query.query, query.query)
    sets: list[Iterator[Supports]] = []
    for class_id in query.classes:
        pool = [name for name in pools.get(class_id, ()) if photos.get(name, name) != own]
        key = ("references", episodes.seed, query.query, class_id, episodes.shot)
        sets.append(iter(permuted_sets(pool, episodes.shot, key)))
    # Sets that share an image with another class of the episode wait for the next reference.
    waiting: list[list[Supports]] = [[] for _ in sets]
    for _ in range(count):
        chosen: list[Supports] = []
        for place, one in enumerate(sets):
            used = {photos.get(name, name) for name in chain(*chosen)}
            found = _next(one, waiting[place], used, photos)
            if found is None:
                return
            chosen.append(found)
        yield tuple(chosen)


def _next(
    sets: Iterator[Supports], waiting: list[Supports], used: set[str], photos: Mapping[str, str]
) -> Supports | None:
    """Return the first set without an image that is used already, and without two images of one photo."""
    for place, one in enumerate(waiting):
        if used.isdisjoint(photos.get(name, name) for name in one):
            return waiting.pop(place)
    for one in sets:
        shown = [photos.get(name, name) for name in one]
        if len(set(shown)) < len(shown):
            continue
        if used.isdisjoint(shown):
            return one
        waiting.append(one)
    return None


def _photos(lists: ImageLists) -> dict[str, str]:
    """Return the photo of each image that is one object of a photo; empty where images are whole photos."""
    return {
        image: one.photo
        for photos in lists.objects.values()
        for one in photos
        for image in one.images
        if image is not None
    }


def _short_classes(
    drawn: Sequence[tuple[Episode, Sequence[object]]], pools: Mapping[int, Sequence[str]], shot: int, count: int
) -> set[int]:
    """Return the classes with too few sets, or of several ways the smallest class of each short episode."""
    classes: set[int] = set()
    for query, found in drawn:
        if len(found) < count:
            few = {c for c in query.classes if _most(pools.get(c, ()), query.query, shot) < count}
            classes |= few or {min(query.classes, key=lambda c: len(pools.get(c, ())))}
    return classes


def _most(pool: Sequence[str], query: str, shot: int) -> int:
    """Return how many different sets of supports there are for a query."""
    return comb(len(pool) - (query in pool), shot)


def _too_few(
    dataset: Dataset,
    episodes: EpisodeList,
    classes: set[int],
    pools: Mapping[int, Sequence[str]],
    drawn: Sequence[tuple[Episode, Sequence[object]]],
    count: int,
) -> MissingError:
    names = [f"{dataset.class_names[c]} ({len(pools.get(c, ()))} images)" for c in sorted(classes)]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    most = min(len(found) for _, found in drawn)
    supports = "supports" if episodes.shot == 1 else f"sets of {episodes.shot} supports"
    fewer = f"--references {most}, or " if most > 1 else ""
    return MissingError(
        f"{dataset.name} (fold {episodes.fold}, {episodes.split}) has too few images of {shown} for {count} different "
        f"{supports} of each query",
        f"{fewer}leave these classes out with --skip-short-classes",
    )
