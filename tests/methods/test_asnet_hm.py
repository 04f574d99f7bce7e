"""ASNet-HM: what hybrid masking takes from where, and the value that the n-th way's mask has."""

from __future__ import annotations

from typing import Any

import torch

import fssbench
from fssbench.layers.masks import resize_mask
from fssbench.methods.asnet_hm import ASNetHM

SIDE = 136


def _build(way: int = 1, **options: Any) -> ASNetHM:
    torch.manual_seed(0)
    method = fssbench.build("asnet-hm", backbone="small", way=way, channels=(16, 16), **options)
    assert isinstance(method, ASNetHM)
    return method


def _episode(way: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(way, 1, SIDE, SIDE, dtype=torch.uint8)
    masks[..., 30:90, 20:100] = 1
    masks[..., :10, :] = 255
    images = torch.randn(way, 1, 3, SIDE, SIDE, generator=generator)
    return torch.randn(3, SIDE, SIDE, generator=generator), images, masks


def test_a_positive_masked_feature_stays_and_the_masked_image_gives_the_rest() -> None:
    method = _build()
    _, images, masks = _episode(1)
    inside = (masks[0] == 1).float()
    with torch.inference_mode():
        hybrid = method.condition(method.encode(images[0]), masks[0]).features
        plain, by_input = method.backbone(images[0]), method.backbone(images[0] * inside[:, None])
    for found, whole, other in zip(hybrid, plain, by_input, strict=True):
        weight = resize_mask(inside, whole).expand_as(whole)
        kept = (whole > 0) & (weight > 0)
        assert 0 < kept.float().mean() < 1
        assert torch.equal(found[kept], (whole * weight)[kept])
        assert torch.equal(found[~kept], other[~kept])


def test_the_second_ways_mask_counts_twice_unless_masks_are_units() -> None:
    released, corrected = _build(way=2), _build(way=2, unit_masks=True)
    query, images, masks = _episode(2)
    predictions = [method.segment(query, images, masks).logits for method in (released, corrected)]
    assert torch.equal(predictions[0][1], predictions[1][1])
    assert not torch.allclose(predictions[0][2], predictions[1][2], atol=1e-5)
    # Corrected, a way is scored as it is alone.
    alone = _build().segment(query, images[1:], masks[1:]).logits
    torch.testing.assert_close(predictions[1][2], alone[1], atol=1e-5, rtol=1e-5)


def test_the_backbone_is_not_moved_by_either_masking() -> None:
    method = _build().train()
    query, images, masks = _episode(1)
    support = method.condition(method.encode(images[0]), masks[0])
    assert not any(feature.requires_grad for feature in support.features)
    method.score(method.encode(query[None]), support).square().sum().backward()
    moved = {name.split(".")[0] for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert moved == {"learner"}
