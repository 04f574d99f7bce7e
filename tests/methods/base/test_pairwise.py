"""How ways and shots are merged, on cases that can be checked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import fssbench
from fssbench.layers.losses import ifsl_losses
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.base.pairwise import merge_ways, vote


def _logits(foreground: list[list[int]]) -> torch.Tensor:
    """Raw logits (K, 2, 1, w) whose argmax is `foreground`."""
    positive = torch.tensor(foreground, dtype=torch.float32)[:, None]
    return torch.stack([1 - positive, positive], dim=1).view(len(foreground), 2, 1, -1)


def test_one_shot_is_the_argmax() -> None:
    logits = torch.randn(1, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    prediction = vote(logits, (9, 11))
    resized = F.interpolate(logits, (9, 11), mode="bilinear", align_corners=True)[0]
    assert torch.equal(prediction.labels.long(), resized.argmax(dim=0))
    assert torch.equal(prediction.logits, resized)


def test_votes_are_divided_by_the_largest_vote_not_by_the_shots() -> None:
    # Votes are 0, 1, 2, 4 of 5 shots: the largest is 4, so 2 votes are enough although 5 / 2 are not reached.
    shots = [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert vote(_logits(shots), (1, 4)).labels.tolist() == [[0, 0, 1, 1]]


def test_a_single_vote_is_enough_where_no_pixel_has_two() -> None:
    shots = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert vote(_logits(shots), (1, 3)).labels.tolist() == [[1, 1, 0]]


def test_no_votes_at_all_leave_everything_background() -> None:
    prediction = vote(_logits([[0, 0], [0, 0]]), (1, 2))
    assert prediction.labels.tolist() == [[0, 0]]
    assert prediction.present.tolist() == [False]


def test_background_is_the_mean_of_log_probabilities_over_the_ways() -> None:
    # One shot, two ways, one position: probabilities of foreground 0.8 and 0.6.
    probabilities = torch.tensor([[0.2, 0.8], [0.4, 0.6]])
    prediction = merge_ways(probabilities.log().view(1, 2, 2, 1, 1), (1, 1))
    expected = [(math.log(0.2) + math.log(0.4)) / 2, math.log(0.8), math.log(0.6)]
    torch.testing.assert_close(prediction.logits.flatten(), torch.tensor(expected))
    assert prediction.labels.item() == 1
    assert prediction.present.tolist() == [True, True]


def test_presence_is_decided_shot_by_shot_and_then_by_majority() -> None:
    # The class is found in one of three shots by a wide margin, and just missed in the others.
    foreground = torch.tensor([0.99, 0.49, 0.49])
    probabilities = torch.stack([1 - foreground, foreground], dim=1).view(3, 1, 2, 1, 1)
    prediction = merge_ways(probabilities.log(), (1, 1))
    assert prediction.present.tolist() == [False]
    two_of_four = probabilities[[0, 0, 1, 2]]
    assert merge_ways(two_of_four.log(), (1, 1)).present.tolist() == [True]


def test_presence_looks_at_the_low_resolution_and_shots_are_averaged_after_resizing() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 2, 4, 4, generator=generator)
    prediction = merge_ways(logits, (7, 5))
    log_p = torch.log_softmax(logits, dim=2)
    split_batch = [merge_ways(logits[k : k + 1], (7, 5)).logits for k in range(2)]
    torch.testing.assert_close(prediction.logits, (split_batch[0] + split_batch[1]) / 2)
    found = log_p[:, :, 1].flatten(2).max(dim=2).values >= math.log(0.5)
    assert prediction.present.tolist() == (found.float().mean(dim=0) >= 0.5).tolist()


def _batch(pairs: int, ways: int, shots: int) -> TrainingBatch:
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(pairs, ways, 144, 144, dtype=torch.uint8)
    for n in range(ways):
        masks[:, n, 10 + 60 * n : 60 + 60 * n, 30:100] = 1
    return TrainingBatch(
        torch.randn(pairs, 3, 144, 144, generator=generator),
        masks,
        torch.randn(pairs, ways, shots, 3, 144, 144, generator=generator),
        masks[:, :, None].expand(-1, -1, shots, -1, -1).contiguous(),
        torch.zeros(pairs, ways, dtype=torch.int64),
        torch.zeros(pairs, 144, 144, dtype=torch.uint8),
    )


@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2)])
def test_losses_pair_each_way_and_shot_with_its_own_query(ways: int, shots: int):
    torch.manual_seed(0)
    method = fssbench.build("hsnet", backbone="small", variant="fscs", way=ways, shot=shots, channels=(4, 4, 4)).train()
    batch = _batch(2, ways, shots)
    with torch.no_grad():
        together = method.losses(batch)["segmentation"]
        by_hand = []
        for b, k in ((b, k) for b in range(2) for k in range(shots)):
            query = method.encode(batch.query[b : b + 1])
            supports = [
                method.condition(method.encode(batch.supports[b : b + 1, n, k]), batch.support_masks[b : b + 1, n, k])
                for n in range(ways)
            ]
            logits = torch.stack([method.score(query, support) for support in supports], dim=1)
            by_hand.append(ifsl_losses(logits, batch.query_masks[b : b + 1])["segmentation"])
    torch.testing.assert_close(together, torch.stack(by_hand).mean(), atol=1e-6, rtol=1e-5)


def test_weak_labels_are_learnt_from_presence_alone():
    torch.manual_seed(0)
    method = fssbench.build("asnet", backbone="small", variant="fscs", weak=True, channels=(16, 16)).train()
    batch = _batch(2, 1, 1)
    losses = method.losses(batch)
    assert set(losses) == {"classification"}
    moved = replace(batch, query_masks=batch.query_masks.roll(30, dims=-1), support_masks=1 - batch.support_masks)
    assert torch.equal(method.losses(moved)["classification"], losses["classification"])


@pytest.mark.parametrize(("name", "channels"), [("hsnet", (4, 8, 8)), ("asnet", (16, 32))])
def test_the_head_keeps_its_precision_under_autocast(name: str, channels: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    method = fssbench.build(name, backbone="small", channels=channels)
    images = torch.randn(2, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 192, 192, dtype=torch.uint8)
    mask[..., 30:120, 50:130] = 1
    plain = method.segment(images[0], images[None, 1:], mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = method.segment(images[0], images[None, 1:], mask)
    assert rough.logits.dtype == torch.float32
    assert (rough.labels != plain.labels).float().mean() < 0.05
