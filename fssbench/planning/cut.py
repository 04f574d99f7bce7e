"""Cutting the episodes of a run into shards of equal size that have few images in common.

Each shard encodes the images of its episodes, so an image that occurs in three shards is encoded three times. Classes
are put into an order in which those with many common images follow each other, and that order is cut. Then single
episodes move, or change places, where fewer images are encoded for that. Only whole numbers are computed, and ties go
to the lower number: every job of an array finds the same shards, on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from fssbench.episode import Episode
from fssbench.results.shard import Shard

Integers = npt.NDArray[np.int64]
FoldEpisodes = tuple[int, Sequence[Episode]]
"""A fold, and episodes of it."""

BRANCHES = 16
"""Most parts of one cut. More shards are cut from its parts, so that a job only cuts what its shard is in."""
PASSES = 2
"""How often each episode is considered. Further passes bring less than 1 % of the images."""
TOLERANCE = 50
"""A part has at most one more or less in so many episodes than an equal one."""


def numbers_of(lists: Sequence[FoldEpisodes], shard: Shard) -> list[list[int]]:
    """Return the numbers of the episodes of a shard, rising, for each list.

    Each episode of the lists is in one shard. The sizes of the shards differ by a few per cent at most.

    Args:
        lists: Folds and their episodes; of one fold there may be several lists, as of 1 and 5 shots.
        shard: Which part of all of them.
    """
    return next(_shards(lists, shard.count, shard.number - 1))


def shards_of(lists: Sequence[FoldEpisodes], count: int) -> list[list[list[int]]]:
    """Return what `numbers_of` does, for each of `count` shards."""
    return list(_shards(lists, count))


def _shards(lists: Sequence[FoldEpisodes], count: int, only: int | None = None) -> Iterator[list[list[int]]]:
    """Yield the numbers of each shard, or of one only, whose number is from 0."""
    places = [(place, number) for place, (_, one) in enumerate(lists) for number in range(len(one))]
    episodes = [lists[place][1][number] for place, number in places]
    names: dict[str, int] = {}
    images = [
        np.array(sorted({names.setdefault(name, len(names)) for name in (one.query, *chain(*one.supports))}))
        for one in episodes
    ]
    classes = [(lists[place][0], one.classes[0]) for (place, _), one in zip(places, episodes, strict=True)]
    rank = {group: number for number, group in enumerate(_class_order(classes, images))}
    order = sorted(
        range(len(places)), key=lambda i: (rank[classes[i]], episodes[i].classes, episodes[i].query, places[i])
    )
    for shard in _divided(order, images, count, only):
        found: list[list[int]] = [[] for _ in lists]
        for index in sorted(shard):
            place, number = places[index]
            found[place].append(number)
        yield found


def _class_order(classes: Sequence[tuple[int, int]], images: Sequence[Integers]) -> list[tuple[int, int]]:
    """Return the classes of the folds, each after those with which it has most of its images in common."""
    groups = sorted(set(classes))
    number_of = {group: number for number, group in enumerate(groups)}
    seen_in: dict[int, set[int]] = {}
    for group, shown in zip(classes, images, strict=True):
        for image in shown.tolist():
            seen_in.setdefault(image, set()).add(number_of[group])
    common = np.zeros((len(groups), len(groups)), np.int64)
    for seen in seen_in.values():
        rows = sorted(seen)
        common[np.ix_(rows, rows)] += 1
    sizes = common.diagonal().copy()
    order: list[int] = []
    near = sizes.copy()  # the first is the largest
    left = np.ones(len(groups), bool)
    while left.any():
        share = near if not order else near * 1000 // sizes
        following = int(np.where(left, share, -1).argmax())
        order.append(following)
        left[following] = False
        near = (near * 4 // 5 if len(order) > 1 else 0) + common[following] * 1000
    return [groups[number] for number in order]


def _divided(order: list[int], images: Sequence[Integers], count: int, only: int | None) -> Iterator[list[int]]:
    """Yield the indices that each of `count` shards of an order has, or those of one only."""
    if count == 1 or not order:
        yield order
        yield from ([] for _ in range(1, count if only is None else 1))
        return
    branches = min(count, BRANCHES)
    firsts = [count * branch // branches for branch in range(branches + 1)]
    parts = np.repeat(np.arange(branches), np.diff([len(order) * first // count for first in firsts]))
    _exchange([images[index] for index in order], parts, branches)
    for branch, (first, end) in enumerate(pairwise(firsts)):
        if only is None or first <= only < end:
            inner = [index for index, part in zip(order, parts.tolist(), strict=True) if part == branch]
            yield from _divided(inner, images, end - first, None if only is None else only - first)


def _exchange(images: Sequence[Integers], parts: Integers, count: int) -> None:
    """Let episodes move to parts that have more of their images, in place; the sizes of the parts stay nearly equal.

    Args:
        images: The images of each episode.
        parts: The part of each episode.
        count: How many parts there are.
    """
    state = _Parts(images, parts, count)
    slack = state.sizes // TOLERANCE
    least, most = state.sizes - slack, state.sizes + slack
    for _ in range(PASSES):
        waiting: dict[tuple[int, int], list[int]] = {}
        for index in range(len(images)):
            part, gains = int(parts[index]), state.gains(index)
            best = int(np.where(state.sizes < most, gains, 0).argmax())
            if gains[best] > 0 and state.sizes[best] < most[best] and state.sizes[part] > least[part]:
                state.move(index, best)
                continue
            best = int(gains.argmax())
            if gains[best] < 0 or best == part:
                continue
            others = waiting.get((best, part), [])
            if others and gains[best] + state.gains(others[-1])[part] > 0:
                state.move(others.pop(), part)
                state.move(index, best)
            elif gains[best] > 0:
                waiting.setdefault((part, best), []).append(index)


class _Parts:
    """How many episodes of each part have each image.

    Args:
        images: The images of each episode.
        parts: The part of each episode, which is changed.
        count: How many parts there are.
    """

    def __init__(self, images: Sequence[Integers], parts: Integers, count: int) -> None:
        used, inside = np.unique(np.concatenate(images), return_inverse=True)
        self._images = np.split(inside, np.cumsum([len(one) for one in images])[:-1])
        self._parts = parts
        self._uses = np.zeros((len(used), count), np.int32)
        for shown, part in zip(self._images, parts.tolist(), strict=True):
            self._uses[shown, part] += 1
        self.sizes = np.bincount(parts, minlength=count)

    def gains(self, index: int) -> Integers:
        """Return for each part how many images of an episode it has, in addition to those that its own part has."""
        uses = self._uses[self._images[index]]
        uses[:, self._parts[index]] -= 1
        known = np.count_nonzero(uses, axis=0)
        return np.asarray(known - known[self._parts[index]])

    def move(self, index: int, part: int) -> None:
        """Put an episode into a part."""
        shown, before = self._images[index], self._parts[index]
        self._uses[shown, before] -= 1
        self._uses[shown, part] += 1
        self.sizes[before] -= 1
        self.sizes[part] += 1
        self._parts[index] = part
