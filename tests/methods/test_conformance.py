"""What every method promises, whatever it does inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import method_info
from fssbench.methods.own.validate import CHECKS, subjects
from tests.methods.forms import Marks, marks_of
from tests.methods.narrow import OPTIONS

SIDE = 192


def _build(name: str, variant: str, way: int = 1, shot: int = 1) -> Method[Any, Any]:
    torch.manual_seed(0)
    return fssbench.build(
        name,
        backbone=method_info(name).small_backbone_for(variant),
        variant=variant,
        way=way,
        shot=shot,
        **OPTIONS.get(name, {}),
    )


def _episode(way: int, shot: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(3, SIDE, SIDE, generator=generator)
    images = torch.randn(way, shot, 3, SIDE, SIDE, generator=generator)
    masks = torch.zeros(way, shot, SIDE, SIDE, dtype=torch.uint8)
    for n in range(way):
        masks[n, :, 20 + 30 * n : 110 + 30 * n, 30:120] = 1
    return query, images, masks


CASES = [(name, variant) for name in fssbench.list_methods() for variant in method_info(name).tasks]


def _marks(name: str, variant: str, check: str) -> Marks:
    """Return the marks of a case: of other tasks, and of many shots and ways, a few are tried below."""
    several = check.startswith("shapes") and name in ("hsnet", "asnet", "asnet-hm")
    slow = several or variant != next(iter(method_info(name).tasks))
    return marks_of(name, variant) or ((pytest.mark.slow,) if slow else ())


@pytest.mark.parametrize(
    ("name", "variant", "check"),
    [
        pytest.param(name, variant, check, marks=_marks(name, variant, check))
        for name, variant in CASES
        for check in CHECKS
    ],
)
def test_every_method_passes_the_suite(name: str, variant: str, check: str) -> None:
    subject = next(one for one in subjects(name) if one.variant == variant)
    # As narrow as it can be: `fssbench validate` tries the method as it is built by default.
    assert CHECKS[check](replace(subject, options=OPTIONS.get(name, {}))) == ""


@pytest.mark.parametrize(("name", "variant"), CASES)
@pytest.mark.parametrize("shot", [1, 2])
def test_shapes_types_and_ranges(name: str, variant: str, shot: int) -> None:
    way = 2 if variant == "fscs" else 1
    method = _build(name, variant, way, shot)
    prediction = method.segment(*_episode(way, shot), size=(90, 130))
    assert prediction.logits.shape == (way + 1, 90, 130)
    assert prediction.logits.dtype == torch.float32
    assert prediction.labels.shape == (90, 130)
    assert prediction.labels.dtype == torch.uint8
    assert int(prediction.labels.max()) <= way
    assert prediction.present.shape == (way,)
    assert prediction.present.dtype == torch.bool
    assert not prediction.logits.requires_grad


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_the_same_episode_gives_the_same_answer(name: str, variant: str) -> None:
    method = _build(name, variant)
    first, second = (method.segment(*_episode(1, 1)) for _ in range(2))
    assert torch.equal(first.logits, second.logits)
    assert first.labels.shape == (SIDE, SIDE)


LEAVE_OUT = {"mlc", "repri", "ssp", "fssdino", "cyctr", "fptrans"}
"""Methods for which, as released, ignored pixels of a support are neither foreground nor background."""


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_ignored_support_pixels_count_as_background_or_not_at_all(name: str, variant: str) -> None:
    method = _build(name, variant)
    query, images, masks = _episode(1, 1)
    ignored = masks.clone()
    ignored[ignored == 0] = 255
    same = torch.equal(method.segment(query, images, masks).logits, method.segment(query, images, ignored).logits)
    assert same == (name not in LEAVE_OUT)


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_features_of_a_batch_equal_those_of_each_image(name: str, variant: str) -> None:
    method = _build(name, variant)
    _, images, masks = _episode(1, 2)
    with torch.inference_mode():
        both = method.condition(method.encode(images[0]), masks[0])
        alone = method.condition(method.encode(images[0, 1:]), masks[0, 1:])
    for batched, single in zip(_tensors(both), _tensors(alone), strict=True):
        torch.testing.assert_close(batched[1:], single, atol=1e-5, rtol=1e-4)


def _tensors(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in _tensors(item)]
    return [tensor for item in vars(value).values() for tensor in _tensors(item)] if hasattr(value, "__dict__") else []


@pytest.mark.parametrize("name", [name for name in fssbench.list_methods() if method_info(name).trainable])
def test_the_support_mask_matters_to_a_trained_method_and_not_to_a_weak_one(name: str) -> None:
    method = _build(name, next(iter(method_info(name).tasks)))
    query, images, masks = _episode(1, 1)
    moved = torch.roll(masks, 60, dims=-1)
    assert not torch.equal(method.segment(query, images, masks).logits, method.segment(query, images, moved).logits)


def test_weak_asnet_ignores_support_masks() -> None:
    torch.manual_seed(0)
    method = fssbench.build("asnet", backbone="small", variant="fscs", weak=True)
    query, images, masks = _episode(1, 1)
    empty = torch.zeros_like(masks)
    assert torch.equal(method.segment(query, images, masks).logits, method.segment(query, images, empty).logits)


@pytest.mark.parametrize("name", ["hsnet", "asnet"])
def test_ways_are_scored_alone_and_merged_afterwards(name: str) -> None:
    one, two = _build(name, "fscs", way=1), _build(name, "fscs", way=2)
    two.load_state_dict(one.state_dict())
    query, images, masks = _episode(2, 1)
    joint = two.segment(query, images, masks).logits
    split_batch = [one.segment(query, images[n : n + 1], masks[n : n + 1]).logits for n in range(2)]
    torch.testing.assert_close(joint[1], split_batch[0][1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(joint[2], split_batch[1][1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(joint[0], (split_batch[0][0] + split_batch[1][0]) / 2, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("hsnet", 2_573_794), ("asnet", 1_320_610), ("mmnet", 10_356_746), ("dcama", 14_215_394), ("vat", 3_180_954)],
)
def test_learnable_parameters_are_those_of_the_release(name: str, parameters: int) -> None:
    # The papers of the first three print 2.6 M, 1.3 M and 10.4 M, that of VAT 3.2 M.
    assert fssbench.build(name, backbone="resnet50").learnable_parameters == parameters


def test_training_leaves_the_backbone_alone() -> None:
    method = _build("hsnet", "fss").train()
    assert not method.backbone.training
    assert not any(parameter.requires_grad for parameter in method.backbone.parameters())
    query, images, masks = _episode(1, 1)
    method.score(method.encode(query[None]), method.condition(method.encode(images[0]), masks[0])).sum().backward()
    assert all(p.grad is not None for n, p in method.named_parameters() if not n.startswith("backbone."))


def test_asnet_says_which_sizes_it_can_take() -> None:
    method = _build("asnet", "fss")
    with pytest.raises(UsageError, match="size"):
        method.segment(torch.zeros(3, 64, 64), torch.zeros(1, 1, 3, 64, 64), torch.ones(1, 1, 64, 64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "hsnett"}, "did you mean hsnet"),
        ({"name": "hsnet", "backbone": "resnet18"}, "no backbone 'resnet18'"),
        ({"name": "hsnet", "variant": "joint"}, "no variant 'joint'"),
        ({"name": "hsnet", "way": 2}, "variant='fscs'"),
        ({"name": "asnet", "shot": 0}, "at least 1"),
        ({"name": "asnet", "colour": True}, "colour"),
    ],
)
def test_build_refuses_what_does_not_exist(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fssbench.build(**arguments)


@pytest.mark.parametrize(
    "shapes",
    [((3, 8, 8), (1, 1, 3, 8, 8), (1, 2, 8, 8)), ((1, 3, 8, 8), (1, 1, 3, 8, 8), (1, 1, 8, 8))],
)
def test_segment_refuses_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UsageError, match="support"):
        _build("all-foreground", "fss").segment(*(torch.zeros(shape) for shape in shapes))


def test_an_option_that_a_method_does_not_have_names_those_it_has() -> None:
    with pytest.raises(UsageError, match=r"pfenet: got an unexpected keyword argument 'widht'; its options: .*width"):
        fssbench.build("pfenet", "small", widht=20)  # codespell:ignore widht
