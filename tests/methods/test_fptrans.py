"""FPTrans: parts of a background, what images of an episode share, and what its release leaves out of checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fssbench
from fssbench.backbones.vit import SHAPES, VisionTransformer
from fssbench.checkpoints import load_into
from fssbench.errors import BrokenFileError, CheckpointError
from fssbench.layers.boundary_loss import boundary_weight, pair_loss
from fssbench.layers.local_background import far_apart, local_means
from fssbench.layers.prompted import PromptedTransformer
from fssbench.methods.fptrans import FPTrans, similarities
from tests.backbones.test_vit import as_flax


def test_sites_lie_far_apart() -> None:
    places = torch.cartesian_prod(torch.arange(5), torch.arange(9))
    assert places[far_apart(places, 4, lambda count: 0)].tolist() == [[0, 0], [4, 8], [0, 5], [4, 2]]
    assert far_apart(places, 1, lambda count: count - 1).tolist() == [44]


def test_a_part_is_what_is_nearest_to_its_site() -> None:
    features = torch.arange(10.0).view(1, 1, 10)
    background = torch.tensor([[True] * 4 + [False] * 2 + [True] * 4])
    assert local_means(features, background, 2, lambda count: 0).flatten().tolist() == [1.5, 7.5]
    # One position and the first two of the map, which a mask without background has instead.
    assert local_means(features, torch.arange(10)[None] == 9, 2, lambda count: 0).flatten().tolist() == [0.5, 9.0]


def test_pixels_weigh_more_the_nearer_they_are_to_a_boundary() -> None:
    mask = torch.zeros(2, 9, 9, dtype=torch.uint8)
    mask[0, 3:6, 3:6] = 1
    mask[0, 8, 8] = 255
    weight = boundary_weight(mask)
    assert weight[0, 2, 2] == weight[0, 3, 3] == weight[0, 5, 4] == 2
    assert weight[0, 4, 4].item() == pytest.approx(1 + math.exp(-1 / 25))
    assert weight[0, 0, 0].item() == pytest.approx(1 + math.exp(-math.sqrt(8) / 25))
    assert (weight[1] == 1).all()
    assert boundary_weight(torch.ones(1, 4, 4, dtype=torch.uint8))[0, 0, 2] == 2, "the image's edge is a boundary"


def test_pairs_of_background_and_of_what_is_left_out_do_not_count() -> None:
    torch.manual_seed(0)
    support, query = torch.randn(1, 4, 3), torch.randn(1, 4, 2)
    loss = pair_loss(support, torch.tensor([[1, 0, 255]]), query, torch.tensor([[1, 0]]))
    cosines = 10 * torch.cosine_similarity(support[..., None], query[:, :, None], dim=1)[0]
    counted = torch.stack([cosines[0, 0], -cosines[0, 1], -cosines[1, 0]])
    torch.testing.assert_close(loss, -counted.sigmoid().log().mean())


@torch.no_grad()
def test_images_of_an_episode_share_prompts_and_nothing_of_another_episode() -> None:
    torch.manual_seed(0)
    network = PromptedTransformer(SHAPES["small"], 2, 48, 6, 3).eval()
    images, prompts = torch.randn(2, 2, 3, 48, 48), torch.randn(2, 5, 48)
    maps, after = network.of_episodes(images, prompts)
    assert (maps.shape, after.shape) == ((2, 2, 48, 3, 3), (2, 5, 48))
    alone = network.of_episodes(images[:1], prompts[:1])
    torch.testing.assert_close((maps[:1], after[:1]), alone)
    turned = network.of_episodes(images[:1].flip(1), prompts[:1])
    torch.testing.assert_close(turned, (alone[0].flip(1), alone[1]))
    other = network.of_episodes(torch.stack([images[0, 0], images[1, 0]])[None], prompts[:1])
    assert not torch.allclose(other[0][:, 0], alone[0][:, 0], atol=1e-4), "the other image is seen by the prompts"


def test_a_position_has_the_nearest_of_the_backgrounds() -> None:
    query = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]])
    found = similarities(query, torch.tensor([[3.0, 0.0]]), torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]]))
    torch.testing.assert_close(found, torch.tensor([[[[0.0, 20.0]], [[20.0, 0.0]]]]))


def _built(seed: int, shot: int = 1) -> FPTrans:
    torch.manual_seed(seed)
    method = fssbench.build("fptrans", "small", shot=shot)
    assert isinstance(method, FPTrans)
    return method


def test_a_released_checkpoint_is_without_the_frozen_network(tmp_path: Path) -> None:
    source, target = _built(1), _built(2)
    whole = VisionTransformer(SHAPES["small"], 2, 64)
    arrays = as_flax(whole.state_dict(), SHAPES["small"].heads)
    np.savez(tmp_path / "imagenet.npz", **{key: value.numpy() for key, value in arrays.items()})
    released = {key: value for key, value in source.state_dict().items() if not key.startswith("original_encoder.")}
    # A model that was trained on several cards has the prefix.
    prefixed = {f"module.{key}": value for key, value in released.items()}
    torch.save({"epoch": 1, "miou": 0.5, "model_state": prefixed}, tmp_path / "bestckpt.pth")
    with pytest.raises(CheckpointError) as told:
        load_into(target, tmp_path / "bestckpt.pth")
    assert "--backbone-weights" in str(told.value.remedy)
    load_into(target, tmp_path / "bestckpt.pth", tmp_path / "imagenet.npz")
    assert all(torch.equal(target.state_dict()[key], value) for key, value in released.items())
    assert torch.equal(target.original_encoder.blocks[1].attn.qkv.weight, whole.blocks[1].attn.qkv.weight)
    assert target.original_encoder.pos_embed.shape == (1, 37, 48)


def test_both_networks_begin_with_the_backbone_s_weights() -> None:
    method = _built(1)
    start = method.from_imagenet(VisionTransformer(SHAPES["small"], 2, 96).state_dict())
    untouched = {key.partition(".")[0] for key in method.state_dict().keys() - start.keys()}
    assert untouched == {"purifier"}
    prompts = "encoder.backbone.prompt_tokens"
    assert torch.equal(start[prompts], method.state_dict()[prompts])
    assert not any(parameter.requires_grad for parameter in method.original_encoder.parameters())


def test_weights_of_another_number_of_shots_are_refused(tmp_path: Path) -> None:
    save_file(_built(1, shot=2).state_dict(), tmp_path / "two.safetensors")
    with pytest.raises(
        CheckpointError, match=r"for 2-shot.*prompt_tokens is \(165, 12, 48\) instead of \(90, 12, 48\)"
    ):
        load_into(_built(2), tmp_path / "two.safetensors")


def test_arrays_that_are_compressed_or_objects_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "small.npz", cls=np.zeros(4, np.float32))
    with pytest.raises(BrokenFileError, match=r"not written by numpy\.savez"):
        load_into(_built(1), tmp_path / "small.npz")
    np.savez(tmp_path / "objects.npz", cls=np.array([{}], dtype=object))
    with pytest.raises(BrokenFileError, match="is damaged"):
        load_into(_built(1), tmp_path / "objects.npz")


def test_learnable_parameters_are_those_of_the_release() -> None:
    with torch.device("meta"):
        made = [FPTrans(name, 1, 1, configuration).learnable_parameters for name, configuration in (
            ("vit-b16-384", "pascal"), ("deit-b16-384", "coco"), ("deit-t16", "pascal"))]  # fmt: skip
    assert made == [73_649_664, 90_315_264, 5_783_616]
