"""Every fast form predicts as the method that it is the fast form of, on every path."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.fast.form import FastForm, fast_form
from fssbench.fast.threads import Call, predict_calls
from fssbench.layers import devices
from fssbench.methods.base.method import Method, Prediction
from fssbench.methods.base.pairwise import PairwiseMethod
from fssbench.methods.catalogue import method_info
from tests.golden.first_cases import cases_of_backbones
from tests.methods.forms import marks_of
from tests.methods.narrow import OPTIONS, SIDE, centre, narrow, without_offset

FAST = [name for name in fssbench.list_methods() if method_info(name).fast]
CPU = torch.device("cpu")
SEVERAL = 3
"""Shots: an odd number, of which a majority is not all."""


def _first_of_its_task(name: str, variant: str) -> bool:
    tasks = method_info(name).tasks
    return next(other for other, task in tasks.items() if task == tasks[variant]) == variant


def _paths(name: str, variant: str) -> list[tuple[int, int]]:
    """Return the ways and shots to try: of further variants of a task one alone, and several of both."""
    most = 2 if method_info(name).tasks[variant] == "fscs" else 1
    if _first_of_its_task(name, variant):
        return [(way, shot) for way in range(1, most + 1) for shot in (1, SEVERAL)]
    return [(1, 1), (most, SEVERAL)]


CASES = [
    (name, variant, way, shot)
    for name in FAST
    for variant in method_info(name).tasks
    for way, shot in _paths(name, variant)
]


def _brief(name: str, variant: str, way: int, shot: int) -> bool:
    """Return whether a case is among those that show most in least time; others are slow, or long."""
    most = 2 if method_info(name).tasks[variant] == "fscs" else 1
    return _first_of_its_task(name, variant) and (way, shot) in ((most, 1), (1, SEVERAL) if most == 1 else (most, 1))


PATHS = [
    pytest.param(*case, marks=marks_of(*case[:2]) or (() if _brief(*case) else pytest.mark.slow)) for case in CASES
]
GOLDEN = cases_of_backbones(sorted((Path(__file__).parents[1] / "golden" / "cases").glob("*.json")))
BACKBONES = [
    pytest.param(name, backbone, marks=pytest.mark.slow)
    for name in FAST
    for backbone in ("resnet50", "vgg16")
    # Both forms of the others are compared with their release on this backbone (tests/golden). ASNet on VGG-16 would
    # take a minute at the only size that it accepts, and no paper has it.
    if backbone in method_info(name).backbones_for(None) and (name, backbone) not in {*GOLDEN, ("asnet", "vgg16")}
]
BFLOAT16 = 2.0**-8
"""The largest relative error of rounding to bfloat16."""
EPISODES = 3
SIZES = [(90, 70), (SIDE, SIDE), (61, 130)]
Episodes = tuple[list[Any], list[list[list[Any]]]]


@cache
def tolerance(name: str) -> float:
    """Return how far logits may be from the plain form's, in parts of the largest.

    That is how far the method's may be from its release's (see tests/golden), and at most 5e-4: so much leaves few
    pixels of these narrow methods undecided.
    """
    found = []
    for path in (Path(__file__).parent.parent / "golden" / "cases").glob("*.json"):
        case = json.loads(path.read_text(encoding="utf-8"))
        if case["build"]["method"] == name:
            found.append(case["tolerance"] / max(abs(case["scores"]["min"]), abs(case["scores"]["max"])))
    return min(max(found, default=1e-4), 5e-4)


def built(name: str, variant: str, way: int, shot: int, backbone: str = "small") -> Method[Any, Any]:
    if backbone == "small":
        return narrow(name, variant, way, shot)
    torch.manual_seed(0)
    method = fssbench.build(name, backbone, variant, way, shot, **OPTIONS.get(name, {}))
    for part in method.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)
    return method


def images_and_masks(count: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Images, and masks of all, of little, of nothing, and of squares."""
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(5))
    masks = torch.zeros(count, side, side, dtype=torch.uint8)
    for n in range(count):
        masks[n, 10 + 2 * n : 70 + 3 * n, 5 * n : 60 + 4 * n] = 1
    masks[1] = 1
    masks[2, 70:75, 30:40] = 1
    masks[3] = 0
    masks[4, :, :9] = 255
    return images, masks


