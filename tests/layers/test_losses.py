"""The losses against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fssbench.layers.losses import ifsl_losses, pixel_contrast_loss, pixel_loss, segmentation_loss


def _logits(foreground: float) -> torch.Tensor:
    return torch.tensor([0.0, foreground])[None, :, None, None].expand(1, 2, 2, 2).contiguous()


def test_segmentation_loss_is_the_mean_over_all_pixels():
    # The probability of the foreground is 3/4 everywhere; one of four pixels is foreground.
    mask = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
    expected = (-math.log(3 / 4) - 3 * math.log(1 / 4)) / 4
    assert segmentation_loss(_logits(math.log(3)), mask).item() == pytest.approx(expected)


def test_a_foreground_pixel_can_count_more():
    mask = torch.tensor([[[1, 0], [0, 0]]], dtype=torch.uint8)
    expected = (-5 * math.log(3 / 4) - 3 * math.log(1 / 4)) / 8
    assert segmentation_loss(_logits(math.log(3)), mask, 5.0).item() == pytest.approx(expected)


def test_the_rim_is_left_out():
    mask = torch.tensor([[[1, 255], [255, 255]]], dtype=torch.uint8)
    assert segmentation_loss(_logits(math.log(3)), mask).item() == pytest.approx(-math.log(3 / 4))


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_nothing_but_rim_costs_nothing(weight: float):
    logits = _logits(2.0).requires_grad_()
    loss = segmentation_loss(logits, torch.full((1, 2, 2), 255, dtype=torch.uint8), weight)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_logits_are_resized_with_aligned_corners():
    # A step from 0 to 2 over two positions becomes 0, 1, 2 over three.
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 1, 0] = torch.tensor([0.0, 2.0])
    mask = torch.ones(1, 1, 3, dtype=torch.uint8)
    expected = sum(math.log1p(math.exp(-score)) for score in (0.0, 1.0, 2.0)) / 3
    assert segmentation_loss(logits, mask).item() == pytest.approx(expected, rel=1e-6)


def test_pixel_loss_of_three_classes():
    scores = torch.log(torch.tensor([0.2, 0.3, 0.5]))[None, :, None, None].expand(1, 3, 1, 2)
    target = torch.tensor([[[2, 255]]])
    assert pixel_loss(scores, target).item() == pytest.approx(-math.log(0.5))


def test_contrast_of_one_class_in_two_pictures():
    # Position 0 of both images shows class 7, along one axis; all else is background along another.
    features = torch.zeros(2, 2, 1, 2)
    features[:, 0, 0, 0] = 3.0
    features[:, 1, 0, 1] = 5.0
    labels = torch.tensor([[[7, 0]], [[7, 0]]], dtype=torch.uint8)
    anchors = 64
    loss = pixel_contrast_loss(features, labels, anchors, np.random.default_rng(0))
    # Every positive has cosine 1, each of the 64 negatives cosine 0, at temperature 0.1.
    expected = math.log(math.exp(10.0) + anchors) - 10.0
    assert loss.item() == pytest.approx(expected, rel=1e-3)


def test_contrast_needs_a_class_in_two_pictures():
    features = torch.randn(2, 4, 3, 3, requires_grad=True)
    labels = torch.zeros(2, 3, 3, dtype=torch.uint8)
    rng = np.random.default_rng(0)
    assert pixel_contrast_loss(features, labels, 8, rng).item() == 0.0
    labels[0, 0, 0], labels[1, 0, 0] = 3, 4
    assert pixel_contrast_loss(features, labels, 8, rng).item() == 0.0


def test_contrast_pulls_a_class_together_across_pictures():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 4, 4, requires_grad=True)
    labels = torch.zeros(2, 4, 4, dtype=torch.uint8)
    labels[:, :2] = 5
    optimiser = torch.optim.SGD([features], lr=1.0)
    for step in range(200):
        optimiser.zero_grad()
        pixel_contrast_loss(features, labels, 32, np.random.default_rng(step)).backward()
        optimiser.step()
    units = torch.nn.functional.normalize(features.detach(), dim=1)
    alike = torch.einsum("cij,ckl->ijkl", units[0, :, :2], units[1, :, :2]).mean()
    unlike = torch.einsum("cij,ckl->ijkl", units[0, :, :2], units[1, :, 2:]).mean()
    assert alike > unlike + 0.8


def _ways(*foreground: float) -> torch.Tensor:
    """Logits (1, N, 2, 2, 2), the same everywhere, of N ways."""
    return torch.stack([_logits(row) for row in foreground], dim=1)


def test_ifsl_segmentation_loss_of_two_ways_by_hand():
    # Probabilities of the classes 3/4 and 1/3; the background's log-probability is the mean of log 1/4 and log 2/3.
    masks = torch.tensor([[[[1, 0], [0, 255]], [[0, 1], [0, 0]]]], dtype=torch.uint8)
    background = (math.log(1 / 4) + math.log(2 / 3)) / 2
    expected = -(math.log(3 / 4) + math.log(1 / 3) + background) / 3
    loss = ifsl_losses(_ways(math.log(3), -math.log(2)), masks)
    assert loss.keys() == {"segmentation"}
    assert loss["segmentation"].item() == pytest.approx(expected)
    weighted = -(4 * math.log(3 / 4) + 4 * math.log(1 / 3) + background) / 9
    again = ifsl_losses(_ways(math.log(3), -math.log(2)), masks, foreground_weight=4.0)
    assert again["segmentation"].item() == pytest.approx(weighted)


def test_ifsl_resizes_log_probabilities_not_logits():
    # Two positions with probabilities 1/2 and 1/10; between them is the mean of their logarithms.
    logits = torch.tensor([0.0, 0.0, 0.0, -math.log(9)]).view(1, 1, 2, 1, 2)
    mask = torch.ones(1, 1, 1, 3, dtype=torch.uint8)
    middle = (math.log(1 / 2) + math.log(1 / 10)) / 2
    expected = -(math.log(1 / 2) + middle + math.log(1 / 10)) / 3
    assert ifsl_losses(logits, mask)["segmentation"].item() == pytest.approx(expected)


def test_ifsl_classification_loss_by_hand():
    # The first class is there, with a pooled log-probability; the second is not.
    first = torch.tensor([0.0, 0.0, 0.0, -math.log(9)]).view(1, 1, 2, 1, 2)
    logits = torch.cat([first, torch.zeros(1, 1, 2, 1, 2)], dim=1)
    masks = torch.tensor([[[[1, 0]], [[0, 255]]]], dtype=torch.uint8)
    pooled = (math.log(1 / 2) + math.log(1 / 10)) / 2
    loss = ifsl_losses(logits, masks, weak=True)
    assert loss.keys() == {"classification"}
    assert loss["classification"].item() == pytest.approx(-(pooled + math.log(1 / 2)) / 2)
