"""How ways and shots are merged, on cases that can be checked by hand."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from fssbench.layers.pairwise import merge_ways, vote


def _logits(foreground: list[list[int]]) -> torch.Tensor:
    """Raw logits (K, 2, 1, w) whose argmax is `foreground`."""
    positive = torch.tensor(foreground, dtype=torch.float32)[:, None]
    return torch.stack([1 - positive, positive], dim=1).view(len(foreground), 2, 1, -1)


def test_one_shot_is_the_argmax() -> None:
    logits = torch.randn(1, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    answer = vote(logits, (9, 11))
    resized = F.interpolate(logits, (9, 11), mode="bilinear", align_corners=True)[0]
    assert torch.equal(answer.labels.long(), resized.argmax(dim=0))
    assert torch.equal(answer.logits, resized)


def test_votes_are_divided_by_the_largest_vote_not_by_the_shots() -> None:
    # Votes are 0, 1, 2, 4 of 5 shots: the largest is 4, so 2 votes are enough although 5 / 2 are not reached.
    shots = [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert vote(_logits(shots), (1, 4)).labels.tolist() == [[0, 0, 1, 1]]


def test_a_single_vote_is_enough_where_no_pixel_has_two() -> None:
    shots = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert vote(_logits(shots), (1, 3)).labels.tolist() == [[1, 1, 0]]


def test_no_votes_at_all_leave_everything_background() -> None:
    answer = vote(_logits([[0, 0], [0, 0]]), (1, 2))
    assert answer.labels.tolist() == [[0, 0]]
    assert answer.present.tolist() == [False]


def test_background_is_the_mean_of_log_probabilities_over_the_ways() -> None:
    # One shot, two ways, one position: probabilities of foreground 0.8 and 0.6.
    probabilities = torch.tensor([[0.2, 0.8], [0.4, 0.6]])
    answer = merge_ways(probabilities.log().view(1, 2, 2, 1, 1), (1, 1))
    expected = [(math.log(0.2) + math.log(0.4)) / 2, math.log(0.8), math.log(0.6)]
    torch.testing.assert_close(answer.logits.flatten(), torch.tensor(expected))
    assert answer.labels.item() == 1
    assert answer.present.tolist() == [True, True]


def test_presence_is_decided_shot_by_shot_and_then_by_majority() -> None:
    # The class is found in one of three shots by a wide margin, and just missed in the others.
    foreground = torch.tensor([0.99, 0.49, 0.49])
    probabilities = torch.stack([1 - foreground, foreground], dim=1).view(3, 1, 2, 1, 1)
    answer = merge_ways(probabilities.log(), (1, 1))
    assert answer.present.tolist() == [False]
    two_of_four = probabilities[[0, 0, 1, 2]]
    assert merge_ways(two_of_four.log(), (1, 1)).present.tolist() == [True]


def test_presence_looks_at_the_low_resolution_and_shots_are_averaged_after_resizing() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 2, 4, 4, generator=generator)
    answer = merge_ways(logits, (7, 5))
    log_p = torch.log_softmax(logits, dim=2)
    singles = [merge_ways(logits[k : k + 1], (7, 5)).logits for k in range(2)]
    torch.testing.assert_close(answer.logits, (singles[0] + singles[1]) / 2)
    found = log_p[:, :, 1].flatten(2).max(dim=2).values >= math.log(0.5)
    assert answer.present.tolist() == (found.float().mean(dim=0) >= 0.5).tolist()
