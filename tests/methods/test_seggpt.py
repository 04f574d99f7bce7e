"""SegGPT: prompts that are averaged, two rules from a colour to a label, and transformers' own network."""

from __future__ import annotations

import re

import pytest
import torch

import fssbench
from fssbench.errors import CheckpointError
from fssbench.methods.seggpt import SegGPT
from tests.golden import formula

SIDE = 128


@pytest.fixture(scope="module")
def method() -> SegGPT:
    made = fssbench.build("seggpt", "seggpt-tiny", shot=2)
    assert isinstance(made, SegGPT)
    # Paintings about as bright as the bound between the labels.
    shades = {"backbone.decoder.decoder_pred.head.bias": (0.24, 0.24, 0.24)}
    made.load_state_dict(formula.state({key: value.shape for key, value in made.state_dict().items()}, shades))
    return made


def episode(shot: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    masks = torch.zeros(1, shot, SIDE, SIDE, dtype=torch.uint8)
    masks[:, :, 16:70, 10:60] = 1
    images = torch.randn(1, shot, 3, SIDE, SIDE, generator=draw)
    return torch.randn(3, SIDE, SIDE, generator=draw), images, masks


@torch.inference_mode()
def painted(method: SegGPT, shot: int) -> torch.Tensor:
    query, images, masks = episode(shot)
    prompts = [method.condition(method.encode(images[0, k : k + 1]), masks[0, k : k + 1]) for k in range(shot)]
    return method.painted(query[None], prompts)


def test_one_prompt_is_that_of_transformers(method: SegGPT) -> None:
    query, images, masks = episode(1)
    prompt = method.condition(images[0], masks[0])
    with torch.inference_mode():
        expected = method.backbone(
            pixel_values=query[None],
            prompt_pixel_values=prompt.picture,
            prompt_masks=prompt.colours,
            embedding_type="semantic",
        ).pred_masks
    torch.testing.assert_close(painted(method, 1), expected, atol=1e-5, rtol=1e-5)


def test_equal_prompts_paint_as_one_alone(method: SegGPT) -> None:
    query, images, masks = episode(1)
    one = method.segment(query, images, masks).logits
    three = method.segment(query, images.expand(1, 3, -1, -1, -1), masks.expand(1, 3, -1, -1)).logits
    torch.testing.assert_close(three, one, atol=1e-5, rtol=1e-5)


def test_several_prompts_are_averaged_in_the_first_three_blocks_for_each_stream(method: SegGPT) -> None:
    """In transformers the third block averages pictures and paintings together."""
    query, images, masks = episode(2)
    with torch.inference_mode():
        prompts = [method.condition(images[:, k], masks[:, k]) for k in range(2)]
        theirs = method.backbone(
            pixel_values=query[None].expand(2, -1, -1, -1),
            prompt_pixel_values=torch.cat([one.picture for one in prompts]),
            prompt_masks=torch.cat([one.colours for one in prompts]),
            embedding_type="semantic",
            feature_ensemble=True,
        ).pred_masks
    found = painted(method, 2)
    assert found.shape == theirs.shape == (2, 3, 2 * SIDE, SIDE)
    assert (found - theirs).abs().max() > 1e-3


def test_the_first_prompts_painting_is_taken(method: SegGPT) -> None:
    query, images, masks = episode(2)
    first = method.segment(query, images, masks).logits
    other = method.segment(query, images.flip(1), masks.flip(1)).logits
    assert not torch.equal(first, other)
    assert method.order_of_shots_matters


def test_the_rules_differ_by_half_a_shade(method: SegGPT) -> None:
    query, images, masks = episode(1)
    labels = method.segment(query, images, masks).labels
    assert 0.05 < labels.float().mean() < 0.95
    nearest = fssbench.build("seggpt", "seggpt-tiny", rule="nearest")
    nearest.load_state_dict(method.state_dict())
    brighter = nearest.segment(query, images, masks).labels
    assert (brighter >= labels).all()
    with torch.inference_mode():
        colours = method.colours(painted(method, 1))
    white, black = ((colours - value).square().sum(dim=0) for value in (255.0, 0.0))
    assert torch.equal(brighter.bool(), white < black)
    assert torch.equal(labels.bool(), colours.mean(dim=0) > 128)


def test_the_kind_of_prompt_is_an_option(method: SegGPT) -> None:
    instance = fssbench.build("seggpt", "seggpt-tiny", seg_type="instance")
    instance.load_state_dict(method.state_dict())
    assert not torch.equal(instance.segment(*episode(1)).logits, method.segment(*episode(1)).logits)


def test_any_size_is_seen_at_the_networks(method: SegGPT) -> None:
    draw = torch.Generator().manual_seed(1)
    query, images = torch.randn(3, 90, 70, generator=draw), torch.randn(1, 1, 3, 90, 70, generator=draw)
    masks = torch.zeros(1, 1, 90, 70)
    assert method.condition(method.encode(images[0]), masks[0]).picture.shape == (1, 3, SIDE, SIDE)
    # An empty mask is a black prompt.
    prediction = method.segment(query, images, masks)
    assert prediction.labels.shape == (90, 70)
    assert bool(prediction.logits.isfinite().all())


def test_weights_of_the_hub_load_and_others_are_refused(method: SegGPT) -> None:
    other = fssbench.build("seggpt", "seggpt-tiny")
    hub = {key.removeprefix("backbone."): value for key, value in method.state_dict().items()}
    fssbench.load_release(other, hub)
    assert torch.equal(other.segment(*episode(1)).logits, method.segment(*episode(1)).logits)
    cut = {key: value for key, value in hub.items() if not re.search(r"layers\.23\.", key)}
    with pytest.raises(CheckpointError, match=r"missing: backbone\.model\.encoder\.layers\.23"):
        fssbench.load_release(other, cut)
