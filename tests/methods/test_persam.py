"""PerSAM away from its golden case: several supports, masks of nothing and of everything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.methods.persam import PerSAM, extremes


@pytest.fixture(scope="module")
def method() -> Any:
    torch.manual_seed(0)
    return fssbench.build("persam", "sam-tiny", shot=2)


def _episode(height: int = 60, width: int = 90) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(1, 2, height, width, dtype=torch.uint8)
    masks[..., 15:45, 20:70] = 1
    return images[0], images[None, 1:], masks


def test_a_support_without_an_object_is_left_out(method: PerSAM) -> None:
    query, images, masks = _episode()
    masks[:, 1] = 0
    with_empty = method.segment(query, images, masks)
    alone = method.segment(query, images[:, :1], masks[:, :1])
    assert torch.equal(with_empty.logits, alone.logits)
    nothing = method.segment(query, images, torch.zeros_like(masks))
    assert not nothing.labels.any()
    assert torch.isfinite(nothing.logits).all()


def test_several_supports_are_averaged(method: PerSAM) -> None:
    query, images, masks = _episode()
    targets = method.condition(method.encode(images[0]), masks[0])
    seen: list[Tensor] = []
    original = method.similarity
    method.similarity = lambda query, target: seen.append(target) or original(query, target)  # type: ignore[method-assign]
    try:
        method.segment(query, images, masks)
    finally:
        del method.similarity
    torch.testing.assert_close(seen[0], targets.mean(dim=0))


@torch.inference_mode()
def test_the_target_is_the_mean_under_the_mask_and_never_of_the_padding(method: PerSAM) -> None:
    _, images, masks = _episode()
    inside = method.positions_of(torch.ones(1, 60, 90))
    # The picture fills 256 x 171 pixels, 16 x 10.7 positions; the rest of the square is padding.
    assert inside[0, :10].all()
    assert not inside[0, 11:].any()
    features = method.encode(images[0, :1])
    target = method.condition(features, masks[0, :1])
    places = method.positions_of((masks[0, :1] == 1).float())[0]
    torch.testing.assert_close(target[0], features.embedding[0][:, places].mean(dim=1))


def test_the_extremes_of_a_map_are_points() -> None:
    values = torch.zeros(4, 7)
    values[1, 6], values[3, 2] = 2.0, -2.0
    assert extremes(values).tolist() == [[6, 1], [2, 3]]


def test_an_empty_second_mask_is_background(method: PerSAM, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = type(method.sam).decode

    def negative(*arguments: Any, **named: Any) -> tuple[Tensor, Tensor]:
        low, quality = decode(*arguments, **named)
        return -low.abs(), quality

    monkeypatch.setattr(type(method.sam), "decode", negative)
    assert not method.segment(*_episode()).labels.any()


def test_a_file_of_sam_alone_loads(method: PerSAM) -> None:
    bare = {key.removeprefix("sam."): value for key, value in method.state_dict().items()}
    torch.manual_seed(1)
    other = fssbench.build("persam", "sam-tiny")
    fssbench.load_release(other, bare)
    assert all(torch.equal(value, method.state_dict()[key]) for key, value in other.state_dict().items())
