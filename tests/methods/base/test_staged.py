"""What methods on a backbone in stages keep of an image, against the maps as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.layers.masks import bounding_box
from fssbench.layers.prior import KeptColumns
from fssbench.methods.base.staged import QueryMaps, StagedMethod

# Objects in the middle, at two borders, everywhere, nowhere, and of two parts, of images of 137 x 105 pixels.
OBJECTS = {
    "middle": [(60, 80, 50, 60)],
    "borders": [(0, 20, 80, 105)],
    "everywhere": [(0, 137, 0, 105)],
    "nowhere": [],
    "parts": [(10, 30, 10, 30), (90, 100, 70, 75)],
}
METHODS = [
    ("pfenet", "resnet50", "fss", 1),
    ("pfenet", "resnet50", "fscs", 2),
    ("pfenet", "vgg16", "fss", 1),
    ("pfenet", "small", "fss", 1),
    ("ntrenet", "small", "full", 1),
    ("ntrenet", "small", "baseline", 1),
    ("bam", "small", None, 1),
    ("asgnet", "small", None, 1),
    ("mmt", "small", "full", 1),
]


def _mask(kind: str) -> Tensor:
    mask = torch.zeros(1, 137, 105, dtype=torch.uint8)
    for top, bottom, left, right in OBJECTS[kind]:
        mask[:, top:bottom, left:right] = 1
    return mask


def _drawn(method: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(2)
    for part in method.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                assert tensor is not None
                with torch.no_grad():
                    tensor.copy_(0.5 * torch.rand(tensor.shape, generator=generator) + 0.3)
    return method


def _build(name: str, backbone: str, variant: str | None, way: int, shot: int = 1) -> StagedMethod[Any]:
    torch.manual_seed(0)
    arguments = {} if variant is None else {"variant": variant}
    method = fssbench.build(name, backbone=backbone, way=way, shot=shot, width=8, **arguments)
    assert isinstance(method, StagedMethod)
    _drawn(method)
    return method


def _image(seed: int) -> Tensor:
    return torch.randn(1, 3, 137, 105, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16", "small"])
def test_masked_layer4_is_that_of_the_whole_map(backbone: str, kind: str) -> None:
    method = _build("pfenet", backbone, "fss", 1)
    with torch.no_grad():
        whole = method.masked_layer4(method.encode(_image(0)), _mask(kind))
    with torch.inference_mode():
        kept = method.masked_layer4(method.encode(_image(0)), _mask(kind))
    assert isinstance(whole, Tensor)
    assert isinstance(kept, KeptColumns)
    scale = max(whole.abs().max().item(), 1e-3)
    torch.testing.assert_close(kept.spread(), whole, atol=1e-5 * scale, rtol=0)
    if kind == "middle":
        assert kept.columns.nbytes < whole.nbytes / 5


@pytest.mark.parametrize(("name", "backbone", "variant", "way"), METHODS)
def test_answers_are_those_of_the_whole_maps(name: str, backbone: str, variant: str | None, way: int) -> None:
    method = _build(name, backbone, variant, way, shot=2)
    masks = [[_mask("middle"), _mask("parts")], [_mask("borders"), _mask("middle")]][:way]

    def answer(ready: bool) -> Any:
        supports = [
            [method.condition(method.encode(_image(2 * n + k)), its) for k, its in enumerate(shots)]
            for n, shots in enumerate(masks)
        ]
        query = method.encode(_image(9))
        if ready:
            query = method.as_query(method.as_query(query))
            assert isinstance(query, QueryMaps)
        return method.predict(query, supports, (61, 47))

    with torch.no_grad():
        plain = answer(ready=False)
    with torch.inference_mode():
        raw, given = answer(ready=False), answer(ready=True)
    assert torch.equal(raw.logits, given.logits)
    scale = plain.logits.abs().max().item()
    torch.testing.assert_close(given.logits, plain.logits, atol=2e-4 * scale, rtol=0)
    assert (given.labels != plain.labels).sum() <= 3


def test_a_query_made_ready_is_smaller_than_its_maps() -> None:
    method = _build("asgnet", "resnet50", None, 1)
    with torch.inference_mode():
        maps = method.encode(_image(0))
        ready = method.as_query(maps)
    assert ready.layer4 is None
    assert ready.reduced.nbytes < maps.layer3.nbytes / 10


def test_the_box_around_weights() -> None:
    weights = torch.zeros(2, 1, 6, 5)
    assert bounding_box(weights) == (0, 1, 0, 1)
    weights[0, 0, 2, 3] = 1e-7
    weights[1, 0, 4, 1] = 1
    assert bounding_box(weights) == (2, 5, 1, 4)
