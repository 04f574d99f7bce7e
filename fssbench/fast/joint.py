"""The fast forms of methods whose head predicts several episodes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fssbench.fast.form import FastForm
from fssbench.fast.pytree import collate, group_by_shape
from fssbench.fast.threads import Call, device_of, predict_in_threads
from fssbench.layers.devices import serial_on
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction

Supports = Sequence[Sequence[Any]]
"""`supports[n][k]`: the k-th support of the n-th class."""


class FastJoint(FastForm, JointMethod[Any, Any]):
    """A joint method that predicts several episodes in threads on a CPU, and in one call on a graphics card."""

    def predict_many(
        self, queries: Sequence[Any], supports: Sequence[Supports], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of several episodes; see `Method.predict_many` and `serial_on`."""
        if serial_on(device_of(queries)):
            return predict_in_threads(Call(self, queries, supports, sizes).episodes)
        return predict_jointly(self.predict_batch, [self.prepare_query(query) for query in queries], supports, sizes)


def predict_jointly(
    head: Callable[[Any, Supports, Sequence[tuple[int, int]]], list[Prediction]],
    queries: Sequence[Any],
    supports: Sequence[Supports],
    sizes: Sequence[tuple[int, int]],
) -> list[Prediction]:
    """Return the predictions of several episodes, in their order.

    Args:
        head: Takes queries and supports of batch B and B sizes, and returns the predictions of B episodes.
        queries: The query of each episode; batch 1.
        supports: The supports of each episode; batch 1. Episodes with other shapes of tensors go to another call of
            `head`.
        sizes: The size of each prediction.
    """
    episodes = list(zip(queries, supports, strict=True))
    found: dict[int, Prediction] = {}
    for group in group_by_shape(episodes):
        query, batched = collate([episodes[place] for place in group])
        found |= zip(group, head(query, batched, [sizes[place] for place in group]), strict=True)
    return [found[place] for place in range(len(episodes))]
