"""OSLSM, each step held against a computation of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fssbench
from fssbench.errors import UsageError
from fssbench.layers.losses import summed_binary_loss
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.oslsm import OSLSM, Classifier, Dense, WeightHashing
from fssbench.protocols.transforms import input_image
from fssbench.training.optimisers import make_optimiser
from fssbench.training.plan import plan
from fssbench.training.recipes import recipe
from fssbench.training.request import Request

SIDE = 96


def _built(shot: int = 1, backbone: str = "small") -> OSLSM:
    torch.manual_seed(0)
    method = fssbench.build("oslsm", backbone, shot=shot)
    assert isinstance(method, OSLSM)
    return method


def _images(count: int, side: int = SIDE) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def _masks(count: int, side: int = SIDE) -> Tensor:
    masks = torch.zeros(count, side, side, dtype=torch.uint8)
    for n in range(count):
        masks[n, 10 + n : 60, 20 : 50 + n] = 1
    return masks


def test_parameters_of_both_branches() -> None:
    with torch.device("meta"):
        method = _built(backbone="vgg16")
    parts = [sum(its.numel() for its in part.parameters()) for part in (method.conditioning, method.segmentation)]
    # VGG-16 by its layers: convolutions, fc6 and fc7, and in the conditioning branch fc8.
    channels = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 2, (256, 512), *[(512, 512)] * 5]
    convolutions = sum(9 * i * o + o for i, o in channels)
    hidden = 512 * 49 * 4096 + 4096 + 4096 * 4096 + 4096
    assert parts == [convolutions + hidden + 4096 * 1000 + 1000, convolutions + hidden] == [138_357_544, 134_260_544]
    assert method.learnable_parameters == 272_618_088
    assert list(method.hashing.parameters()) == []
    assert method.hashing.places.shape == method.hashing.signs.shape == (4097,)


def test_the_narrow_form_is_the_same_network() -> None:
    with torch.device("meta"):
        wide, narrow = _built(backbone="vgg16"), _built()
    kinds = [[(name, type(its)) for name, its in method.named_modules()] for method in (wide, narrow)]
    assert kinds[0] == kinds[1]


def test_hashing_is_the_product_with_a_fixed_matrix() -> None:
    hashing, x = WeightHashing(1000, 4097), torch.randn(3, 1000, dtype=torch.float64, requires_grad=True)
    matrix = torch.zeros(4097, 1000, dtype=torch.float64)
    for row, (place, sign) in enumerate(zip(hashing.places.tolist(), hashing.signs.tolist(), strict=True)):
        matrix[row, place] = sign
    assert set(hashing.signs.tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(hashing(x), x @ matrix.T, rtol=0, atol=0)
    # A code learns from all parameters that are made of it.
    upstream = torch.randn(3, 4097, dtype=torch.float64)
    [gradient] = torch.autograd.grad(hashing(x), x, upstream)
    torch.testing.assert_close(gradient, upstream @ matrix)
    assert len(set(hashing.places.tolist())) > 950, "nearly all codes are used"


def test_weights_travel_with_their_hashing() -> None:
    one, other = _built(), _built()
    one.hashing.places = one.hashing.places.roll(1)
    assert not torch.equal(one.hashing.places, other.hashing.places)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.hashing.places, other.hashing.places)
    assert {"hashing.places", "hashing.signs"} == {key for key in one.state_dict() if key.startswith("hashing")}


@pytest.mark.parametrize(("side", "maps"), [(500, 18), (224, 9), (97, 5)])
def test_sizes_of_the_segmentation_branch(side: int, maps: int) -> None:
    # Padding by 121 adds 240; five pools round up; fc6 takes 7 x 7.
    size = side + 2 * 121 - 2
    for _ in range(5):
        size = -(-size // 2)
    assert size - 6 == maps
    with torch.device("meta"):
        method = _built()
        query = method.prepare_query(method.encode(torch.zeros(1, 3, side, side)))
        assert query.features.shape == (1, 64, maps, maps)
        assert (maps - 1) * 32 + 64 - 40 >= side
        assert method.score(query, Classifier(torch.zeros(1, 64), torch.zeros(1))).shape == (1, 1, side, side)


def test_scores_lie_where_they_were_computed() -> None:
    """A position of fc7 sees 224 x 224 pixels, and its score is upsampled around the middle of them."""
    method, place = _built().double(), 8
    for name, module in method.segmentation.named_modules():
        if isinstance(module, nn.Conv2d):
            # Without what 3 x 3 convolutions see around a pixel, and with pools that see all.
            nn.init.zeros_(module.weight)
            seen = slice(None) if name == "fc6" else module.kernel_size[0] // 2
            module.weight.data[:, :, seen, seen] = 1.0
    for number, module in enumerate(method.segmentation.features):
        if isinstance(module, nn.MaxPool2d):
            method.segmentation.features[number] = nn.AvgPool2d(2, ceil_mode=True)
    image = torch.rand(1, 3, 500, 500, dtype=torch.float64, requires_grad=True)
    features = method.segmentation(image)
    [gradient] = torch.autograd.grad(features[0, 0, place, place], image)
    touched = gradient[0].sum(dim=0).nonzero()
    # By hand: five pools and a padding of 120 on each side make it 32 * 8 - 120 to 32 * 8 - 120 + 224 - 1.
    assert (touched.amin(dim=0).tolist(), touched.amax(dim=0).tolist()) == ([136, 136], [359, 359])
    alone = torch.zeros_like(features[:, :1])
    alone[..., place, place] = 1.0
    classifier = Classifier(torch.ones(1, 1).double(), torch.zeros(1).double())
    score = method.score(Dense(alone, (500, 500)), classifier)
    assert (score[0, 0] == score.max()).nonzero().double().mean(dim=0).tolist() == [(136 + 359) / 2] * 2


def test_upsampling_is_bilinear() -> None:
    method = _built()
    features = torch.rand(1, 1, 9, 9)
    score = method.score(Dense(features, (200, 200)), Classifier(torch.ones(1, 1), torch.tensor([0.5])))
    # A deconvolution 64 x 64 of stride 32 puts map position i at pixel 32 i + 31.5; the first 40 pixels are cut off.
    whole = F.interpolate(features + 0.5, scale_factor=32, mode="bilinear", align_corners=False)
    torch.testing.assert_close(score, whole[..., 40 - 16 : 240 - 16, 40 - 16 : 240 - 16])


def test_the_input_is_blue_green_red_less_the_mean() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    seen = _built().encode(input_image(pixels, (40, 50), "pillow")[None]).image[0]
    expected = pixels[..., ::-1].astype(np.float64) - 255 * np.array([0.40787055, 0.45752459, 0.4810938])
    np.testing.assert_allclose(seen.permute(1, 2, 0).numpy(), expected, atol=1e-4)


@torch.inference_mode()
def test_a_support_is_masked_after_the_mean_is_taken_off() -> None:
    method, seen = _built(), list[Tensor]()
    method.conditioning.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image, mask = _images(1), _masks(1)
    mask[0, :5] = 255
    method.condition(method.encode(image), mask)
    inside = F.interpolate((mask == 1)[:, None].double(), (224, 224), mode="nearest-exact").bool()
    resized = F.interpolate(method.encode(image).image, (224, 224), mode="bilinear", align_corners=False)
    assert seen[0].shape == (1, 3, 224, 224)
    assert torch.equal(seen[0], torch.where(inside, resized, 0.0))
    assert 0 < inside.double().mean() < 0.5


@torch.inference_mode()
def test_the_largest_score_of_the_shots_counts() -> None:
    method = _built(shot=3)
    query, images, masks = _images(1)[0], _images(4)[1:], _masks(3)
    each = [method.segment(query, images[None, k : k + 1], masks[None, k : k + 1]).logits[1] for k in range(3)]
    joint = method.segment(query, images[None], masks[None])
    torch.testing.assert_close(joint.logits[1], torch.stack(each).max(dim=0).values)
    assert torch.equal(joint.labels.bool(), torch.stack([score > 0 for score in each]).any(dim=0))
    assert not joint.logits[0].any()
    assert torch.equal(joint.logits.softmax(dim=0)[1] > 0.5, joint.labels.bool())


@torch.inference_mode()
def test_shots_are_compared_at_the_size_of_the_query() -> None:
    method = _built()
    features = torch.zeros(1, 2, 9, 9)
    features[0, 0, 4, 4] = features[0, 1, 4, 5] = 1.0
    shots = [Classifier(torch.eye(2)[k : k + 1], torch.zeros(1)) for k in range(2)]
    query = Dense(features, (200, 200))
    joint = method.joint_score(query, shots)
    assert torch.equal(joint, torch.maximum(*(method.score(query, its) for its in shots)))
    before = features.amax(dim=1, keepdim=True)
    assert not torch.equal(joint, method.score(Dense(before, (200, 200)), Classifier(torch.ones(1, 1), torch.zeros(1))))


def test_the_loss_is_a_sum_over_pixels() -> None:
    scores, mask = torch.randn(2, 5, 6, dtype=torch.float64), torch.randint(0, 2, (2, 5, 6)).to(torch.uint8)
    mask[0, 0] = 255
    total = 0.0
    for score, label in zip(scores.flatten().tolist(), mask.flatten().tolist(), strict=True):
        if label != 255:
            p = 1.0 / (1.0 + np.exp(-score))
            total -= 2.0 * np.log(p) if label else np.log(1.0 - p)
    assert summed_binary_loss(scores, mask, 2.0).item() == pytest.approx(total / 2)


def _batch() -> TrainingBatch:
    images, masks = _images(2), _masks(2)
    return TrainingBatch(
        images, masks[:, None], images[:, None, None], masks[:, None, None], torch.tensor([[0], [1]]), masks
    )


def test_the_loss_falls() -> None:
    torch.manual_seed(0)
    method = fssbench.build("oslsm", "small", dropout=0.0).train()
    optimiser = torch.optim.AdamW(method.parameters(), lr=2e-3)
    losses = []
    for _ in range(16):
        loss = method.losses(_batch())["segmentation"]
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # Less than what is lost without a look at the images, with the share of the foreground in both.
    share = (_masks(2) == 1).float().mean().item()
    blind = -SIDE * SIDE * (share * np.log(share) + (1 - share) * np.log(1 - share))
    assert losses[-1] < blind < losses[0]


def test_both_branches_learn_from_an_episode() -> None:
    method = _built().train()
    losses = method.losses(_batch())
    assert list(losses) == ["segmentation"]
    losses["segmentation"].backward()
    assert [name for name, its in method.named_parameters() if its.grad is None or not its.grad.any()] == []


def test_rates_and_decay_are_those_of_the_release() -> None:
    optimiser = recipe("oslsm", "pascal5i").optimiser
    method = _built()
    names = {id(its): name for name, its in method.named_parameters()}
    seen = {
        (names[id(its)].split(".")[0], names[id(its)].split(".")[-1]): (group["factor"], group["weight_decay"])
        for group in make_optimiser(method, optimiser).param_groups
        for its in group["params"]
    }
    assert seen == {
        ("conditioning", "weight"): (0.1, 5e-4),
        ("conditioning", "bias"): (0.2, 0.0),
        ("segmentation", "weight"): (1.0, 5e-4),
        ("segmentation", "bias"): (2.0, 0.0),
    }
    plain = replace(optimiser, bias_rate=1.0, bias_decay=1.0, rates={})
    assert len(make_optimiser(method, plain).param_groups) == 1


def test_the_narrow_form_takes_no_weights_of_a_backbone(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    assert plan(Request("shapes20i", 0, "oslsm", out=tmp_path / "run")).backbone_weights is None
    with pytest.raises(UsageError, match="oslsm with small is trained from random weights"):
        plan(Request("shapes20i", 0, "oslsm", backbone_weights=weights, out=tmp_path / "run"))


def test_weights_of_torchvision_see_what_they_were_trained_on() -> None:
    with torch.device("meta"):
        method = _built(backbone="vgg16")
    first = nn.Conv2d(3, 64, 3, padding=1)
    state = {f"features.0.{kind}": value for kind, value in first.state_dict().items()}
    state |= {"features.2.weight": torch.zeros(64, 64, 3, 3), "classifier.0.weight": torch.zeros(4096, 25088)}
    state |= {"classifier.6.bias": torch.arange(1000.0)}
    named = method.from_imagenet(state)
    own = method.state_dict()
    assert {key: its.shape for key, its in named.items()} == {key: own[key].shape for key in named}
    assert {key for key in named if "fc" in key} == {
        "conditioning.fc6.weight",
        "segmentation.fc6.weight",
        "conditioning.fc8.bias",
    }
    image = _images(1)
    for branch in ("conditioning", "segmentation"):
        weight, bias = named[f"{branch}.features.0.weight"], named[f"{branch}.features.0.bias"]
        found = F.conv2d(_built().encode(image).image, weight, bias)
        torch.testing.assert_close(found, F.conv2d(image, first.weight, first.bias), atol=1e-4, rtol=1e-4)
    assert _built().from_imagenet(state) == {}, "of the narrow form nobody has weights"
