"""FPTrans's fast form: a block in which images share tokens, against the block itself; means without the maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fssbench
from fssbench.backbones.vit import SHAPES, Block
from fssbench.fast.form import fast_form
from fssbench.fast.fptrans import FastFPTrans, share
from fssbench.layers.local_background import backgrounds, object_means
from fssbench.methods.fptrans import PROXY_EPS, S


@pytest.mark.parametrize("images", [2, 6])
@torch.inference_mode()
def test_a_block_of_images_that_share_tokens(images: int) -> None:
    torch.manual_seed(0)
    shape = SHAPES["small"]
    block = Block(shape.width, shape.heads)
    own, shared = torch.randn(images, 2, 9, shape.width), torch.randn(2, 7, shape.width)
    every = torch.cat([own, shared.expand(images, -1, -1, -1)], dim=2)
    expected = block(every.flatten(0, 1)).view_as(every)
    found = list(every.clone())
    share(block, found, patches=9)
    for one, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(one[:, :9], plain[:, :9], atol=1e-5, rtol=0)
        torch.testing.assert_close(one[:, 9:], expected[:, :, 9:].mean(dim=0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("background", [0.0, 0.6, 1.0])
@torch.inference_mode()
def test_proxies_are_the_means_of_a_purified_map_that_is_not_made(background: float) -> None:
    torch.manual_seed(0)
    plain = fssbench.build("fptrans", "small")
    fast = fast_form(plain)
    assert isinstance(fast, FastFPTrans)
    tokens = torch.randn(1, 4 * 6, 48)
    labels = torch.full((1, 8, 12), 1, dtype=torch.uint8)
    chance = torch.rand(labels.shape)
    labels[chance < background], labels[chance > 0.9] = 0, 255
    purified = fast.purifier(tokens.transpose(1, 2).unflatten(2, (4, 6)))[:, None]
    objects = object_means(purified, labels[:, None], PROXY_EPS)
    others = backgrounds(purified, labels[:, None], S, [np.random.RandomState(3).choice])
    found = fast._proxies(tokens, labels, [np.random.RandomState(3).choice])
    torch.testing.assert_close(found, torch.cat([objects[:, None], others], dim=1), atol=1e-5, rtol=0)
