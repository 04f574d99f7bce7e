"""The floors do what they say."""

from __future__ import annotations

import torch

import fssbench


def test_all_foreground() -> None:
    method = fssbench.build("all-foreground")
    prediction = method.segment(torch.zeros(3, 8, 8), torch.zeros(1, 1, 3, 8, 8), torch.zeros(1, 1, 8, 8), size=(5, 6))
    assert prediction.labels.eq(1).all()
    assert prediction.labels.shape == (5, 6)


def test_copy_mask_pastes_the_support_mask() -> None:
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    mask[..., :2, :2] = 1
    prediction = fssbench.build("copy-mask").segment(
        torch.zeros(3, 4, 4), torch.zeros(1, 1, 3, 4, 4), mask, size=(8, 8)
    )
    expected = torch.zeros(8, 8, dtype=torch.uint8)
    expected[:4, :4] = 1
    assert torch.equal(prediction.labels, expected)


def test_copy_mask_keeps_what_half_of_the_shots_share() -> None:
    masks = torch.tensor([[1, 1, 0], [1, 0, 0]], dtype=torch.uint8).view(1, 2, 1, 3)
    method = fssbench.build("copy-mask", shot=2)
    prediction = method.segment(torch.zeros(3, 1, 3), torch.zeros(1, 2, 3, 1, 3), masks)
    assert prediction.labels.tolist() == [[1, 1, 0]]


def test_prototype_finds_the_surface_it_was_shown() -> None:
    torch.manual_seed(0)
    method = fssbench.build("prototype", backbone="small")
    support = torch.full((3, 192, 192), -1.0)
    support[0, :, :96] = 2.0
    mask = torch.zeros(192, 192, dtype=torch.uint8)
    mask[:, :96] = 1
    query = support.flip(-1)
    labels = method.segment(query, support[None, None], mask[None, None]).labels
    # Away from the border between the two surfaces the prediction is the mirrored mask.
    assert labels[:, 120:].float().mean() > 0.9
    assert labels[:, :72].float().mean() < 0.1
