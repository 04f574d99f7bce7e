"""Masks from many prompts: filters, boxes, and removal of repeats."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fssbench.backbones.sam import Prompts, Sam, sam
from fssbench.layers.mask_proposals import (
    Filter,
    Proposals,
    SeveralMasks,
    boxes_of,
    grid,
    joined,
    proposals,
    stability_score,
    without_repeats,
)


def _rectangles(*corners: tuple[int, int, int, int]) -> Tensor:
    masks = torch.zeros(len(corners), 20, 30, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, corners, strict=True):
        mask[top : bottom + 1, left : right + 1] = True
    return masks


def test_boxes_hold_the_outermost_pixels() -> None:
    masks = torch.cat([_rectangles((3, 2, 10, 15), (29, 19, 29, 19)), torch.zeros(1, 20, 30, dtype=torch.bool)])
    assert boxes_of(masks).tolist() == [[3, 2, 10, 15], [29, 19, 29, 19], [0, 0, 0, 0]]
    assert boxes_of(masks[:0]).shape == (0, 4)


def test_stability_is_the_overlap_of_two_thresholds() -> None:
    logits = torch.tensor([[2.0, 0.5, -0.5, -2.0], [-2.0, -2.0, -2.0, -2.0]]).view(2, 1, 4)
    score = stability_score(logits)
    assert score[0] == pytest.approx(1 / 3)
    assert score[1].isnan()


def test_of_overlapping_boxes_the_one_with_the_best_quality_stays() -> None:
    masks = _rectangles((0, 0, 10, 10), (0, 0, 10, 9), (20, 10, 25, 15), (5, 5, 5, 5), (5, 5, 5, 5))
    found = Proposals(masks, torch.tensor([0.5, 0.9, 0.7, 0.1, 0.2]), torch.ones(5))
    kept = without_repeats(found, 0.65)
    # Boxes without an area have no overlap with anything.
    assert kept.quality.tolist() == pytest.approx([0.9, 0.7, 0.2, 0.1])
    assert torch.equal(kept.masks[0], masks[1])
    assert len(without_repeats(found, 1.0).quality) == 5
    assert without_repeats(found.only(torch.zeros(5, dtype=torch.bool)), 0.5).quality.shape == (0,)


def test_the_grid_has_the_centres_of_its_cells() -> None:
    assert grid(2, (20, 40)).tolist() == [[10.0, 5.0], [30.0, 5.0], [10.0, 15.0], [30.0, 15.0]]


def test_some_of_three_masks_are_taken() -> None:
    taken = [list(range(3))[SeveralMasks(layer).taken] for layer in range(6)]
    assert taken == [[0], [1], [2], [0, 1, 2], [1, 2], [2]]


@pytest.fixture(scope="module")
def tiny() -> Sam:
    torch.manual_seed(0)
    return sam("sam-tiny").eval()


@torch.inference_mode()
def test_prompts_give_masks_in_their_order_and_filters_drop_some(tiny: Sam) -> None:
    embedding = torch.randn(1, 64, 16, 16, generator=torch.Generator().manual_seed(0))
    frame = tiny.frame((40, 40))
    tiny.mask_decoder.iou_prediction_head.proj_out.bias.fill_(1.0)
    points = torch.rand(70, 1, 2, generator=torch.Generator().manual_seed(1)) * 255
    prompts = Prompts(points, torch.ones(70, 1, dtype=torch.int))
    every = proposals(tiny, embedding, frame, [prompts], Filter(0.0, 0.0), SeveralMasks(3))
    assert every.masks.shape == (210, 40, 40)
    second = proposals(tiny, embedding, frame, [prompts], Filter(0.0, 0.0), SeveralMasks(1))
    torch.testing.assert_close(second.quality, every.quality.view(70, 3)[:, 1])
    middle = float(second.quality.median())
    good = proposals(tiny, embedding, frame, [prompts], Filter(middle, 0.0), SeveralMasks(1))
    assert torch.equal(good.masks, second.masks[second.quality > middle])
    none = proposals(tiny, embedding, frame, [], Filter(0.0, 0.0))
    assert none.masks.shape == (0, 40, 40)
    assert joined([none, good]).quality.shape == good.quality.shape
