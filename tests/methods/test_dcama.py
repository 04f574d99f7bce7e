"""DCAMA: its steps, what its release keeps in checkpoints, and sizes that the release does not know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.methods.dcama import DCAMA, CrossAttention, positional_encoding, strongest
from tests.golden.test_golden import assert_close, built, inputs


def _attention() -> CrossAttention:
    torch.manual_seed(0)
    return CrossAttention(16).eval()


@torch.no_grad()
def test_a_whole_mask_aggregates_to_one_and_an_empty_one_to_zero() -> None:
    query, support = torch.randn(2, 16, 3, 5), torch.randn(2, 16, 4, 6)
    for value in (0.0, 1.0):
        taken = _attention()(query, [support], [torch.full((2, 1, 4, 6), value)])
        torch.testing.assert_close(taken, torch.full((2, 1, 3, 5), value))


@torch.no_grad()
def test_background_positions_take_part_in_the_attention() -> None:
    attention = _attention()
    query, support, mask = torch.randn(1, 16, 3, 3), torch.randn(1, 16, 3, 3), torch.zeros(1, 1, 3, 3)
    mask[..., 0] = 1
    changed = support.clone()
    changed[..., 2] += 1
    assert not torch.allclose(attention(query, [support], [mask]), attention(query, [changed], [mask]))


@torch.no_grad()
def test_positions_of_all_supports_are_read_together_with_their_own_encodings() -> None:
    attention = _attention()
    query, support, mask = torch.randn(1, 16, 3, 3), torch.randn(1, 16, 3, 3), torch.rand(1, 1, 3, 3)
    alone = attention(query, [support], [mask])
    torch.testing.assert_close(attention(query, [support] * 3, [mask] * 3), alone)
    other, empty = torch.randn(1, 16, 3, 3), torch.zeros(1, 1, 3, 3)
    assert (attention(query, [support, other], [mask, empty]) < alone).all()


def test_the_encoding_alternates_sine_and_cosine() -> None:
    table = positional_encoding(torch.zeros(1, 5, 6))
    place, rate = np.arange(5)[:, None], 10000.0 ** (-np.arange(0, 6, 2) / 6)
    np.testing.assert_allclose(table[:, 0::2], np.sin(place * rate), atol=1e-6)
    np.testing.assert_allclose(table[:, 1::2], np.cos(place * rate), atol=1e-6)


def test_skip_connections_take_the_largest_of_the_supports() -> None:
    assert strongest([torch.tensor([1.0, 4.0]), torch.tensor([2.0, 3.0])]).tolist() == [2.0, 4.0]


def test_tables_of_the_release_s_checkpoints_are_left_out() -> None:
    method = fssbench.build("dcama", "small", channels=(4, 8, 8))
    assert not any(key.endswith(".pe") for key in method.state_dict())
    state = {f"module.{key}": value.clone() for key, value in method.state_dict().items()}
    state["module.model.mixer3.2.bias"] += 1
    tables = {f"module.model.pe.{level}.pe": torch.zeros(1, 10, 8) for level in range(3)}
    fssbench.load_release(method, state | tables)
    torch.testing.assert_close(method.get_parameter("model.mixer3.2.bias"), state["module.model.mixer3.2.bias"])
    backbone = {"conv1.weight": torch.zeros(1), "layers.0.blocks.1.attn_mask": torch.zeros(1)}
    assert list(method.from_imagenet(backbone)) == ["feature_extractor.conv1.weight"]


@pytest.mark.parametrize("size", [(97, 97), (90, 130)])
def test_other_sizes_than_the_release_s(size: tuple[int, int]) -> None:
    method = fssbench.build("dcama", "small", shot=2, channels=(4, 8, 8))
    masks = torch.ones(1, 2, *size, dtype=torch.uint8)
    found = method.segment(torch.randn(3, *size), torch.randn(1, 2, 3, *size), masks)
    assert found.logits.shape == (2, *size)


@pytest.mark.slow
def test_the_aggregated_masks_are_the_release_s() -> None:
    case = json.loads((Path(__file__).parents[1] / "golden" / "cases" / "dcama-resnet50-1shot.json").read_text())
    method = built(case)
    assert isinstance(method, DCAMA)
    query, images, masks = inputs(case)
    with torch.inference_mode():
        features = method.encode(query[None])
        supports = [method.condition(method.encode(i[None]), m[None]) for i, m in zip(images[0], masks[0], strict=True)]
        found: dict[str, Tensor] = dict(
            zip(("coarse_1_8", "coarse_1_16", "coarse_1_32"), method.model.aggregate(features, supports), strict=True)
        )
    found["query_feature_last"] = features.levels[-1]
    for step, tensor in found.items():
        assert_close(tensor, case["steps"][step], case["steps"][step]["tolerance"])
