"""RPMM's mixtures, its stages, and what it makes of several shots."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fssbench
from fssbench.fast.form import fast_form
from fssbench.methods.rpmm import RPMMSupport
from tests.methods.narrow import narrow


def test_a_mixture_of_one_is_the_direction_of_the_mean() -> None:
    method = fssbench.build("rpmm", "small", width=4)
    samples = torch.rand(1, 4, 30)
    expected = F.normalize(samples.mean(dim=2), dim=1)
    found = method.mixture(samples, method.first_prototypes(4, 1))
    torch.testing.assert_close(found[:, 0], expected, atol=1e-4, rtol=0)


def test_two_groups_of_samples_get_a_prototype_each_and_zeros_none() -> None:
    method = fssbench.build("rpmm", "small", width=4)
    one, other = torch.eye(4)[0], torch.eye(4)[1]
    samples = torch.stack([one] * 5 + [other] * 3 + [torch.zeros(4)] * 4, dim=1)[None]
    first = torch.stack([one + 0.1 * other, other + 0.1 * one], dim=1)[None]
    torch.testing.assert_close(method.mixture(samples, first)[0], torch.stack([one, other]), atol=1e-4, rtol=0)


def test_first_prototypes_are_the_same_in_evaluation_and_drawn_anew_in_training() -> None:
    method = fssbench.build("rpmm", "small", width=4)
    draw = np.random.Generator(np.random.PCG64(zlib.crc32(b"pmms_init_mu.3")))
    first = method.first_prototypes(4, 3)
    np.testing.assert_allclose(first.numpy(), np.sqrt(2 / 3) * draw.standard_normal((1, 4, 3)))
    assert torch.equal(method.first_prototypes(4, 3), first)
    method.train()
    assert not torch.equal(method.first_prototypes(4, 3), method.first_prototypes(4, 3))


def test_the_order_of_the_shots_is_of_no_matter_and_several_are_a_sum_of_probabilities() -> None:
    method = narrow("rpmm", "fss", 1, 3)
    query, images = torch.randn(3, 96, 96), torch.randn(1, 3, 3, 96, 96)
    masks = (torch.rand(1, 3, 96, 96) > 0.5).to(torch.uint8)
    found = method.segment(query, images, masks).logits
    turned = method.segment(query, images[:, [2, 0, 1]], masks[:, [2, 0, 1]]).logits
    torch.testing.assert_close(found, turned, atol=1e-5, rtol=1e-4)
    # Three stages, each of probabilities that sum to 1, over 5.
    torch.testing.assert_close(found.sum(dim=0), torch.full((96, 96), 0.6))


def test_positions_out_of_the_mask_are_zeros_that_take_part() -> None:
    method = fssbench.build("rpmm", "small", width=4)
    features = torch.rand(1, 4, 6, 6)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., :3] = 1
    positive, negative = method.mixtures([RPMMSupport(features, mask)], 3)
    first = method.first_prototypes(4, 3)
    torch.testing.assert_close(positive, method.mixture((features * mask).flatten(2), first))
    torch.testing.assert_close(negative, method.mixture((features * (1 - mask)).flatten(2), first))


@pytest.mark.parametrize("size", [(9, 13), (2, 2), (1, 5)])
@torch.inference_mode()
def test_tiled_prototypes_need_no_convolution(size: tuple[int, int]) -> None:
    method = narrow("rpmm", "fss", 1, 1)
    query, mixtures = torch.randn(2, 8, *size), [torch.randn(2, count, 8) for count in (1, 3)]
    pairs = zip(method.matches(query, mixtures), fast_form(method).matches(query, mixtures), strict=True)
    for plain, fast in pairs:
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)


def test_parameters_are_those_that_are_printed() -> None:
    # 38.6 M: all of the network on ResNet-101, with the batch norms' weights, which are not trained.
    method = fssbench.build("rpmm", "resnet101")
    assert sum(parameter.numel() for parameter in method.parameters()) == 38_625_090
    assert method.learnable_parameters == 38_542_274
    assert fssbench.build("rpmm").learnable_parameters == 19_602_370
