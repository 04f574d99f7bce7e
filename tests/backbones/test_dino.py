"""DINOv2 and DINOv3: maps of transformers' networks, weights under every name that files have, the authors' periods."""

from __future__ import annotations

import re
import sys

import pytest
import torch
from torch import Tensor

from fssbench.backbones.dino import Dino, dino, in_patches
from fssbench.backbones.networks import built, network, networks
from fssbench.errors import CheckpointError, MissingError, UsageError

TINY = ["dinov2-tiny", "dinov3-tiny"]


def _filled(name: str) -> Dino:
    torch.manual_seed(0)
    made = dino(name)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.3)
    return made


def _authors_names(state: dict[str, Tensor], family: str) -> dict[str, Tensor]:
    """The weights under the authors' names, written down apart from the network's own list."""
    rules = {
        "dinov3": [
            ("embeddings.register_tokens", "storage_tokens"),
            ("embeddings.patch_embeddings.", "patch_embed.proj."),
            ("model.layer.", "blocks."),
            ("mlp.up_proj", "mlp.fc1"),
            ("mlp.down_proj", "mlp.fc2"),
        ],
        "dinov2": [
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
            ("encoder.layer.", "blocks."),
            ("layernorm.", "norm."),
        ],
    }[family]
    rules += [("embeddings.", ""), ("attention.o_proj", "attn.proj")]
    named: dict[str, Tensor] = {}
    for key, value in state.items():
        for old, new in rules:
            key = key.replace(old, new)
        named[re.sub(r"layer_scale(\d).lambda1", r"ls\1.gamma", key)] = value
    blocks = {key.split(".")[1] for key in named if key.startswith("blocks.")}
    for block in blocks:
        attention = f"blocks.{block}.attention."
        for kind in ("weight", "bias"):
            third = [named.pop(f"{attention}{part}_proj.{kind}", None) for part in "qkv"]
            if third[1] is None:
                third[1] = torch.ones_like(third[0])  # DINOv3 masks the bias of its keys, whatever it is
            named[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(third)
            if family == "dinov3":
                named[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(len(torch.cat(third)))
    named["mask_token"] = named["mask_token"].reshape(1, -1)
    if family == "dinov3":
        periods = 100.0 ** (torch.arange(6) / 6)
        named["rope_embed.periods"] = periods.bfloat16().float()
    return named


@pytest.mark.parametrize("name", TINY)
def test_the_map_has_the_patch_tokens_of_transformers(name: str) -> None:
    made = _filled(name)
    whole = built(network(name))
    whole.load_state_dict(made.state_dict())
    if name.startswith("dinov3"):
        whole.rope_embeddings.inv_freq.copy_(made.rope_embeddings.inv_freq)
    image = torch.randn(2, 3, 4 * made.patch, 6 * made.patch)
    with torch.inference_mode():
        found = whole(image, output_hidden_states=True)
        normed, plain = made(image), made(image, normed=False)
    for map_, tokens in ((normed, found.last_hidden_state), (plain, found.hidden_states[-1])):
        assert map_.shape == (2, made.channels, 4, 6)
        torch.testing.assert_close(map_[1, :, 2, 5], tokens[1, made.prefix + 2 * 6 + 5], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(normed, plain, atol=1e-2)


def test_the_periods_are_those_of_bfloat16() -> None:
    periods = 1.0 / dino("dinov3-vits16").rope_embeddings.inv_freq
    torch.testing.assert_close(periods, periods.bfloat16().float(), atol=0, rtol=1e-6)
    assert not torch.allclose(periods, 100.0 ** (torch.arange(16) / 16), rtol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_weights_load_under_the_authors_names(name: str) -> None:
    made, other = _filled(name), dino(name)
    state = _authors_names(made.state_dict(), network(name).family)
    other.load_state_dict(other.names_here(state))
    for key, value in made.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("dinov3-tiny", [(r"^model\.layer\.", "layer.")]),
        (
            "dinov2-tiny",
            [
                (r"attention\.q_proj", "attention.attention.query"),
                (r"attention\.k_proj", "attention.attention.key"),
                (r"attention\.v_proj", "attention.attention.value"),
                (r"attention\.o_proj", "attention.output.dense"),
            ],
        ),
    ],
)
def test_weights_load_under_the_names_of_the_hub(name: str, old: list[tuple[str, str]]) -> None:
    made, other = _filled(name), dino(name)
    state = made.state_dict()
    for pattern, replacement in old:
        state = {re.sub(pattern, replacement, key): value for key, value in state.items()}
    assert state.keys() != made.state_dict().keys()
    other.load_state_dict(other.names_here(state))
    for key, value in made.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_other_periods_are_refused() -> None:
    made = dino("dinov3-tiny")
    state = _authors_names(made.state_dict(), "dinov3")
    state["rope_embed.periods"] = 200.0 ** (torch.arange(6) / 6)
    with pytest.raises(CheckpointError, match="periods"):
        made.names_here(state)


def test_images_are_resized_to_whole_patches() -> None:
    image = torch.randn(1, 3, 100, 61)
    assert in_patches(image, 14).shape == (1, 3, 98, 56)
    assert in_patches(torch.randn(1, 3, 5, 32), 16).shape == (1, 3, 16, 32)
    whole = torch.randn(1, 3, 28, 42)
    assert in_patches(whole, 14) is whole
    assert dino("dinov2-tiny")(image).shape == (1, 64, 7, 4)


def test_the_table_names_a_source_and_a_licence() -> None:
    for name, one in networks().items():
        assert one.licence
        assert bool(one.hub) != ("tiny" in name)
        assert one.gated == (one.family == "dinov3" and bool(one.hub))


def test_unknown_networks_and_a_missing_library_end_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        dino("dinov3-vits")
    with pytest.raises(UsageError, match="not a DINO"):
        dino("seggpt-tiny")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingError) as caught:
        dino("dinov3-tiny")
    assert caught.value.remedy == "pip install 'fssbench[hub]'"
