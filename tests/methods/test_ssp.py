"""SSP: which positions support themselves, what they are averaged to, and which variant its README prints."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fssbench
from fssbench.methods.catalogue import method_info
from fssbench.methods.ssp import SSP, SSPMaps, SSPSupport, adaptive, confident, matching, prototypes, self_support


def _drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_positions_strictly_above_the_threshold_support_themselves() -> None:
    positions = _drawn(5, 4)
    chosen = confident(positions, torch.tensor([0.75, 0.5, 0.7500001, 0.9]), 0.75)
    assert torch.equal(chosen, positions[:, [2, 3]])


@pytest.mark.parametrize(("count", "kept"), [(30, 12), (7, 7)])
def test_where_none_is_sure_the_twelve_most_probable_do(count: int, kept: int) -> None:
    positions, probability = _drawn(5, count), torch.rand(count, generator=torch.Generator().manual_seed(1)) / 2
    chosen = confident(positions, probability, 0.7)
    assert torch.equal(chosen, positions[:, probability.argsort(descending=True)[:kept]])


def test_an_adaptive_prototype_is_nearer_to_what_resembles_its_position() -> None:
    positions, chosen = _drawn(6, 9), _drawn(6, 4, seed=1)
    found = adaptive(positions, chosen)
    for place in range(9):
        weights = torch.softmax(2 * F.cosine_similarity(positions[:, place, None], chosen, dim=0), dim=0)
        torch.testing.assert_close(found[:, place], (chosen * weights).sum(dim=1))


def test_foreground_and_background_of_the_query_have_prototypes_of_their_own() -> None:
    features, inside = _drawn(2, 6, 3, 4), torch.zeros(2, 3, 4, dtype=torch.bool)
    inside[0, :2], inside[1, :, 1:] = True, True
    scores = torch.stack([torch.where(inside, 0.0, 5.0), torch.where(inside, 5.0, 0.0)], dim=1)
    foreground, background = self_support(features, scores)
    for one in range(2):
        own, around = features[one][:, inside[one]], features[one][:, ~inside[one]]
        torch.testing.assert_close(foreground[one, :, 0, 0], own.mean(dim=1))
        local = adaptive(features[one].flatten(1), around)
        expected = 0.3 * around.mean(dim=1, keepdim=True) + 0.7 * local
        torch.testing.assert_close(background[one].flatten(1), expected)


def test_pixels_labelled_255_are_in_neither_prototype() -> None:
    features, mask = _drawn(1, 6, 5, 5), torch.zeros(1, 5, 5, dtype=torch.uint8)
    mask[0, :2], mask[0, 3:] = 1, 255
    both = prototypes(features, mask)[0]
    torch.testing.assert_close(both[1], features[0, :, :2].mean(dim=(1, 2)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[0], features[0, :, 2].mean(dim=1), atol=1e-4, rtol=1e-5)


def test_the_support_s_background_enters_only_when_refined() -> None:
    query, support = SSPMaps(_drawn(1, 96, 6, 6), (48, 48)), _drawn(1, 2, 96, seed=2)
    # So unlike the query that whatever its length the first matching is the same.
    other = support.clone()
    other[:, 0] *= 3.0
    found = {}
    for variant in ("plain", "refine"):
        method = fssbench.build("ssp", "small", variant)
        assert isinstance(method, SSP)
        found[variant] = [method.scores(query, [SSPSupport(one)]) for one in (support, other)]
    plain, changed = found["plain"]
    assert len(plain) == 1
    torch.testing.assert_close(plain[0], changed[0])
    refined, changed = found["refine"]
    torch.testing.assert_close(refined[1], plain[0])
    torch.testing.assert_close(refined[1], changed[1])
    assert (refined[0] - changed[0]).abs().max() > 0.01


def test_matching_is_ten_times_the_cosine_background_first() -> None:
    features, one, other = _drawn(1, 6, 2, 2), _drawn(1, 6, 1, 1, seed=1), _drawn(1, 6, 2, 2, seed=2)
    scores = matching(features, one, other)
    assert scores[0, 0, 1, 0].item() == pytest.approx(
        10 * F.cosine_similarity(features[0, :, 1, 0], one[0, :, 0, 0], dim=0).item(), abs=1e-5
    )
    assert scores[0, 1, 1, 0].item() == pytest.approx(
        10 * F.cosine_similarity(features[0, :, 1, 0], other[0, :, 1, 0], dim=0).item(), abs=1e-5
    )


def test_the_first_stages_and_all_batch_norms_are_not_trained() -> None:
    method = fssbench.build("ssp", "resnet50")
    moved = {name for name, its in method.named_parameters() if its.requires_grad}
    assert {name.partition(".")[0] for name in moved} == {"layer2", "layer3"}
    assert not any(".bn" in name or "downsample.1" in name for name in moved)
    assert method.learnable_parameters == 8290304
    method.train()
    assert not any(part.training for part in method.modules() if isinstance(part, torch.nn.BatchNorm2d))


def test_printed_results_on_pascal_are_refined() -> None:
    info = method_info("ssp")
    assert info.printed_variant("fss", "pascal5i") == "refine"
    assert info.printed_variant("fss", "coco20i") == info.variant_for("fss") == "plain"
    assert method_info("hsnet").printed_variant("fscs", "pascal5i") == "fscs"
