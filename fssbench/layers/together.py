"""Several episodes in one call: whether they are answered together, and how they are brought there and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from fssbench.layers.trees import alike, joined, tensors_of
from fssbench.methods.method import Method, Prediction

Features = TypeVar("Features")
Support = TypeVar("Support")
Supports = Sequence[Sequence[Support]]
"""`supports[n][k]`: the k-th support of the n-th way."""

ONE_BY_ONE_ON = frozenset({"cpu"})
"""Types of devices; see `one_by_one`."""


def one_by_one(device: torch.device) -> bool:
    """Return whether a device answers the episodes of a call (and scores their pairs) one after the other.

    A processor does: joined they take as long there and more memory, a lone one has paths of its own that leave out
    more, and the last digits of a convolution depend on how many images it is given: so what is said of given features
    is the same there to the last bit, however many episodes a call has. A graphics card, which one episode does not
    keep busy, takes them together.
    """
    return device.type in ONE_BY_ONE_ON


class JointMethod(Method[Features, Support], Generic[Features, Support]):
    """A method whose head answers B episodes at once. Subclasses give `answers`."""

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
        """Return the answers to several episodes; see `Method.predict_many` and `one_by_one`."""
        return answer_together(self.answers, [self.as_query(query) for query in queries], supports, sizes)


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
    if not episodes:
        return []
    alone = one_by_one(tensors_of(episodes[0])[0].device)
    found: dict[int, Prediction] = {}
    for group in [[place] for place in range(len(episodes))] if alone else alike(episodes):
        query, given = joined([episodes[place] for place in group])
        found |= zip(group, answers(query, given, [sizes[place] for place in group]), strict=True)
    return [found[place] for place in range(len(episodes))]
