"""Methods whose head predicts several episodes at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Generic, Self, TypeVar

from torch import Tensor, nn

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


class FrozenNormsMethod(JointMethod[Features, Support], Generic[Features, Support]):
    """A method of metric learning whose batch norms stay as they are after ImageNet."""

    def norms(self) -> list[nn.BatchNorm2d]:
        """Return the batch norms."""
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    def train(self, mode: bool = True) -> Self:
        """Set training mode; batch norms keep their ImageNet statistics."""
        super().train(mode)
        for module in self.norms():
            module.eval()
        return self


def by_shot(together: Support, shots: int) -> list[Support]:
    """Return the K supports of B episodes from what was made of all B * K images in one call.

    Args:
        together: A dataclass of tensors (B * K, ...), and of tuples of them.
        shots: K.
    """

    def of(value: Any, shot: int) -> Any:  # noqa: ANN401 - a tensor, or a tuple of tensors
        if isinstance(value, Tensor):
            return value.view(-1, shots, *value.shape[1:])[:, shot]
        return tuple(of(part, shot) for part in value)

    names = [field.name for field in fields(together)]  # type: ignore[arg-type]
    return [
        replace(together, **{name: of(getattr(together, name), shot) for name in names})  # type: ignore[type-var]
        for shot in range(shots)
    ]
