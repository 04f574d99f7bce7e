"""Methods whose head predicts several episodes at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from fssbench.methods.base.method import Method, Prediction

Features = TypeVar("Features")
Support = TypeVar("Support")
Supports = Sequence[Sequence[Support]]
"""`supports[n][k]`: the k-th support of the n-th class."""


class JointMethod(Method[Features, Support], Generic[Features, Support]):
    """A method whose head predicts B episodes at once. Subclasses define `predict_batch`."""

    @abstractmethod
    def predict_batch(
        self, query: Features, supports: Supports[Support], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes; the head runs once.

        Args:
            query: Of B queries, from `prepare_query`.
            supports: `supports[n][k]` is the k-th support of the n-th class, of B episodes.
            sizes: The (height, width) of each prediction.
        """

    def predict(self, query: Features, supports: Supports[Support], size: tuple[int, int]) -> Prediction:
        """Return the prediction of one episode; see `predict_batch`."""
        return self.predict_batch(self.prepare_query(query), supports, [size])[0]