def episodes(method: Method[Any, Any], count: int, side: int = SIDE) -> Episodes:
    """What `Method.predict_many` takes, as this method makes it."""
    images, masks = images_and_masks(6, side)
    images = images.to(next((parameter.dtype for parameter in method.parameters()), images.dtype))
    maps = cache(lambda n: method.encode(images[n : n + 1]))
    kept = cache(lambda n: method.condition(maps(n), masks[n : n + 1]))
    queries = [method.prepare_query(maps(n % 6)) for n in range(count)]
    supports = [
        [[kept((n + 2 * way + shot + 1) % 6) for shot in range(method.shot)] for way in range(method.way)]
        for n in range(count)
    ]
    return queries, supports


def predictions(method: Method[Any, Any], count: int = EPISODES, side: int = SIDE) -> list[Prediction]:
    """Predict some episodes, each alone."""
    queries, supports = episodes(method, count, side)
    return [method.predict(*episode) for episode in zip(queries, supports, SIZES[:count], strict=True)]


def labelled(predictions: Sequence[Prediction]) -> float:
    """Return the share of foreground in all predictions."""
    return torch.cat([prediction.labels.flatten() for prediction in predictions]).gt(0).float().mean().item()


def assert_equal(found: Prediction, expected: Prediction, within: float, shots: Sequence[Prediction] = ()) -> None:
    """Labels, presence and base classes are equal, and logits but for so many parts of the largest.

    A label may differ where two scores are equal but for what the logits of both forms differ by: either is right.

    Args:
        found: Of the fast form.
        expected: Of the plain one.
        within: In parts of the largest logit.
        shots: What the plain form predicts of each shot alone, where each is decided alone.
    """
    scale = expected.logits.abs().max().item()
    torch.testing.assert_close(found.logits, expected.logits, atol=within * scale, rtol=0)
    # Of shots that are decided alone only the mean is known.
    apart = within * scale if shots else (found.logits - expected.logits).abs().max().item()
    differing, tied = found.labels != expected.labels, torch.zeros_like(expected.labels, dtype=torch.bool)
    for prediction in (expected, *shots):
        best = prediction.logits.topk(2, dim=0).values
        tied |= best[0] - best[1] <= 2 * apart
    assert not (differing & ~tied).any()
    assert differing.float().mean() < 2e-3
    assert torch.equal(found.present, expected.present)
    assert (found.base is None) == (expected.base is None)
    if found.base is not None and expected.base is not None:
        assert (found.base != expected.base).float().mean() < 1e-3


def test_every_method_whose_work_can_be_shortened_has_a_fast_form() -> None:
    assert set(FAST) >= {"hsnet", "asnet", "asnet-hm"}
    for name in FAST:
        method = narrow(name, next(iter(method_info(name).tasks)), 1, 1)
        fast = fast_form(method)
        assert isinstance(fast, FastForm)
        assert isinstance(fast, type(method))
        assert not isinstance(method, FastForm)


