"""The fast forms of methods that score one query against one support at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.fast.correlation import UnitMaps, correlation_bytes, unit_maps
from fssbench.fast.folding import folded, folded_encoder
from fssbench.fast.form import FastForm, shallow_copy
from fssbench.fast.pytree import collate, group_by_shape
from fssbench.fast.threads import Call, device_of, predict_in_threads
from fssbench.layers.devices import serial_on
from fssbench.methods.base.method import Prediction
from fssbench.methods.base.pairwise import PairwiseMethod

Learner = TypeVar("Learner", bound=nn.Module)
Supports = Sequence[Sequence[Any]]
"""`supports[n][k]`: the k-th support of the n-th class, from the form's own `condition`."""

PAIR_BYTES = 4 << 30
"""Largest memory, in bytes, of the pairs that are scored in one call."""


class FastPairwise(FastForm, PairwiseMethod[Any]):
    """A pairwise method that prepares each query once, and on a graphics card scores several pairs in one call.

    Attributes:
        peak: Peak memory of scoring a pair, as a multiple of `correlation_bytes`. Measured at 400 pixels on a CPU:
            HSNet 3.2, ASNet 2.2, and 9.3 with local attention. On a graphics card attention with so few channels per
            head keeps all its weights in memory, which raises ASNet to about 7.
    """

    peak: ClassVar[int] = 10
    query_of_features_alone: ClassVar[bool] = True

    def prepare(self) -> None:
        """Replace the backbone by its folded copy, which methods with the same backbone share."""
        self.backbone = folded_encoder(self.backbone)

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's maps, under autocast in its precision, so that they need less memory."""
        return self.backbone(image)

    @abstractmethod
    def score(self, query: UnitMaps, support: Any) -> Tensor:  # type: ignore[override] # noqa: ANN401 - each has its own
        """Return the result of `PairwiseMethod.score` for a prepared query."""

    def prepare_query(self, features: Pyramid | UnitMaps) -> UnitMaps:  # type: ignore[override] # read by `score` alone
        """Return unit maps, ready for correlation; prepared maps are returned unchanged."""
        return features if isinstance(features, UnitMaps) else unit_maps(features)

    def predict(self, query: Pyramid | UnitMaps, supports: Supports, size: tuple[int, int]) -> Prediction:
        """Return the prediction of one episode."""
        return self.predict_episodes([query], [supports], [size])[0]

    def predict_many(
        self, queries: Sequence[Pyramid | UnitMaps], supports: Sequence[Supports], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of several episodes; see `Method.predict_many` and `serial_on`."""
        if serial_on(device_of(queries)):
            return predict_in_threads(Call(self, queries, supports, sizes).episodes)
        return self.predict_episodes(queries, supports, sizes)

    def predict_episodes(
        self, queries: Sequence[Pyramid | UnitMaps], supports: Sequence[Supports], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of several episodes, whose pairs are all scored first."""
        pairs = [
            (query, self.as_way(support, n))
            for query, ways in zip(map(self.prepare_query, queries), supports, strict=True)
            for shot in zip(*ways, strict=True)
            for n, support in enumerate(shot, 1)
        ]
        logits = iter(self._score_pairs(pairs))
        predicted = []
        for ways, size in zip(supports, sizes, strict=True):
            scored = torch.cat(list(islice(logits, sum(map(len, ways)))))  # of K shots of N ways
            predicted.append(self.merge(scored.view(-1, len(ways), *scored.shape[1:]), size))
        return predicted

    def _score_pairs(self, pairs: Sequence[tuple[UnitMaps, Any]]) -> list[Tensor]:
        """Return the logits (1, 2, h, w) of each pair; a graphics card scores as many in a call as fit in memory."""
        if serial_on(device_of(pairs)):
            return [self.score(*pair) for pair in pairs]
        found: dict[int, Tensor] = {}
        for group in group_by_shape(pairs):
            together = pairs_at_once(self.peak * correlation_bytes(pairs[group[0]][0]))
            for start in range(0, len(group), together):
                places = group[start : start + together]
                logits = self.score(*collate([pairs[place] for place in places]))
                found |= zip(places, torch.split(logits, 1), strict=True)
        return [found[place] for place in range(len(pairs))]


def pairs_at_once(each: int) -> int:
    """Return how many pairs of this size in bytes are scored in one call; at least one."""
    return max(1, PAIR_BYTES // max(1, each))


def with_fast_decoder(learner: Learner) -> Learner:
    """Return a copy of a learner with a folded decoder; it shares everything else with the learner."""
    own = shallow_copy(learner)
    for name in ("decoder1", "decoder2"):
        own.add_module(name, folded(learner.get_submodule(name)))
    return own
