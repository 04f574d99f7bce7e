"""CyCTR's attention in place: the same digits, in the memory of the scores."""

from __future__ import annotations

import pytest
import torch

from fssbench.fast.cycle_consistency import attend_in_place
from fssbench.layers.cycle_consistency import CycleConsistentTransformer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_take_the_place_of_scores_and_have_the_same_digits(dtype: torch.dtype) -> None:
    transformer = CycleConsistentTransformer(16, 8, wide=True)
    plain = transformer.cross_layers[0]
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 8, 37, 45, generator=generator).to(dtype) * 9  # 45: whole vectors and a rest
    blocked = torch.rand(2, 8, 45, generator=generator) > 0.8
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        expected = plain.weights(scores, blocked)
        attend_in_place(transformer)
        found = transformer.cross_layers[0].weights(scores, blocked)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    assert (found.data_ptr() == scores.data_ptr()) == (dtype == torch.float32)
    assert found.movedim(2, 3)[blocked].max() == 0
