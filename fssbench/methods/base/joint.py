"""Several episodes in one call: whether they are answered together, and how they are brought there and back."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from fssbench.backbones.folding import answering
from fssbench.layers.devices import serial_on
from fssbench.layers.trees import alike, joined, tensors_of
from fssbench.methods.base.method import Method, Prediction

Features = TypeVar("Features")
Support = TypeVar("Support")
Supports = Sequence[Sequence[Support]]
"""`supports[n][k]`: the k-th support of the n-th way."""
Answering = Callable[[], Prediction]
"""Answers an episode."""

AT_ONCE = 8
"""Answers under way at once on a processor at most: each takes memory of its own."""


class JointMethod(Method[Features, Support], Generic[Features, Support]):
    """A method whose head answers B episodes at once. Subclasses give `answers`.

    On a processor several threads ask for answers at once, so `answers` leaves the method as it is.
    """

    asked_by_threads: ClassVar[bool] = True

    @abstractmethod
    def answers(
        self, query: Features, supports: Supports[Support], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the answers to B episodes, for which the head runs once.

        Args:
            query: Of B queries, made ready by `as_query`.
            supports: `supports[n][k]` is the k-th support of the n-th class, of B episodes.
            sizes: Of each answer its (height, width).
        """

    def predict(self, query: Features, supports: Supports[Support], size: tuple[int, int]) -> Prediction:
        """Return the answer to one episode; see `answers`."""
        return self.answers(self.as_query(query), supports, [size])[0]

    def predict_many(
        self, queries: Sequence[Features], supports: Sequence[Supports[Support]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the answers to several episodes; see `Method.predict_many` and `serial_on`."""
        if serial_on(device_of(queries)):
            return answered_by_threads(Call(self, queries, supports, sizes).episodes)
        return answer_together(self.answers, [self.as_query(query) for query in queries], supports, sizes)


def device_of(features: object) -> torch.device:
    """Return where features are; a processor if there are none."""
    return next((tensor.device for tensor in tensors_of(features)), torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class Call:
    """What `Method.predict_many` is given."""

    method: Method[Any, Any]
    queries: Sequence[Any]
    supports: Sequence[Supports[Any]]
    sizes: Sequence[tuple[int, int]]

    @property
    def episodes(self) -> list[Answering]:
        """Each episode alone."""
        each = zip(self.queries, self.supports, self.sizes, strict=True)
        return [partial(self.method.predict, *episode) for episode in each]


def answers_to(calls: Sequence[Call]) -> list[list[Prediction]]:
    """Return what each method answers; see `Method.predict_many` and `answered_by_threads`.

    The threads of a processor, which are idle at the end until the last is done, take the episodes of all calls as one.
    """
    by_threads = [its for its in calls if its.method.asked_by_threads and serial_on(device_of(its.queries))]
    answered = iter(answered_by_threads([episode for its in by_threads for episode in its.episodes]))
    return [
        list(islice(answered, len(its.sizes)))
        if its in by_threads
        else its.method.predict_many(its.queries, its.supports, its.sizes)
        for its in calls
    ]


def under_way(device: torch.device) -> int:
    """Return how many episodes are answered at the same time; see `answered_by_threads`."""
    return _teams(torch.get_num_threads())[0] if serial_on(device) else 1


def answered_by_threads(episodes: Sequence[Answering]) -> list[Prediction]:
    """Return the answers to several episodes, in their order, as many at once on a processor as torch has threads.

    Each is computed by one thread (by more where there are more than `AT_ONCE`), which need not wait for others after
    every layer: on two cores that takes up to a quarter less time than one answer after the other by both. An answer
    has as many threads to itself in a call for one episode as in a call for many.

    Args:
        episodes: What answers each, and leaves its method as it is.
    """
    threads = torch.get_num_threads()
    # What watches this thread's operations, such as a counter of them, would not see those of others.
    if threads == 1 or not answering() or _get_current_dispatch_mode() is not None:
        return [answer() for answer in episodes]
    cast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def in_modes(answer: Answering) -> Prediction:
        with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=cast):
            return answer()

    try:
        return list(_crew(*_teams(threads)).map(in_modes, episodes))
    finally:
        # Threads that begin later have as many as was said last, by whomever.
        torch.set_num_threads(threads)


def _teams(threads: int) -> tuple[int, int]:
    """Return how many answers are under way where torch has so many threads, and how many threads each has."""
    each = -(-threads // AT_ONCE)
    return threads // each, each


@lru_cache(maxsize=1)
def _crew(size: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, "fssbench-answer", compute_with, (threads,))


def compute_with(threads: int) -> None:
    """Let torch compute with so many threads when this one calls it, whatever others say of theirs.

    Otherwise each thread has a team of its own as large as the main one's, and all wait for processors that are asked
    for several times.
    """
    # What a thread is told before it first asks is forgotten once another thread is told something else.
    torch.get_num_threads()
    torch.set_num_threads(threads)


if hasattr(os, "register_at_fork"):
    # A child process has none of its parent's threads.
    os.register_at_fork(after_in_child=_crew.cache_clear)


def answer_together(
    answers: Callable[[Features, Supports[Support], Sequence[tuple[int, int]]], list[Prediction]],
    queries: Sequence[Features],
    supports: Sequence[Supports[Support]],
    sizes: Sequence[tuple[int, int]],
) -> list[Prediction]:
    """Return the answers to several episodes, in their order; see `Method.predict_many`.

    Args:
        answers: Given queries and supports of batch B and B sizes, the answers to B episodes.
        queries: Of each episode; batch 1.
        supports: Of each episode; batch 1. Episodes whose tensors differ in shape do not meet in a call of `answers`.
        sizes: Of each answer.
    """
    episodes = list(zip(queries, supports, strict=True))
    found: dict[int, Prediction] = {}
    for group in alike(episodes):
        query, given = joined([episodes[place] for place in group])
        found |= zip(group, answers(query, given, [sizes[place] for place in group]), strict=True)
    return [found[place] for place in range(len(episodes))]
