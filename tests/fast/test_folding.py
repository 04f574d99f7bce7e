"""Folded networks compute what their modules do, are made once for an encoder, and leave the network alone."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.backbones import UnusedLinear, backbone
from fssbench.backbones.staged import staged
from fssbench.checkpoints.hashes import encoder_sha256
from fssbench.fast import folding
from fssbench.fast.folding import folded, folded_encoder
from fssbench.fast.form import fast_form


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


def _image(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "small", "efficientnet-lite0"])
@pytest.mark.parametrize("size", [(65, 97), (64, 48)])
def test_pyramids_are_those_of_the_modules(name: str, size: tuple[int, int]) -> None:
    network, image = _drawn(backbone(name)), _image(2, 3, *size)
    fast = folded(network)
    with torch.inference_mode():
        expected, given = network(image), fast(image)
    for ours, plain in zip(given, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=2e-5 * plain.abs().max().item(), rtol=0)


@pytest.mark.parametrize(
    ("name", "stem"), [("resnet50", "deep"), ("resnet50", "torchvision"), ("vgg16", "deep"), ("small", "deep")]
)
def test_stages_are_those_of_the_modules(name: str, stem: str) -> None:
    stages, image = staged(name, stem=stem), _image(1, 3, 65, 49)
    _drawn(stages)
    fast = folded(stages)
    with torch.inference_mode():
        layer2, layer3 = stages.shallow(image)
        expected = (layer2, layer3, stages.deep(layer3))
        layer2, layer3 = fast.shallow(image)
        kept, before = layer3.clone(), layer2.clone()
        given = (layer2, layer3, fast.deep(layer3))
        assert torch.equal(layer3, kept), "what is handed in stays as it is"
        assert torch.equal(layer2, before)
    for ours, plain in zip(given, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=2e-5 * plain.abs().max().item(), rtol=0)


@pytest.mark.parametrize("name", ["resnet50", "small", "efficientnet-lite0"])
def test_no_norm_is_left_to_compute(name: str) -> None:
    fast = folded(_drawn(backbone(name)))
    assert not [part for part in fast.modules() if isinstance(part, nn.BatchNorm2d)]
    convolutions = [part for part in fast.modules() if isinstance(part, nn.Conv2d)]
    assert all(part.bias is not None for part in convolutions)
    assert all(part.weight.is_contiguous(memory_format=torch.channels_last) for part in convolutions)
    assert not any(parameter.requires_grad for part in convolutions for parameter in part.parameters())


def test_a_folded_convolution_by_hand() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    convolution, norm = layers
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        for parameter, value in zip(layers.parameters(), (3.0, 1.0, 2.0, 0.5), strict=True):
            parameter.fill_(value)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.fill_(4.0)
        norm.running_var.fill_(0.25 - norm.eps)
    # (3 x + 1 - 4) / 0.5 * 2 + 0.5 = 12 x - 11.5
    fast = folded(layers)[0]
    assert isinstance(fast, nn.Conv2d)
    assert fast.bias is not None
    assert (fast.weight.item(), fast.bias.item()) == pytest.approx((12.0, -11.5))
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.weight.item() == 3.0


def test_a_norm_without_statistics_is_refused() -> None:
    with pytest.raises(TypeError, match="running statistics"):
        folded(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False)))


def test_a_network_with_a_folded_copy_stays_as_it_is() -> None:
    network = _drawn(backbone("small"))
    twin = copy.deepcopy(network)
    size, image = len(pickle.dumps(network)), _image(1, 3, 48, 48)
    with torch.inference_mode():
        folded_encoder(network)(image)
    assert len(pickle.dumps(network)) == size
    assert network.state_dict().keys() == twin.state_dict().keys()
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(network.parameters(), twin.parameters(), strict=True))
    with torch.inference_mode():
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(network(image), twin(image), strict=True))


def _changed(network: nn.Module, how: str) -> None:
    if how == "load_state_dict":
        network.load_state_dict(_drawn(copy.deepcopy(network), seed=5).state_dict())
    elif how == "step":
        sum(level.sum() for level in network(_image(1, 3, 48, 48))).backward()
        torch.optim.SGD(network.parameters(), lr=0.5).step()
    elif how == "statistics":
        network.train()
        with torch.no_grad():
            network(_image(4, 3, 48, 48))
        network.eval()
    elif how == "in inference mode":
        with torch.inference_mode():
            network.get_parameter("stem.0.weight").mul_(2)
    elif how == "double":
        network.double()


@pytest.mark.parametrize("how", ["load_state_dict", "step", "statistics", "in inference mode", "double"])
def test_changed_weights_are_folded_anew(how: str) -> None:
    network, image = _drawn(backbone("small")), _image(1, 3, 48, 48)
    before = folded_encoder(network)
    assert folded_encoder(network) is before
    _changed(network, how)
    after = folded_encoder(network)
    assert after is not before
    image = image.to(network.get_parameter("stem.0.weight").dtype)
    with torch.inference_mode():
        for ours, plain in zip(after(image), network(image), strict=True):
            torch.testing.assert_close(ours, plain, atol=2e-5 * plain.abs().max().item(), rtol=0)


def test_layers_that_never_run_are_not_copied() -> None:
    network = backbone("vgg16").eval()
    unused = {part for part in network.modules() if isinstance(part, UnusedLinear)}
    assert unused
    assert unused <= set(folded(network).modules())


def test_a_copy_goes_with_its_encoder() -> None:
    network = backbone("small").eval()
    copied = weakref.ref(folded_encoder(network))
    assert copied() is not None
    del network
    gc.collect()
    assert copied() is None
    assert len(folding._FOLDED) < 100


def test_forms_of_methods_with_one_encoder_hold_one_copy() -> None:
    first = fssbench.build("pfenet", backbone="small", width=8)
    second = copy.deepcopy(first, {id(part): part for part in first.shared_encoder.modules()})
    other = fssbench.build("pfenet", backbone="small", width=8)
    encoders = [fast_form(method).shared_encoder for method in (first, second, other)]
    assert encoders[0] is encoders[1]
    assert encoders[0] is not encoders[2]
    other.load_state_dict(first.state_dict())
    again = fast_form(other).shared_encoder
    assert encoder_sha256(again) == encoder_sha256(encoders[0]) != encoder_sha256(encoders[2])
    parts = {id(part) for part in encoders[0].modules()}
    assert all(id(part) in parts for part in fast_form(first).get_submodule("backbone").modules())


def test_a_form_leaves_the_method_plain() -> None:
    method = fssbench.build("bam", backbone="small", width=8, base_width=8)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    form = fast_form(method)
    assert type(form) is not type(method)
    assert method.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in method.state_dict().items())
    assert any(isinstance(part, nn.BatchNorm2d) for part in method.modules())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in form.modules())


@pytest.mark.parametrize("size", [97, 193])
@pytest.mark.usefixtures("threads_restored")
def test_maps_do_not_depend_on_the_number_of_threads(size: int) -> None:
    torch.manual_seed(2)
    network = folded(backbone("resnet50").eval())
    image = torch.randn(1, 3, size, size)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            found.append(network(image))
    for other in found[1:]:
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(found[0], other, strict=True))
