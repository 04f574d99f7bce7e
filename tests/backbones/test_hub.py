"""Backbones from the hub: their maps are what transformers computes, and weights that do not fit are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fssbench.backbones import backbone
from fssbench.backbones.hub import HubBackbone
from fssbench.backbones.networks import resized
from fssbench.errors import BrokenFileError, CheckpointError, FSSBenchError, UsageError
from tests.hub.models import CONFIGS, saved

pytest.importorskip("transformers")

VITS = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "clip_vision_model")
IMAGENET = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
CLIP = (
    torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1),
    torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1),
)


@pytest.fixture
def image() -> Tensor:
    """Two images, normalised, of no multiple of any patch."""
    return torch.randn(2, 3, 70, 93, generator=torch.Generator().manual_seed(1))


def built(name: str) -> HubBackbone:
    made = backbone(name)
    assert isinstance(made, HubBackbone)
    return made


def as_clip(image: Tensor) -> Tensor:
    return (image * IMAGENET[1] + IMAGENET[0] - CLIP[0]) / CLIP[1]


@torch.no_grad()
@pytest.mark.parametrize("kind", VITS)
def test_maps_of_a_vision_transformer_are_the_patch_tokens_of_its_blocks(
    kind: str, tmp_path: Path, image: Tensor
) -> None:
    model, made = saved(kind, tmp_path), built(f"hf:{tmp_path}")
    patch = CONFIGS[kind]["patch_size"]
    rows, columns = round(70 / patch), round(93 / patch)
    given = resized(image, rows * patch, columns * patch)
    given = as_clip(given) if kind == "clip_vision_model" else given
    options = {"interpolate_pos_encoding": True} if kind in ("vit", "clip_vision_model") else {}
    states = model(given, output_hidden_states=True, **options).hidden_states
    prefix = 1 + CONFIGS[kind].get("num_register_tokens", 0)
    assert made.levels == (1, 1, 1)
    assert made.channels == (32, 32, 32)
    maps = made(image)
    for found, block in zip(maps, (2, 3, 4), strict=True):
        assert found.shape == (2, 32, rows, columns)
        tokens = states[block]
        assert tokens.shape[1] == prefix + rows * columns
        for row, column in ((0, 0), (rows - 1, 1), (1, columns - 1)):
            expected = tokens[:, prefix + row * columns + column]
            torch.testing.assert_close(found[:, :, row, column], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_sam_sees_its_own_size_and_gives_the_maps_of_its_blocks(tmp_path: Path, image: Tensor) -> None:
    model, made = saved("sam_vision_model", tmp_path), built(f"hf:{tmp_path}")
    states = model(resized(image, 64, 64), output_hidden_states=True).hidden_states
    for found, block in zip(made(image), (2, 3, 4), strict=True):
        torch.testing.assert_close(found, states[len(states) - 4 + block - 1].permute(0, 3, 1, 2))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["convnext", "convnextv2", "dinov3_convnext", "resnet"])
def test_maps_of_a_hierarchical_network_are_those_of_its_last_stages(kind: str, tmp_path: Path, image: Tensor) -> None:
    model, made = saved(kind, tmp_path), built(f"hf:{tmp_path}")
    given = image if kind == "resnet" else resized(image, 64, 96)
    states = model(given, output_hidden_states=True).hidden_states
    assert made.channels == (16, 24, 32)
    for found, expected in zip(made(image), states[-3:], strict=True):
        torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_maps_of_swin_are_taken_before_patches_are_merged(tmp_path: Path, image: Tensor) -> None:
    model, made = saved("swin", tmp_path), built(f"hf:{tmp_path}")
    before: list[Tensor] = []
    for stage in model.encoder.layers:
        stage.blocks[-1].register_forward_hook(lambda _, __, output: before.append(output[0]))
    model(resized(image, 64, 96), always_partition=True)
    assert made.channels == (32, 64, 128)
    sizes = ((8, 12), (4, 6), (2, 3))
    for found, tokens, size in zip(made(image), before[1:], sizes, strict=True):
        torch.testing.assert_close(found, tokens.transpose(1, 2).unflatten(2, size))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["clip", "sam"])
def test_of_a_larger_model_only_the_vision_network_is_loaded(kind: str, tmp_path: Path, image: Tensor) -> None:
    import transformers

    vision = saved(f"{kind}_vision_model", tmp_path / "vision")
    options: dict[str, Any] = {"vision_config": vision.config.to_dict()}
    if kind == "clip":
        text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        options["text_config"] = text | {"vocab_size": 50, "max_position_embeddings": 8}
    else:
        options["prompt_encoder_config"] = {"hidden_size": 16, "image_size": 64, "patch_size": 16}
        options["mask_decoder_config"] = {"hidden_size": 16, "mlp_dim": 16, "iou_head_hidden_dim": 16}
    whole = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **options)).eval()
    whole.save_pretrained(tmp_path / "whole")
    part = whole.vision_model if kind == "clip" else whole.vision_encoder
    given = as_clip(resized(image, 72, 96)) if kind == "clip" else resized(image, 64, 64)
    arguments = {"interpolate_pos_encoding": True} if kind == "clip" else {}
    expected = part(given, output_hidden_states=True, **arguments).hidden_states[-1]
    last = built(f"hf:{tmp_path / 'whole'}")(image)[-1]
    torch.testing.assert_close(
        last.flatten(2), expected[:, 1:].transpose(1, 2) if kind == "clip" else expected.permute(0, 3, 1, 2).flatten(2)
    )


@torch.no_grad()
def test_layers_are_chosen_in_the_name(tmp_path: Path, image: Tensor) -> None:
    saved("dinov2", tmp_path)
    usual = built(f"hf:{tmp_path}")(image)
    first_and_last = built(f"hf:{tmp_path}#1,4")
    assert (first_and_last.levels, len(first_and_last.channels)) == ((1, 1, 0), 2)
    torch.testing.assert_close(first_and_last(image)[1], usual[2])
    assert built(f"hf:{tmp_path}#3").levels == (0, 1, 0)
    assert built(f"hf:{tmp_path}#1,2,3,4").levels == (1, 2, 1)
    with pytest.raises(UsageError, match="has 4 blocks, not 5"):
        backbone(f"hf:{tmp_path}#5")
    with pytest.raises(UsageError, match="each once and in order"):
        backbone(f"hf:{tmp_path}#3,2")


@torch.no_grad()
def test_images_are_normalised_by_the_preprocessor_of_the_model(tmp_path: Path, image: Tensor) -> None:
    saved("resnet", tmp_path)
    usual = built(f"hf:{tmp_path}")
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2], "rescale_factor": 1 / 255})
    )
    own = built(f"hf:{tmp_path}")
    pixels = image * IMAGENET[1] + IMAGENET[0]
    given = (pixels - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.25, 0.2]).view(3, 1, 1)
    torch.testing.assert_close(own(image), usual(given))
    assert not torch.allclose(own(image)[0], usual(image)[0], rtol=1e-2)


def test_a_pyramid_has_smaller_deep_maps_for_methods_that_squeeze_it(tmp_path: Path) -> None:
    saved("dinov2", tmp_path)
    whole, squeezed = built(f"hf:{tmp_path}"), built(f"hf:{tmp_path}").as_pyramid()
    image = torch.randn(1, 3, 70, 84)
    with torch.no_grad():
        flat, pyramid = whole(image), squeezed(image)
    assert [tuple(level.shape[-2:]) for level in pyramid] == [(5, 6), (5, 6), (3, 3)]
    torch.testing.assert_close(pyramid[1], flat[1])
    torch.testing.assert_close(pyramid[2][0, :, 0, 0], flat[2][0, :, :2, :2].mean(dim=(1, 2)))


@torch.no_grad()
def test_weights_in_several_files_and_under_older_names_are_the_same(tmp_path: Path, image: Tensor) -> None:
    saved("dinov2", tmp_path / "new")
    expected = built(f"hf:{tmp_path / 'new'}")(image)
    saved("dinov2", tmp_path / "parts", max_shard_size="40KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    for found, own in zip(built(f"hf:{tmp_path / 'parts'}")(image), expected, strict=True):
        torch.testing.assert_close(found, own)
    old = {}
    for key, value in load_file(tmp_path / "new" / "model.safetensors").items():
        key = re.sub(r"\.attention\.([qkv])_proj\.", lambda m: f".attention.attention.{m[1]}.", key)
        key = key.replace("attention.q.", "attention.query.").replace("attention.k.", "attention.key.")
        old[key.replace("attention.v.", "attention.value.").replace(".o_proj.", ".output.dense.")] = value
    assert any(".attention.attention.query." in key for key in old)
    save_file(old, tmp_path / "new" / "model.safetensors", {"format": "pt"})
    for found, own in zip(built(f"hf:{tmp_path / 'new'}")(image), expected, strict=True):
        torch.testing.assert_close(found, own)


def _changed(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    saved("dinov2", folder)
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("encoder.layer.0.norm1.weight"), r"missing: encoder\.layer\.0\.norm1\.weight"),
        (lambda state: state.update(foreign=torch.zeros(1)), "unexpected: foreign"),
        (lambda state: state.update({"layernorm.weight": torch.zeros(5)}), "misshapen: layernorm.weight"),
        (lambda state: state.update({"layernorm.weight": torch.full((32,), torch.nan)}), "is not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    _changed(tmp_path, change)
    with pytest.raises((CheckpointError, BrokenFileError), match=message):
        backbone(f"hf:{tmp_path}")


def test_a_head_that_no_map_needs_may_be_in_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _changed(tmp_path, lambda state: state.update({"classifier.weight": torch.zeros(3, 64)}))
    caplog.set_level("INFO", "fssbench")
    backbone(f"hf:{tmp_path}")
    assert "weights that no map needs are left out: classifier (1)" in caplog.text


@pytest.mark.parametrize(
    "change", [{"hidden_size": 60000}, {"hidden_act": "none of these"}, {"hidden_size": "large"}, {"patch_size": 0}]
)
def test_a_configuration_of_no_network_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    saved("dinov2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(FSSBenchError) as caught:
        backbone(f"hf:{tmp_path}")
    assert caught.value.exit_code == 2


def test_a_configuration_can_not_name_code_or_a_precision(tmp_path: Path) -> None:
    saved("dinov2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    hostile = {"_attn_implementation": "someone/kernel", "attn_implementation": "someone/kernel", "dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(config | hostile))
    made = built(f"hf:{tmp_path}")
    network: Any = made.network
    assert network.config._attn_implementation == "sdpa"
    assert {parameter.dtype for parameter in made.parameters()} == {torch.float32}
