"""Predictions of methods that end in a mask."""

from __future__ import annotations

import torch

from fssbench.methods.base.mask_only import mask_prediction


def test_a_mask_is_its_prediction() -> None:
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[1:3, 2:5] = True
    prediction = mask_prediction(mask, (4, 6))
    assert torch.equal(prediction.labels, mask.to(torch.uint8))
    assert torch.equal(prediction.logits.argmax(dim=0), mask.long())
    assert prediction.logits.dtype == torch.float32
    assert prediction.present.tolist() == [True]
    assert not mask_prediction(torch.zeros_like(mask), (4, 6)).present.any()


def test_a_mask_of_another_size_keeps_its_share() -> None:
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:, :4] = True
    prediction = mask_prediction(mask, (50, 30))
    assert prediction.labels.shape == (50, 30)
    assert prediction.labels[:, :15].all()
    assert not prediction.labels[:, 15:].any()
