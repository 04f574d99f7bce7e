"""Several episodes in one call: whether they are answered together, and how they are brought there and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

import torch

from fssbench.layers.devices import serial_on
from fssbench.layers.trees import alike, joined, tensors_of
from fssbench.methods.base.method import Method, Prediction

Features = TypeVar("Features")
Support = TypeVar("Support")
Supports = Sequence[Sequence[Support]]
"""`supports[n][k]`: the k-th support of the n-th way."""


class JointMethod(Method[Features, Support], Generic[Features, Support]):
    """A method whose head answers B episodes at once. Subclasses give `answers`.

    On a processor several threads ask for answers at once, so `answers` leaves the method as it is.
    """

    predicts_in_threads: ClassVar[bool] = True

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
        if serial_on(device_of(queries)) or type(self).predict is not JointMethod.predict:
            return super().predict_many(queries, supports, sizes)
        return answer_together(self.answers, [self.as_query(query) for query in queries], supports, sizes)


def device_of(features: object) -> torch.device:
    """Return where features are; a processor if there are none."""
    return next((tensor.device for tensor in tensors_of(features)), torch.device("cpu"))


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
