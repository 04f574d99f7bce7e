"""HSNet's fast form against the same layers run as they are written in the paper."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.backbones import Pyramid
from fssbench.fast.correlation import KeptPositions, dense_hypercorrelation, keep_positions, unit_maps
from fssbench.fast.form import fast_form
from fssbench.fast.hsnet import FastHSNet, score_pair
from fssbench.layers.hypercorrelation import hypercorrelation
from fssbench.methods.hsnet import HPNLearner

LEVELS = (2, 2, 1)


def _maps(sides: list[tuple[int, int]], batch: int, seed: int) -> Pyramid:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 6, *side, generator=generator) for side in sides)


def _mask(kind: str, size: tuple[int, int]) -> Tensor:
    mask = torch.zeros(size)
    height, width = size
    if kind == "full":
        mask[:] = 1
    elif kind == "middle":
        mask[height // 3 : height // 2, width // 4 : 2 * width // 3] = 1
    elif kind == "corner":
        mask[-5:, -5:] = 1
    elif kind == "two":
        mask[:7, :9] = 1
        mask[-9:, width // 2 :] = 1
    return mask


def _plain(learner: HPNLearner, query: Pyramid, support: Pyramid, mask: Tensor) -> Tensor:
    """The formulation of the release: masked maps, the whole correlation, every layer on all of it."""
    masked = []
    for feature in support:
        weight = torch.nn.functional.interpolate(mask[:, None], feature.shape[-2:], mode="bilinear", align_corners=True)
        masked.append(feature * weight)
    with torch.no_grad():
        return learner(hypercorrelation(query, masked, LEVELS))


SIDES = {
    "square": ([(24, 24)] * 2 + [(13, 13)] * 2 + [(13, 13)], (96, 96)),
    "wide": ([(17, 25)] * 2 + [(16, 13)] * 2 + [(9, 13)], (68, 100)),
}


@pytest.mark.parametrize("shape", SIDES)
@pytest.mark.parametrize("kind", ["full", "empty", "middle", "corner", "two"])
def test_the_logits_are_those_of_the_whole_tensors(shape: str, kind: str) -> None:
    torch.manual_seed(0)
    learner = HPNLearner(LEVELS, (4, 8, 8))
    for parameter in learner.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sides, size = SIDES[shape]
    query, support, mask = _maps(sides, 1, 0), _maps(sides, 1, 1), _mask(kind, size)[None]
    expected = _plain(learner, query, support, mask)
    with torch.inference_mode():
        fast_logits = score_pair(learner, unit_maps(query), keep_positions(support, mask))
    torch.testing.assert_close(fast_logits, expected, atol=1e-4 * expected.abs().max().item(), rtol=0)


def test_kept_positions_are_those_of_the_mask_and_spread_back_to_the_masked_map() -> None:
    sides, size = SIDES["wide"]
    query, support = _maps(sides, 3, 0), _maps(sides, 3, 1)
    mask = torch.stack([_mask(kind, size) for kind in ("empty", "corner", "two")])
    kept = keep_positions(support, mask)
    assert kept.units[0].shape[1] < 17 * 25
    assert (kept.places[0] >= 0).sum(dim=1)[0] == 0
    masked = [
        feature
        * torch.nn.functional.interpolate(mask[:, None], feature.shape[-2:], mode="bilinear", align_corners=True)
        for feature in support
    ]
    for ours, plain in zip(
        dense_hypercorrelation(unit_maps(query), kept, LEVELS), hypercorrelation(query, masked, LEVELS), strict=True
    ):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize("backbone", ["small", pytest.param("vgg16", marks=pytest.mark.slow)])
def test_the_fast_form_predicts_as_the_plain_one_does_in_float64(backbone: str) -> None:
    torch.manual_seed(0)
    method = fssbench.build("hsnet", backbone=backbone, shot=2, channels=(4, 8, 8))
    for part in method.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)
    side = 192 if backbone == "small" else 208
    images = torch.randn(3, 3, side, side - 16, generator=torch.Generator().manual_seed(0))
    masks = torch.stack([_mask(kind, (side, side - 16)) for kind in ("middle", "corner")])
    exact = copy.deepcopy(method).double()
    with torch.no_grad():
        supports = [
            exact.condition(exact.encode(image[None].double()), masks[n][None]) for n, image in enumerate(images[:2])
        ]
        plain = exact.predict(exact.encode(images[2:].double()), [supports], (90, 70))
    fast = fast_form(method)
    assert isinstance(fast, FastHSNet)
    with torch.inference_mode():
        together = fast.condition(fast.encode(images[:2]), masks)
        kept = [fast.condition(fast.encode(images[n : n + 1]), masks[n : n + 1]) for n in range(2)]
        query = fast.encode(images[2:])
        ready = fast.prepare_query(query)
        prediction = fast.predict(ready, [kept], (90, 70))
        assert torch.equal(fast.predict(query, [kept], (90, 70)).logits, prediction.logits)
        assert torch.equal(fast.predict(fast.prepare_query(ready), [kept], (90, 70)).logits, prediction.logits)
        scores = fast.score(fast.prepare_query(fast.encode(images[[2, 2]])), together)
        apart = torch.cat([fast.score(ready, support) for support in kept])
    assert all(isinstance(support, KeptPositions) for support in kept)
    close = 1e-4 * plain.logits.abs().max().item()
    torch.testing.assert_close(prediction.logits.double(), plain.logits, atol=close, rtol=0)
    torch.testing.assert_close(scores, apart, atol=close, rtol=0)
    assert (prediction.labels != plain.labels).sum() <= 5


def test_training_sees_the_masked_maps_and_every_gradient() -> None:
    torch.manual_seed(0)
    method = fssbench.build("hsnet", backbone="small", channels=(4, 8, 8)).train()
    image = torch.randn(1, 3, 144, 144, generator=torch.Generator().manual_seed(0))
    support = method.condition(method.encode(image), _mask("middle", (144, 144))[None])
    assert isinstance(support, tuple)
    query = method.encode(image)
    assert method.prepare_query(query) is query
    method.score(query, support).sum().backward()
    learnt = [parameter for parameter in method.parameters() if parameter.requires_grad]
    assert learnt
    assert all(parameter.grad is not None for parameter in learnt)
