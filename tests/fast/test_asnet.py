"""The fast forms of ASNet and ASNet-HM against their layers run on the whole tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.fast.attention import Squeezed, attend, squeeze_by
from fssbench.fast.correlation import UnitMaps
from fssbench.fast.form import fast_form
from fssbench.layers.attentive_squeeze import AttentiveSqueezeLayer
from fssbench.methods.base.method import Method

SIZE = (192, 176)


def _episode() -> tuple[Tensor, Tensor, Tensor]:
    images = torch.randn(4, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(3, *SIZE, dtype=torch.uint8)
    masks[0, 30:120, 50:130] = 1
    masks[1] = 1
    # The third is empty: all keys are masked alike.
    return images[:1], images[1:], masks


def _pairs(method: Method[Any, Any], query: Tensor, images: Tensor, masks: Tensor) -> tuple[Any, list[Any]]:
    return method.encode(query), [
        method.condition(method.encode(image[None]), mask[None]) for image, mask in zip(images, masks, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "variant", "options"),
    [
        ("asnet", "fss", {}),
        ("asnet", "fscs", {"weak": True}),
        ("asnet", "fscs-unmasked", {}),
        ("asnet", "fscs-local", {}),
        ("asnet", "fscs-single-level", {}),
        ("asnet-hm", "fscs", {}),
    ],
)
def test_pairs_score_as_by_the_whole_tensors(name: str, variant: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    method = fssbench.build(name, backbone="small", variant=variant, shot=3, channels=(16, 32), **options)
    query, images, masks = _episode()
    # In float32: that masked keys are all alike, whatever is in them, is by its rounding.
    with torch.no_grad():
        maps, supports = _pairs(method, query, images, masks)
        expected = [method.score(method.prepare_query(maps), support) for support in supports]
        assert not isinstance(method.prepare_query(maps), UnitMaps)
    fast = fast_form(method)
    with torch.inference_mode():
        maps, supports = _pairs(fast, query, images, masks)
        ready = fast.prepare_query(maps)
        assert isinstance(ready, UnitMaps)
        fast_scores = [fast.score(ready, fast.as_way(support, 1)) for support in supports]
        prediction = fast.predict(ready, [supports], (90, 70))
        assert torch.equal(fast.predict(maps, [supports], (90, 70)).logits, prediction.logits)
        assert torch.equal(fast.predict(fast.prepare_query(ready), [supports], (90, 70)).logits, prediction.logits)
    for ours, plain in zip(fast_scores, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-3 * plain.abs().max().item(), rtol=0)


def test_a_batch_of_pairs_scores_as_each() -> None:
    torch.manual_seed(0)
    method = fast_form(fssbench.build("asnet", backbone="small", channels=(16, 32)))
    query, images, masks = _episode()
    with torch.inference_mode():
        maps, supports = _pairs(method, query, images, masks)
        together = method.score(
            method.prepare_query(method.encode(query.expand(3, -1, -1, -1))),
            method.condition(method.encode(images), masks),
        )
        apart = torch.cat([method.score(method.prepare_query(maps), support) for support in supports])
    torch.testing.assert_close(together, apart, atol=1e-5 * apart.abs().max().item(), rtol=0)


@pytest.mark.parametrize(("heads", "channels"), [(8, 8), (8, 16), (2, 12)])
def test_attention_is_the_softmax_of_the_products(heads: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(channels, n, 5, generator=generator) for n in (6, 3, 3))
    expected = torch.empty_like(query)
    for head in range(heads):
        of = slice(head * channels // heads, (head + 1) * channels // heads)
        weights = torch.einsum("cqt,ckt->tqk", query[of], key[of]).softmax(dim=2)
        expected[of] = torch.einsum("tqk,ckt->cqt", weights, value[of])
    torch.testing.assert_close(attend(query, key, value, heads), expected)


@pytest.mark.parametrize("keys", [1, 2, 9, 25])
def test_attention_is_the_same_to_the_last_digit_at_query_positions_that_are_alike(keys: int) -> None:
    generator = torch.Generator().manual_seed(0)
    # 37 is not a multiple of what a processor takes at once.
    query, key, value = (torch.randn(16, n, 1, generator=generator).expand(-1, -1, 37) for n in (3, keys, keys))
    found = attend(query, key, value, 8)
    assert torch.equal(found, found[..., :1].expand_as(found))


def test_training_runs_the_layers_themselves() -> None:
    torch.manual_seed(0)
    method = fssbench.build("asnet", backbone="small", channels=(16, 32)).train()
    query, images, masks = _episode()
    maps, supports = _pairs(method, query, images[:1], masks[:1])
    method.score(method.prepare_query(maps), supports[0]).sum().backward()
    learnt = [support for support in method.parameters() if support.requires_grad]
    assert learnt
    assert all(support.grad is not None for support in learnt)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_without_a_key_left_the_fast_layer_is_the_plain_one_whatever_the_similarities(scale: float) -> None:
    torch.manual_seed(0)
    layer = AttentiveSqueezeLayer(3, 16, 3, 2, pool_keys=True).eval()
    x = torch.randn(1, 3, 2, 3, 5, 5) * scale
    with torch.inference_mode():
        plain = layer(x, torch.zeros(1, 20, 20))
        fast = squeeze_by(
            layer, Squeezed(x[0].flatten(3).flatten(1, 2).transpose(1, 2).contiguous(), (5, 5)), torch.zeros(1, 20, 20)
        )
    torch.testing.assert_close(fast.values.view(16, 3, 3, 2, 3).permute(0, 3, 4, 1, 2), plain[0], atol=1e-4, rtol=1e-4)
