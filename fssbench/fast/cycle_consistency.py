"""CyCTR's transformer for predictions: attention in place.

A head has a score for each query position and token, 330 MiB with the 3,000 tokens of five supports, and each thread
predicts an episode of its own. So there is one such tensor at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fssbench.layers.cycle_consistency import CycleConsistentAttention, CycleConsistentTransformer, penalty


class InPlaceAttention(CycleConsistentAttention):
    """See `CycleConsistentAttention`; nothing is learnt."""

    def weights(self, scores: Tensor, blocked: Tensor) -> Tensor:
        """Return the weights of tokens in the memory of their scores."""
        scores.add_(penalty(blocked, scores))
        if scores.dtype != torch.float32:  # autocast may compute it in float32, but not with `out`
            return torch.softmax(scores, dim=-1)
        return torch.softmax(scores, dim=-1, out=scores)


def attend_in_place(transformer: CycleConsistentTransformer) -> None:
    """Make a transformer attend in place; it is changed."""
    for layer in transformer.cross_layers:
        layer.__class__ = InPlaceAttention
