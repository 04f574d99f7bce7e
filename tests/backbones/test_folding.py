"""Folded backbones answer as their modules do, notice that parameters changed, and leave training alone."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from fssbench.backbones import backbone
from fssbench.backbones.folding import convolve, run
from fssbench.backbones.staged import staged


def _drawn(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every batch norm statistics of its own."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                assert tensor is not None
                with torch.no_grad():
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


def _plain(layers: nn.Sequential, x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _image(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "small"])
@pytest.mark.parametrize("size", [(65, 97), (64, 48)])
def test_pyramids_are_those_of_the_modules(name: str, size: tuple[int, int]) -> None:
    network, image = _drawn(backbone(name)), _image(2, 3, *size)
    with torch.no_grad():
        expected = network(image)
    with torch.inference_mode():
        given = network(image)
    for ours, plain in zip(given, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=2e-5 * plain.abs().max().item(), rtol=0)


@pytest.mark.parametrize(("name", "stem"), [("resnet50", "deep"), ("resnet50", "torchvision"), ("vgg16", "deep")])
def test_stages_are_those_of_the_modules(name: str, stem: str) -> None:
    stages, image = _drawn(staged(name, stem=stem)), _image(1, 3, 65, 49)
    with torch.no_grad():
        layer2, layer3 = stages.shallow(image)
        expected = (layer2, layer3, stages.deep(layer3))
    with torch.inference_mode():
        layer2, layer3 = stages.shallow(image)
        kept = layer3.clone()
        given = (layer2, layer3, stages.deep(layer3))
        assert torch.equal(layer3, kept), "what is handed in stays as it is"
    for ours, plain in zip(given, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=2e-5 * plain.abs().max().item(), rtol=0)


def _pair() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    assert isinstance(_drawn(layers), nn.Sequential)
    return layers


def _changed(layers: nn.Sequential, how: str) -> None:
    if how == "load_state_dict":
        layers.load_state_dict(_drawn(copy.deepcopy(layers), seed=5).state_dict())
    elif how == "step":
        layers(_image(1, 3, 6, 6)).sum().backward()
        torch.optim.SGD(layers.parameters(), lr=0.5).step()
    elif how == "statistics":
        layers.train()
        with torch.no_grad():
            layers(_image(4, 3, 6, 6))
        layers.eval()
    elif how == "in inference mode":
        with torch.inference_mode():
            layers[0].weight.mul_(2)
    elif how == "double":
        layers.double()


@pytest.mark.parametrize("how", ["load_state_dict", "step", "statistics", "in inference mode", "double"])
def test_changed_parameters_are_noticed(how: str) -> None:
    layers, x = _pair(), _image(1, 3, 6, 6)
    with torch.inference_mode():
        before = run(layers, x)
    _changed(layers, how)
    x = x.to(layers[0].weight.dtype)
    with torch.inference_mode():
        torch.testing.assert_close(run(layers, x), _plain(layers, x))
    assert how == "double" or not torch.allclose(run(layers, x), before, atol=1e-3)


def test_a_norm_in_training_mode_sees_the_batch() -> None:
    layers, x = _pair().train(), _image(4, 3, 6, 6)
    twin = copy.deepcopy(layers)
    with torch.inference_mode():
        assert torch.equal(run(layers, x), _plain(twin, x))
    assert torch.equal(layers[1].running_mean, twin[1].running_mean)


def test_gradients_flow_through_the_modules_themselves() -> None:
    layers, x = _pair(), _image(2, 3, 6, 6)
    convolve(x, layers[0], layers[1], relu=True).square().sum().backward()
    ours = [parameter.grad for parameter in layers.parameters()]
    twin = _pair()
    _plain(twin, x).square().sum().backward()
    assert all(torch.equal(a, b.grad) for a, b in zip(ours, twin.parameters(), strict=True))


def test_folded_weights_stay_out_of_copies_and_files() -> None:
    layers, x = _pair(), _image(1, 3, 6, 6)
    size = len(pickle.dumps(layers))
    with torch.inference_mode():
        run(layers, x)
    assert len(pickle.dumps(layers)) == size
    assert len(layers.state_dict()) == 7


@pytest.mark.parametrize("size", [97, 193])
@pytest.mark.usefixtures("threads_restored")
def test_maps_do_not_depend_on_the_number_of_threads(size: int) -> None:
    torch.manual_seed(2)
    network = backbone("resnet50").eval()
    image = torch.randn(1, 3, size, size)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            found.append(network(image))
    for other in found[1:]:
        assert all(torch.equal(mine, its) for mine, its in zip(found[0], other, strict=True))
