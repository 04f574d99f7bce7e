"""What is learnt from non-target regions, by hand-computed cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fssbench.layers.non_target import DistractingObjects, background_loss, distractor_mask, prototype_contrast

E = math.e


def _saying(*rows: list[int]) -> Tensor:
    """Logits (1, 2, h, w) whose argmax is `rows`."""
    background = torch.tensor(rows)
    return torch.stack([1 - background, background])[None].float()


def test_background_loss_by_hand() -> None:
    # p(background) is 3/4 everywhere, whatever the part of the target is.
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(2, -1, 4, 4)
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[0, :2] = 1
    masks[1, :, :5] = 1
    expected = -math.log(1 / 4) - 0.5 * math.log(3 / 4)
    assert background_loss(logits, masks).item() == pytest.approx(expected, abs=1e-5)


def test_background_loss_is_a_mean_over_images_of_means_over_targets() -> None:
    # Left column p(background) 1/2, right column 3/4; the targets are one position on the left, two on the right.
    logits = torch.zeros(2, 2, 2, 2)
    logits[:, 1, :, 1] = math.log(3)
    masks = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [0, 1]]], dtype=torch.uint8)
    on_target = (math.log(2) + math.log(4)) / 2
    everywhere = -(math.log(1 / 2) + math.log(3 / 4)) / 2
    assert background_loss(logits, masks).item() == pytest.approx(on_target + 0.5 * everywhere, abs=1e-4)


def test_without_a_target_background_is_said_everywhere_and_ignored_pixels_count() -> None:
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(1, -1, 2, 2)
    for value in (0, 255):
        masks = torch.full((1, 4, 4), value, dtype=torch.uint8)
        assert background_loss(logits, masks).item() == pytest.approx(-0.5 * math.log(3 / 4), abs=1e-6)


def test_contrast_by_hand() -> None:
    # Cosines, so lengths do not matter: with the positive 1 and 0, with the negatives 1 and 0 (and 0 of an empty one).
    predicted = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    support = torch.tensor([[5.0, 0.0], [1.0, 0.0]])
    negatives = [torch.tensor([[1.0, 0.0], [0.0, 7.0]]), torch.tensor([[0.0, 0.0]])]
    expected = (-math.log(E / (E + 1)) - math.log(1 / 1)) / 2
    assert prototype_contrast(predicted, support, negatives).item() == pytest.approx(expected, abs=1e-6)


def test_the_positive_is_not_in_the_denominator() -> None:
    loss = prototype_contrast(torch.eye(2)[:1], torch.eye(2)[:1], [torch.eye(2)[1:]])
    assert loss.item() == pytest.approx(-1.0, abs=1e-6)


def test_what_is_neither_background_nor_target() -> None:
    background = _saying([1, 0, 0, 1])
    target = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 1, 1, 4)
    assert distractor_mask(background, target).flatten().tolist() == [0, 0, 1, 0]


def test_the_contrast_of_a_batch_by_hand() -> None:
    # One row of four positions. Query: the target is predicted at 0 and 1; of what is not its target (0), background
    # is 1, so 2 and 3 are in the way. Support: the target is 1 and 2, and 0 is in the way.
    query = torch.tensor([[4.0, 0.0, 0.0, 2.0], [0.0, 4.0, 2.0, 0.0]]).view(1, 2, 1, 4).requires_grad_()
    support = torch.tensor([[3.0, 1.0, 5.0, 9.0], [0.0, 0.0, 0.0, 9.0]]).view(1, 2, 1, 4).requires_grad_()
    final = _saying([1, 1, 0, 0]).requires_grad_()
    mined = [_saying([0, 1, 0, 0]).requires_grad_(), _saying([0, 0, 0, 1]).requires_grad_()]
    # Masks are twice as large; of every two pixels the first is the nearest.
    masks = [torch.tensor([[[1, 0, 255, 1, 0, 1, 255, 1]]]), torch.tensor([[[255, 1, 1, 0, 1, 0, 0, 1]]])]
    seen = DistractingObjects()
    loss = seen.contrast(final, [query, support], mined, masks, [7])

    torch.testing.assert_close(seen.prototypes[7], torch.tensor([[1.0, 1.0], [3.0, 0.0]]), atol=2e-3, rtol=0)
    half = math.sqrt(0.5)
    expected = -math.log(math.exp(half) / (math.exp(1.0) + math.exp(half)))
    assert loss.item() == pytest.approx(expected, abs=1e-5)

    loss.backward()
    assert query.grad is not None
    assert support.grad is not None
    # A gradient reaches the positions that were averaged, and no decision.
    assert query.grad[0, :, 0, 2:].eq(0).all()
    assert query.grad[0, :, 0, :2].ne(0).any(dim=0).all()
    assert support.grad[0, :, 0, [0, 3]].eq(0).all()
    assert support.grad[0, :, 0, 1:3].ne(0).any(dim=0).all()
    assert all(logits.grad is None for logits in (final, *mined))
    assert not seen.prototypes[7].requires_grad


def test_an_answer_without_a_target_has_a_finite_gradient() -> None:
    query, support = (torch.ones(1, 2, 1, 2, requires_grad=True) for _ in range(2))
    nothing = _saying([0, 0])
    masks = [torch.tensor([[[1, 0]]])] * 2
    loss = DistractingObjects().contrast(nothing, [query, support], [nothing] * 2, masks, [0])
    loss.backward()
    # The cosine of nothing is 0 with everything.
    assert loss.item() == pytest.approx(-math.log(1 / 2), abs=1e-6)
    assert query.grad is not None
    assert query.grad.isfinite().all()


def test_prototypes_are_kept_by_class_the_newest_first_query_before_supports() -> None:
    seen = DistractingObjects()
    seen.add([torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[-1.0], [-2.0], [-3.0]])], [4, 0, 4])
    assert seen.prototypes[4].flatten().tolist() == [1, 3, -1, -3]
    assert seen.prototypes[0].flatten().tolist() == [2, -2]
    seen.add([torch.tensor([[5.0]]), torch.tensor([[-5.0]]), torch.tensor([[-6.0]])], [4])
    assert seen.prototypes[4].flatten().tolist() == [5, -5, -6, 1, 3, -1, -3]
    assert seen.prototypes[0].flatten().tolist() == [2, -2]


def test_at_most_2000_are_kept_and_1000_compared() -> None:
    seen = DistractingObjects()
    seen.add([torch.arange(1000.0)[:, None]], [0] * 1000)
    assert torch.equal(seen.draw(0), seen.prototypes[0])
    seen.add([torch.arange(1000.0, 2500.0)[:, None]], [0] * 1500)
    kept = seen.prototypes[0].flatten()
    assert kept.tolist() == [*range(1000, 2500), *range(500)]

    torch.manual_seed(3)
    drawn = seen.draw(0).flatten()
    assert len(set(drawn.tolist())) == 1000
    assert set(drawn.tolist()) <= set(kept.tolist())
    assert not torch.equal(seen.draw(0).flatten(), drawn)
    torch.manual_seed(3)
    assert torch.equal(seen.draw(0).flatten(), drawn)