@pytest.mark.parametrize(("name", "variant", "way", "shot"), PATHS)
@pytest.mark.usefixtures("threads_restored")
@torch.inference_mode()
def test_it_predicts_as_the_plain_form_on_every_path(
    name: str, variant: str, way: int, shot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = built(name, variant, way, shot)
    # Local attention is slow.
    sizes = SIZES if _first_of_its_task(name, variant) else SIZES[:2]
    queries, supports = episodes(plain, len(sizes))
    expected = [plain.predict(*episode) for episode in zip(queries, supports, sizes, strict=True)]
    if name in OPTIONS and not 0.01 < labelled(expected) < 0.99:
        centre(plain, name, expected[0].logits)
        expected = [plain.predict(*episode) for episode in zip(queries, supports, sizes, strict=True)]
    assert name not in OPTIONS or 0.01 < labelled(expected) < 0.99
    fast = fast_form(plain)
    shots: list[list[Prediction]] = [[] for _ in expected]
    if isinstance(plain, PairwiseMethod) and plain.task == "fss" and shot > 1:
        each = zip(queries, supports, sizes, strict=True)
        shots = [[plain.predict(query, [[one]], size) for one in way[0]] for query, way, size in each]

    queries, supports = episodes(fast, len(sizes))
    alone = [fast.predict(*episode) for episode in zip(queries, supports, sizes, strict=True)]
    for ours, one, by_shot in zip(alone, expected, shots, strict=True):
        assert_equal(ours, one, tolerance(name), by_shot)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        several = predict_calls([Call(fast, queries, supports, sizes)])[0]
        # On a processor it is the same to the last bit, however many episodes and threads there are.
        assert all(torch.equal(ours.logits, one.logits) for ours, one in zip(several, alone, strict=True))
        assert all(torch.equal(ours.labels, one.labels) for ours, one in zip(several, alone, strict=True))
    torch.set_num_threads(1)
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    for ours, one, by_shot in zip(fast.predict_many(queries, supports, sizes), expected, shots, strict=True):
        assert_equal(ours, one, tolerance(name), by_shot)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        pytest.param(name, variant, marks=marks_of(name, variant))
        for name in FAST
        for variant in method_info(name).tasks
    ],
)
@torch.inference_mode()
def test_under_autocast_it_is_as_near_to_float32_as_the_plain_form(name: str, variant: str) -> None:
    plain = built(name, variant, 1, 1)
    if name in OPTIONS:
        # What both logits share decides nothing, and is all that bfloat16 has digits for in a narrow method.
        without_offset(plain, predictions(plain, 1)[0].logits)
    fast = fast_form(plain)
    exact = predictions(plain, 2)
    with torch.autocast("cpu", torch.bfloat16):
        rough, ours = predictions(plain, 2), predictions(fast, 2)
    for found, coarse, reference in zip(ours, rough, exact, strict=True):
        assert found.logits.dtype == coarse.logits.dtype
        scale = reference.logits.abs().max()
        errors = [(of.logits.float() - reference.logits).abs().mean() / scale for of in (found, coarse)]
        # It keeps features in that precision, and rounds once more where it divides them by their length.
        assert 0 < errors[0] < errors[1] + 3 * BFLOAT16
        wrong = [(of.labels != reference.labels)[_decided(reference)].float().mean() for of in (found, coarse)]
        assert wrong[0] < wrong[1] + 0.02


def _decided(prediction: Prediction) -> Tensor:
    """Return the half of the pixels whose best two logits are furthest apart; rounding tosses for the others."""
    best = prediction.logits.topk(2, dim=0).values
    apart = best[0] - best[1]
    return apart >= apart.median()


@pytest.mark.parametrize(("name", "backbone"), BACKBONES)
@torch.inference_mode()
def test_it_predicts_as_the_plain_form_on_the_backbones_of_the_papers(name: str, backbone: str) -> None:
    plain = built(name, next(iter(method_info(name).tasks)), 1, 1, backbone)
    if name == "mmnet":  # a softmax over raw products, which with random weights blows up rounding
        plain = copy.deepcopy(plain).double()
    both = predictions(fast_form(plain), 2, 200), predictions(plain, 2, 200)
    for ours, expected in zip(*both, strict=True):
        assert_equal(ours, expected, tolerance(name))


@pytest.mark.parametrize("name", FAST)
def test_the_plain_method_stays_as_it_was(name: str) -> None:
    method = narrow(name, next(iter(method_info(name).tasks)), 1, 1)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    layout = {key: value.stride() for key, value in method.state_dict().items()}
    modules = dict(method.named_modules())
    learning = {key: parameter.requires_grad for key, parameter in method.named_parameters()}
    with torch.inference_mode():
        predictions(fast_form(method), 1)
    after = method.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert {key: value.stride() for key, value in after.items()} == layout
    assert dict(method.named_modules()) == modules
    assert {key: parameter.requires_grad for key, parameter in method.named_parameters()} == learning


@pytest.mark.parametrize("name", FAST)
def test_segment_takes_the_form_it_is_called_on(name: str) -> None:
    method = narrow(name, next(iter(method_info(name).tasks)), 1, 1)
    images, masks = images_and_masks(6)
    plain, fast = (form.segment(images[0], images[None, 5:], masks[None, 5:]) for form in (method, fast_form(method)))
    assert_equal(fast, plain, tolerance(name))


def test_a_subclass_or_a_method_made_by_hand_has_no_fast_form() -> None:
    method = narrow("hsnet", "fss", 1, 1)
    assert fast_form(fast_form(method)) is not method

    class Own(type(method)):  # type: ignore[misc]
        pass

    method.__class__ = Own
    assert fast_form(method) is method
    method.__class__ = Own.__base__
    method.built = None
    assert fast_form(method) is method
