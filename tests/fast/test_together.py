"""Several episodes in one call: each prediction is equal to that of the episode alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.fast import correlation, pairwise
from fssbench.fast.form import fast_form
from fssbench.fast.pairwise import FastPairwise
from fssbench.fast.pytree import split_batch
from fssbench.layers import devices
from fssbench.methods.base.method import Method, Prediction
from fssbench.methods.base.staged import StagedMethod
from fssbench.methods.catalogue import method_info
from tests.methods.forms import marks_of
from tests.methods.narrow import SIDE, narrow

EPISODES = 5
# With two shots the first form of each task; the ablations' other forms merge shots as these do.
CASES = [
    pytest.param(name, variant, shot, marks=marks_of(name, variant))
    for name in fssbench.list_methods()
    for variant, task in method_info(name).tasks.items()
    for shot in (1, 2)
    if shot == 1 or list(method_info(name).tasks.values()).index(task) == list(method_info(name).tasks).index(variant)
]
FLOORS = ("all-foreground", "nothing", "copy-mask", "prototype")
Asked = tuple[list[Any], list[list[list[Any]]], list[tuple[int, int]]]


def _build(name: str, variant: str, shot: int) -> Method[Any, Any]:
    return fast_form(narrow(name, variant, 2 if variant.startswith("fscs") else 1, shot))


def _images(count: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Images and masks: of all, of little, of nothing, and of squares that differ in size."""
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(3))
    masks = torch.zeros(count, side, side, dtype=torch.uint8)
    for n in range(3, count):
        masks[n, 20 : 40 + 15 * n, 10 * n : 10 * n + 60] = 1
    masks[0] = 1
    masks[1, 70:75, 30:40] = 1
    return images, masks


def _arguments(method: Method[Any, Any], *, ready: bool = True) -> Asked:
    """Queries, supports and sizes of some episodes, as an engine keeps them."""
    images, masks = _images(6)
    maps = (
        split_batch(method.encode(images), len(images))
        if method_info(_name(method)).backbones
        else [None] * len(images)
    )
    kept = [method.condition(part, mask[None]) for part, mask in zip(maps, masks, strict=True)]
    queries = [method.prepare_query(maps[n % 6]) if ready else maps[n % 6] for n in range(EPISODES)]
    supports = [
        [[kept[(n + 2 * way + 3 * shot) % 6] for shot in range(method.shot)] for way in range(method.way)]
        for n in range(EPISODES)
    ]
    return queries, supports, [(40 + 3 * n, 61 - 2 * n) for n in range(EPISODES)]


def _name(method: Method[Any, Any]) -> str:
    assert method.built is not None
    return method.built.name


def _in_batches(method: Method[Any, Any], arguments: Asked, batch: int) -> list[Prediction]:
    predictions: list[Prediction] = []
    for start in range(0, len(arguments[0]), batch):
        predictions += method.predict_many(*(part[start : start + batch] for part in arguments))
    return predictions


