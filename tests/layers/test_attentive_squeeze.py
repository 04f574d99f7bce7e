"""Attention over support positions: which of them a query sees, by plain loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fssbench.layers.attentive_squeeze import AttentiveSqueezeLayer

HEADS = 8


def _layer(kernel: int, stride: int, *, pool_keys: bool = False, local: bool = False) -> AttentiveSqueezeLayer:
    torch.manual_seed(0)
    return AttentiveSqueezeLayer(3, 16, kernel, stride, pool_keys=pool_keys, local=local).eval()


def _looped(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, kernel: int, stride: int, margin: int
) -> Tensor:
    """Return the attention of every query (B, C, T, rows, columns) to the keys under its kernel, one at a time."""
    out = torch.zeros_like(query)
    for b, t, i, j in (
        (b, t, i, j)
        for b in range(query.shape[0])
        for t in range(query.shape[2])
        for i in range(query.shape[3])
        for j in range(query.shape[4])
    ):
        under = [
            (y, x)
            for y in range(i * stride - margin, i * stride - margin + kernel)
            for x in range(j * stride - margin, j * stride - margin + kernel)
            if 0 <= y < key.shape[3] and 0 <= x < key.shape[4]
        ]
        # Where the object touches none of them, all count alike.
        hidden = [seen is not None and not seen[b, y, x] for y, x in under]
        for g in range(HEADS):
            part = slice(g * query.shape[1] // HEADS, (g + 1) * query.shape[1] // HEADS)
            scores = torch.stack([query[b, part, t, i, j] @ key[b, part, t, y, x] for y, x in under])
            scores = torch.where(torch.tensor(hidden), torch.tensor(-1e9), scores)
            weights = scores.softmax(dim=0)
            out[b, part, t, i, j] = sum(
                weight * value[b, part, t, y, x] for weight, (y, x) in zip(weights, under, strict=True)
            )
    return out


@pytest.mark.parametrize(("kernel", "stride", "margin"), [(5, 4, 2), (3, 2, 1), (1, 1, 0), (2, 1, 0)])
@pytest.mark.parametrize("masked", [True, False])
def test_local_attention_sees_the_positions_under_the_querys_own_kernel(
    kernel: int, stride: int, margin: int, masked: bool
) -> None:
    attention = _layer(kernel, stride, local=True).attn
    x = torch.randn(2, 3, 2, 7, 6, generator=torch.Generator().manual_seed(1))
    # As large as the map, so that it is not resized; one row of it is enough to leave whole kernels without object.
    mask = torch.zeros(2, 7, 6)
    mask[0, 2, 1:4] = mask[1, 5:, 3] = 1
    with torch.inference_mode():
        query, key, value = attention.qhead(x), attention.khead(x), attention.vhead(x)
        found = attention.attend(query, key, value, mask if masked else None)
        expected = _looped(query, key, value, mask > 0 if masked else None, kernel, stride, margin)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
def test_where_a_kernel_covers_the_map_local_and_global_attention_are_the_same(masked: bool) -> None:
    near, far = _layer(2, 1, local=True), _layer(2, 1)
    near.load_state_dict(far.state_dict())
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 3, 4, 5, 2, 2, generator=generator)
    mask = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]) if masked else None
    with torch.inference_mode():
        torch.testing.assert_close(near(x, mask), far(x, mask), atol=1e-5, rtol=1e-5)


def test_a_position_far_away_reaches_a_query_by_global_attention_alone() -> None:
    x = torch.randn(1, 3, 1, 1, 12, 12, generator=torch.Generator().manual_seed(3))
    changed = x.clone()
    changed[..., 11, 11] += 3.0
    for local in (True, False):
        attention = _layer(5, 4, local=local).attn
        with torch.inference_mode():
            before, after = (
                attention.attend(attention.qhead(t), attention.khead(t), attention.vhead(t), None)[0, :, 0, 0, 0]
                for t in (x.flatten(2, 3), changed.flatten(2, 3))
            )
        assert torch.equal(before, after) == local


@pytest.mark.parametrize("pool_keys", [True, False])
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_a_query_without_a_key_left_takes_the_mean_of_the_values_and_gives_keys_no_gradient(
    pool_keys: bool, scale: float
) -> None:
    attention = _layer(3, 2, pool_keys=pool_keys).attn
    generator = torch.Generator().manual_seed(0)
    # Similarities of several hundred: added to a large number in float32 they would still tell the keys apart.
    query, key, value = (torch.randn(2, 8, 3, 2, 2, generator=generator) * scale for _ in range(3))
    for x in (query, key, value):
        x.requires_grad_()
    mask = torch.zeros(2, 2, 2)
    mask[1] = 1
    out = attention.attend(query, key, value, mask)
    expected = value[0].mean(dim=(-1, -2), keepdim=True).expand_as(out[0])
    torch.testing.assert_close(out[0], expected, atol=1e-6 * scale, rtol=1e-6)
    out.sum().backward()
    assert query.grad is not None
    assert key.grad is not None
    assert value.grad is not None
    assert not query.grad[0].any()
    assert not key.grad[0].any()
    # Each of four queries gives each of four keys a quarter.
    torch.testing.assert_close(value.grad[0], torch.ones_like(value[0]))
    assert key.grad[1].any()


MASKS = {
    "small": (slice(20, 23), slice(24, 26)),
    "middle": (slice(20, 44), slice(20, 44)),
    "corner": (slice(0, 12), slice(0, 12)),
    "whole": (slice(None), slice(None)),
    "empty": (slice(0), slice(0)),
}


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("pool_keys", [True, False])
@pytest.mark.parametrize("mask", MASKS)
def test_gradients_of_float32_are_those_of_float64(mask: str, pool_keys: bool, local: bool) -> None:
    x = torch.randn(1, 3, 2, 2, 5, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    support = torch.zeros(1, 64, 64)
    support[0][MASKS[mask]] = 1
    weights = torch.randn(1, 16, 2, 2, 2, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    found = {}
    for dtype in (torch.float32, torch.float64):
        layer = _layer(5, 4, pool_keys=pool_keys, local=local).to(dtype)
        (layer(x.to(dtype), support.to(dtype)) * weights.to(dtype)).sum().backward()
        found[dtype] = torch.cat([p.grad.flatten().double() for p in layer.parameters() if p.grad is not None])
    difference = (found[torch.float32] - found[torch.float64]).norm() / found[torch.float64].norm()
    assert difference < 1e-4
