"""ViT and DeiT: their weights as files have them, and images of other sizes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.vit import SHAPES, VisionTransformer, fitting, resized_positions, shape_of
from fssbench.backbones.vit_names import from_flax, is_flax
from fssbench.errors import UsageError

TINY = SHAPES["small"]


def network(blocks: int = 2, side: int = 48) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(TINY, blocks, side).eval()


def as_flax(state: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    """The weights as ViT's release has them, written down array by array."""
    width = state["cls_token"].shape[-1]
    found = {
        "cls": state["cls_token"],
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": torch.zeros(width, 1000),
        "head/bias": torch.zeros(1000),
    }
    for block in {key.split(".")[1] for key in state if key.startswith("blocks.")}:
        here, there = f"blocks.{block}.", f"Transformer/encoderblock_{block}/"
        for ours, theirs in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            found[f"{there}{theirs}/scale"] = state[f"{here}{ours}.weight"]
            found[f"{there}{theirs}/bias"] = state[f"{here}{ours}.bias"]
        for number, part in enumerate(("query", "key", "value")):
            rows = slice(number * width, (number + 1) * width)
            attention = f"{there}MultiHeadDotProductAttention_1/{part}/"
            found[f"{attention}kernel"] = state[f"{here}attn.qkv.weight"][rows].T.reshape(width, heads, -1)
            found[f"{attention}bias"] = state[f"{here}attn.qkv.bias"][rows].reshape(heads, -1)
        out = f"{there}MultiHeadDotProductAttention_1/out/"
        found[f"{out}kernel"] = state[f"{here}attn.proj.weight"].T.reshape(heads, -1, width)
        found[f"{out}bias"] = state[f"{here}attn.proj.bias"]
        for number in range(2):
            dense = f"{there}MlpBlock_3/Dense_{number}/"
            found[f"{dense}kernel"] = state[f"{here}mlp.fc{number + 1}.weight"].T
            found[f"{dense}bias"] = state[f"{here}mlp.fc{number + 1}.bias"]
    return found


def test_arrays_of_vits_release_become_weights() -> None:
    state = network().state_dict()
    arrays = as_flax(state, TINY.heads)
    assert is_flax(arrays)
    assert not is_flax(state)
    kept = fitting(from_flax(arrays), network())
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[key], value) for key, value in state.items())


def test_later_blocks_and_classifiers_are_left_out_and_positions_resized() -> None:
    whole = network(side=64).state_dict() | {"head.weight": torch.zeros(1000, 48), "head_dist.bias": torch.zeros(1000)}
    first = network(blocks=1)
    kept = fitting(whole, first)
    assert kept.keys() == first.state_dict().keys()
    grid = whole["pos_embed"][:, 1:].view(1, 4, 4, 48).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, (3, 3), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).reshape(1, 9, 48)
    torch.testing.assert_close(kept["pos_embed"][:, 1:], expected)
    assert torch.equal(kept["pos_embed"][:, :1], whole["pos_embed"][:, :1])


@torch.no_grad()
def test_images_of_another_size_have_resized_positions() -> None:
    made, image = network(), torch.randn(1, 3, 32, 64)
    assert made(image).shape == (1, 48, 2, 4)
    positions = resized_positions(made.pos_embed, 1, (3, 3), (2, 4))
    torch.testing.assert_close(made.embedded(image)[:, 1:] - positions[:, 1:], made.patch_embed(image))
    assert made(torch.randn(1, 3, 50, 45)).shape == (1, 48, 3, 3)


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UsageError, match="vit-b16"):
        shape_of("vit-b16")