@pytest.fixture
def jointly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device takes several episodes together."""
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())


def _assert_close(prediction: Prediction, expected: Prediction, within: float = 1e-5) -> None:
    assert prediction.labels.shape == expected.labels.shape
    scale = expected.logits.abs().max().item()
    torch.testing.assert_close(prediction.logits, expected.logits, atol=within * scale, rtol=within)
    # Two scores of one pixel may be equal but for their last digit.
    assert (prediction.labels != expected.labels).sum() <= 1
    assert torch.equal(prediction.present, expected.present)
    assert (prediction.base is None) == (expected.base is None)
    if prediction.base is not None and expected.base is not None:
        assert torch.equal(prediction.base, expected.base)


@pytest.mark.parametrize(("name", "variant", "shot"), CASES)
@torch.inference_mode()
def test_answers_do_not_depend_on_the_batch_size(
    name: str, variant: str, shot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = _build(name, variant, shot)
    # Those without training take the longest for an episode, and have no way of their own to take several.
    count = EPISODES if method_info(name).trainable else 3
    queries, supports, shapes = _arguments(method)
    arguments = queries[:count], supports[:count], shapes[:count]
    alone = _in_batches(method, arguments, 1)
    labelled = torch.cat([prediction.labels.flatten() for prediction in alone]).float()
    # Of random weights a method without training makes little of one class, but some.
    least = 0.01 if method_info(name).trainable else 0.0
    assert name in FLOORS or least < (labelled > 0).float().mean() < 1 - least
    for prediction, expected in zip(_in_batches(method, arguments, 2), alone, strict=True):
        # On a processor to the last bit.
        assert torch.equal(prediction.logits, expected.logits)
        assert torch.equal(prediction.labels, expected.labels)
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    jointly = _in_batches(method, arguments, EPISODES)
    # Where a mask leaves little of an image both ways are 1e-5 from float64, not on the same side: of a pair's score,
    # and of SCCAN's, whose weights of a small object's tokens are (2e-5 alone, 4e-6 together).
    within = 4e-5 if isinstance(method, FastPairwise) or name == "sccan" else 1e-5
    for prediction, expected in zip(jointly, alone, strict=True):
        _assert_close(prediction, expected, within)
    fewer = tuple(part[: count - 1] for part in arguments)
    for prediction, expected in zip(_in_batches(method, fewer, 3), jointly, strict=False):
        _assert_close(prediction, expected)
    _assert_close(method.predict(*(part[0] for part in arguments)), jointly[0])


@pytest.mark.parametrize("name", ["pfenet", "bam", "hsnet", "asnet", "panet"])
@pytest.mark.usefixtures("jointly")
def test_maps_that_were_not_made_ready_are_taken_together_too(name: str) -> None:
    method = _build(name, next(iter(method_info(name).tasks)), 2)
    with torch.inference_mode():
        arguments = _arguments(method, ready=False)
        alone = [method.predict(*one) for one in zip(*arguments, strict=True)]
        for prediction, expected in zip(_in_batches(method, arguments, EPISODES), alone, strict=True):
            _assert_close(prediction, expected)


@pytest.mark.parametrize("name", ["pfenet", "ntrenet", "bam", "asgnet", "mmt"])
@torch.inference_mode()
def test_a_head_runs_once_for_all_episodes_or_on_a_processor_once_for_each(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = _build(name, next(iter(method_info(name).tasks)), 2)
    assert isinstance(method, StagedMethod)
    batches: list[int] = []
    predict_batch = method.predict_batch
    monkeypatch.setattr(
        method, "predict_batch", lambda *batch: (batches.append(len(batch[2])), predict_batch(*batch))[1]
    )
    arguments = _arguments(method)
    method.predict_many(*arguments)
    assert batches == [1] * EPISODES
    batches.clear()
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    method.predict_many(*arguments)
    assert batches == [EPISODES]


@pytest.mark.parametrize(("name", "variant"), [("hsnet", "fss"), ("hsnet", "fscs"), ("asnet", "fscs")])
@torch.inference_mode()
def test_pairs_are_scored_as_many_at_once_as_have_room(
    name: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = _build(name, variant, 2)
    assert isinstance(method, FastPairwise)
    arguments, pairs = _arguments(method), EPISODES * method.way * 2
    sizes: list[int] = []
    score = method.score

    def counted(query: Any, support: Any) -> Tensor:
        logits = score(query, support)
        sizes.append(len(logits))
        return logits

    monkeypatch.setattr(method, "score", counted)
    alone = method.predict_many(*arguments)
    assert sizes == [1] * pairs
    monkeypatch.setattr(devices, "SERIAL_ON", frozenset())
    sizes.clear()
    method.predict_many(*arguments)
    assert sizes == [pairs]
    sizes.clear()
    monkeypatch.setattr(pairwise, "PAIR_BYTES", 3 * method.peak * correlation.correlation_bytes(arguments[0][0]))
    bounded = method.predict_many(*arguments)
    assert sizes == [3] * (pairs // 3) + [pairs % 3]
    for prediction, expected in zip(bounded, alone, strict=True):
        _assert_close(prediction, expected, 4e-5)


@pytest.mark.parametrize("name", ["pfenet", "hsnet", "panet"])
@pytest.mark.usefixtures("jointly")
@torch.inference_mode()
def test_episodes_of_other_shapes_are_answered_apart(name: str) -> None:
    method = _build(name, next(iter(method_info(name).tasks)), 1)
    queries, supports = [], []
    for side in (144, 192, 144):
        images, masks = _images(4, side)
        queries.append(method.prepare_query(method.encode(images[:1])))
        supports.append([[method.condition(method.encode(images[3:]), masks[3:])]])
    sizes = [(30, 40)] * 3
    predictions = method.predict_many(queries, supports, sizes)
    for prediction, *one in zip(predictions, queries, supports, sizes, strict=True):
        _assert_close(prediction, method.predict(*one))


@pytest.mark.parametrize("name", ["pfenet", "hsnet", "panet"])
def test_no_episode_is_no_answer(name: str) -> None:
    assert _build(name, next(iter(method_info(name).tasks)), 1).predict_many([], [], []) == []


def test_memory_of_a_pair_and_how_many_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = (torch.zeros(2, 5, 3, 4), torch.zeros(2, 7, 2, 2))
    assert correlation.correlation_bytes(correlation.unit_maps(maps)) == 4 * (12 * 12 + 4 * 4)
    monkeypatch.setattr(pairwise, "PAIR_BYTES", 1000)
    assert [pairwise.pairs_at_once(each) for each in (0, 100, 501, 1001)] == [1000, 10, 1, 1]


@pytest.mark.parametrize("name", ["hsnet", "pfenet", "panet"])
def test_a_subclass_that_predicts_in_its_own_way_is_asked_episode_by_episode(name: str) -> None:
    method = narrow(name, "fss", 1, 1)
    plain = type(method)

    class Inverted(plain):  # type: ignore[misc, valid-type]
        def predict(self, query: Any, supports: Any, size: tuple[int, int]) -> Prediction:
            prediction = super().predict(query, supports, size)
            return Prediction(-prediction.logits, 1 - prediction.labels, prediction.present)

    with torch.inference_mode():
        arguments = _arguments(method)
        expected = [1 - prediction.labels for prediction in method.predict_many(*arguments)]
        method.__class__ = Inverted
        assert fast_form(method) is method
        for mine, prediction in zip(expected, method.predict_many(*arguments), strict=True):
            assert torch.equal(mine, prediction.labels)
