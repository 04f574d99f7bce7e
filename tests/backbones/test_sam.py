"""SAM: transformers' network with the corrections that its authors' needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from fssbench.backbones.networks import built, network
from fssbench.backbones.sam import Frame, Guidance, Prompts, Sam, sam
from fssbench.backbones.sam_names import is_sam
from fssbench.errors import UsageError

CASE = Path(__file__).parents[1] / "golden" / "cases" / "persam-tiny-1shot.json"


@pytest.fixture(scope="module")
def tiny() -> Sam:
    torch.manual_seed(0)
    return sam("sam-tiny").eval()


def _prompts(count: int) -> Prompts:
    points = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(1)) * 255
    return Prompts(points, torch.tensor([[1, 0]] * count))


@torch.inference_mode()
def test_it_is_transformers_own_network(tiny: Sam) -> None:
    pictures = torch.randint(0, 256, (1, 3, 256, 200), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = built(network("sam-tiny"))
    whole.load_state_dict(tiny.state_dict())
    prompts = _prompts(3)
    low, quality = tiny.decode(tiny(pictures), prompts, several=True)
    expected = whole(
        pixel_values=tiny.normalised(pictures), input_points=prompts.points[None], input_labels=prompts.labels[None]
    )
    torch.testing.assert_close(low, expected.pred_masks[0])
    torch.testing.assert_close(quality, expected.iou_scores[0])
    one, _ = tiny.decode(tiny(pictures), prompts, several=False)
    assert one.shape == (3, 1, 64, 64)


def test_the_mask_decoder_has_the_eps_of_its_authors(tiny: Sam) -> None:
    eps = [part.eps for part in tiny.mask_decoder.transformer.modules() if isinstance(part, torch.nn.LayerNorm)]
    assert eps
    assert set(eps) == {1e-5}
    assert {network(name).config["mask_decoder_config"]["layer_norm_eps"] for name in ("sam-vith", "sam-tiny")} == {
        1e-5
    }


def test_the_authors_names_of_weights_are_known() -> None:
    shapes = json.loads(CASE.read_text())["release_shapes"]
    released: dict[str, Tensor] = {}
    for number, (key, shape) in enumerate(shapes.items()):
        for block in ("0", "1") if ".0-1." in key else ("",):
            released[key.removeprefix("sam.").replace(".0-1.", f".{block}.")] = torch.full(shape, number + 1.0)
    assert is_sam(released)
    tiny = sam("sam-tiny-1024")
    tiny.load_state_dict(tiny.names_here(released))
    assert tiny.names_here(tiny.state_dict()).keys() == tiny.state_dict().keys()
    # The middle layer of a head: its name here is that of the authors' first.
    middle = released["mask_decoder.iou_prediction_head.layers.1.weight"]
    assert torch.equal(tiny.state_dict()["mask_decoder.iou_prediction_head.layers.0.weight"], middle)


def test_a_model_that_transformers_saved_loads(tiny: Sam, tmp_path: Path) -> None:
    torch.manual_seed(1)
    saved = cast("Any", built(network("sam-tiny")))
    saved.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert len(state) < len(tiny.state_dict())  # what two places share is stored once
    torch.manual_seed(2)
    other = sam("sam-tiny")
    other.load_state_dict(other.names_here(state))
    assert all(torch.equal(value, saved.state_dict()[key]) for key, value in other.state_dict().items())


@torch.inference_mode()
def test_guidance_is_added_after_the_softmax_and_in_the_last_attention(tiny: Sam) -> None:
    embedding, prompts = torch.randn(1, 64, 16, 16, generator=torch.Generator().manual_seed(0)), _prompts(1)
    plain, _ = tiny.decode(embedding, prompts, several=False)
    none = Guidance(torch.zeros(1, 1, 1, 256), torch.zeros(1, 1, 64))
    # The softmax of a softmax of 256 values is nearly even: another attention, also where nothing is added.
    assert not torch.allclose(tiny.decode(embedding, prompts, several=False, guidance=none)[0], plain, rtol=1e-3)
    seen: list[Tensor] = []
    last = tiny.mask_decoder.transformer.final_attn_token_to_image
    with last.register_forward_pre_hook(lambda _, __, named: seen.append(named["query"]), with_kwargs=True):
        tiny.decode(embedding, prompts, several=False, guidance=none)
        one = Guidance(none.similarity, torch.ones(1, 1, 64))
        layers = tiny.mask_decoder.transformer.layers
        with torch.no_grad(), layers[0].register_forward_hook(lambda _, __, output: output):
            tiny.decode(embedding, prompts, several=False, guidance=one)
    assert len(seen) == 2
    assert not torch.allclose(seen[0], seen[1])
    # Nothing is left behind.
    torch.testing.assert_close(tiny.decode(embedding, prompts, several=False)[0], plain)


def test_a_picture_lies_at_the_top_left_of_the_square(tiny: Sam) -> None:
    picture = torch.randint(0, 256, (1, 3, 100, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    fitted = tiny.fitted(picture)
    assert fitted.shape == (1, 3, 256, 154)
    by_hand = Image.fromarray(picture[0].permute(1, 2, 0).numpy()).resize((154, 256), Image.Resampling.BILINEAR)
    assert np.array_equal(fitted[0].permute(1, 2, 0).numpy(), np.array(by_hand))
    square = tiny.normalised(fitted)
    assert square.shape == (1, 3, 256, 256)
    assert not square[..., 154:].any()
    frame = tiny.frame((100, 60))
    assert tiny.enlarged(torch.zeros(2, 3, 64, 64), frame).shape == (2, 3, 100, 60)


def test_points_are_scaled_with_the_picture() -> None:
    frame = Frame((100, 50), 256)
    assert frame.inside == (256, 128)
    assert frame.points(torch.tensor([[25, 50]])).tolist() == [[64.0, 128.0]]
    assert frame.points(torch.tensor([[18, 18]]), of=(37, 37)).tolist() == [[18 * 128 / 37, 18 * 256 / 37]]
    assert Frame((1, 5000), 256).inside == (1, 256)


def test_another_network_is_refused() -> None:
    with pytest.raises(UsageError, match="not a SAM"):
        sam("dinov2-tiny")
