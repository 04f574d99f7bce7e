"""Gradients in float32 are those in float64, wherever the object of the support lies."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.methods.base.method import Method, TrainingBatch
from fssbench.methods.catalogue import method_info
from fssbench.training.episodic import training_mode
from tests.golden.formula import image, mask
from tests.golden.training_step import dropout_by_number
from tests.methods.forms import marks_of
from tests.methods.narrow import narrow

SIDE = 144
FLOAT32 = 2.0**-24
"""The largest relative error of rounding to float32."""
FORMS = [
    pytest.param((name, variant), marks=marks_of(name, variant), id="-".join(filter(None, (name, variant))))
    for name in fssbench.list_methods()
    if method_info(name).trainable
    for variant in method_info(name).tasks
]
ONE_RELU = 1e-2
"""What a unit can do to a gradient whose input is so near 0 that float32 puts it on the other side of a ReLU.

Without such a unit the error is about 1e-6; it was 49 where attention without a key added -1e9 to its logits.
"""
Place = tuple[int, int, int, int]
"""(top, bottom, left, right) of the object of a support."""
PLACES: dict[str, tuple[Place, Place]] = {
    "small": ((60, 66, 70, 76),) * 2,
    "in the middle and at a corner": ((48, 96, 40, 100), (0, 50, 0, 40)),
    "whole": ((0, SIDE, 0, SIDE),) * 2,
    "empty": ((0, 0, 0, 0),) * 2,
}
"""Of the supports of the two episodes of a batch."""


def support_masks(place: str) -> Tensor:
    inside = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    for mask_of_one, (top, bottom, left, right) in zip(inside, PLACES[place], strict=True):
        mask_of_one[top:bottom, left:right] = 1
    return inside[:, None, None]


def batch(place: str, dtype: torch.dtype) -> TrainingBatch:
    queries = torch.stack([image(seed, SIDE, SIDE) for seed in (41, 42)])
    supports = torch.stack([image(seed, SIDE, SIDE) for seed in (43, 44)])
    masks = torch.stack([mask(seed, SIDE, SIDE) for seed in (11, 12)])
    return TrainingBatch(
        query=queries.to(dtype),
        query_masks=masks[:, None],
        supports=supports[:, None, None].to(dtype),
        support_masks=support_masks(place),
        classes=torch.tensor([[3], [5]]),
        query_labels=masks * torch.tensor([4, 6], dtype=torch.uint8)[:, None, None],
    )


def gradient(method: Method[Any, Any], place: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the gradient of each parameter, in float64."""
    taught = copy.deepcopy(method).to(dtype)
    taught.enter_training_stage(taught.training_stages[-1])
    training_mode(taught, "method")
    torch.manual_seed(0)
    with dropout_by_number():
        torch.stack(list(taught.losses(batch(place, dtype)).values())).sum().backward()
    return {name: value.grad.double() for name, value in taught.named_parameters() if value.grad is not None}


def with_rounded_layers(method: Method[Any, Any]) -> Method[Any, Any]:
    """Return the method with each layer's output off by what float32 would round away.

    A support without an object leaves group norms nothing but constants to divide by their spread, and they magnify
    whatever was rounded away before. This measures in float64 what that does to a gradient, apart from any fault of
    float32.
    """
    rounded = copy.deepcopy(method)
    noise = torch.Generator().manual_seed(0)

    def round_off(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output * (1 + FLOAT32 * torch.randn(output.shape, generator=noise, dtype=output.dtype))

    for layer in rounded.modules():
        if not list(layer.children()) and layer is not rounded:
            layer.register_forward_hook(round_off)
    return rounded


def apart(gradients: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Return the norm of the difference as a share of the norm of what is expected."""
    assert gradients.keys() == expected.keys()
    difference = torch.cat([(gradients[name] - value).flatten() for name, value in expected.items()])
    return float(difference.norm() / torch.cat([value.flatten() for value in expected.values()]).norm())


@pytest.fixture(scope="module", params=FORMS)
def method(request: pytest.FixtureRequest) -> Method[Any, Any]:
    name, variant = request.param
    return narrow(name, variant, 1, 1)


@pytest.mark.parametrize("place", PLACES)
def test_a_gradient_in_float32(method: Method[Any, Any], place: str) -> None:
    expected = gradient(method, place, torch.float64)
    error = apart(gradient(method, place, torch.float32), expected)
    if error > ONE_RELU:
        assert place in {"small", "empty"}
        assert error < 2 * apart(gradient(with_rounded_layers(method), place, torch.float64), expected) < 0.1
