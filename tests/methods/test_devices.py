"""Every method stays on its device: a second device is simulated, so that no graphics card is needed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine.loop import rows_of
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method, TrainingBatch
from fssbench.methods.catalogue import REGISTRY, method_info
from fssbench.training.episodic import training_mode
from tests.engine.stub import NearestColour, Patches, questions, rules
from tests.methods.forms import marks_of
from tests.methods.narrow import OPTIONS, SIDE, narrow
from tests.second_device import SECOND, OnSecond, second_device

AnyMethod = Method[Any, Any]
SIZE = (100, 90)
LOOKS_AT_NOTHING = {"all-foreground", "nothing"}
"""A method without tensors can't know on which device to predict."""


def forms() -> list[Any]:
    """Return every variant of every method, plain and fast."""
    found = []
    for name in fssbench.list_methods():
        info = method_info(name)
        for variant in info.tasks:
            marks = marks_of(name, variant)
            made = ("plain", "fast") if info.fast else ("plain",)
            found += [pytest.param(name, variant, form, marks=marks, id=f"{name}-{variant}-{form}") for form in made]
    return found


def trained() -> list[Any]:
    """Return every variant of every method that is trained, stage by stage."""
    found = []
    for name in fssbench.list_methods():
        info = method_info(name)
        for variant in info.tasks if info.trainable else ():
            marks = marks_of(name, variant)
            stages = REGISTRY.get(name).training_stages
            found += [
                pytest.param(name, variant, stage, marks=marks, id=f"{name}-{variant}{stage and f'-{stage}'}")
                for stage in stages
            ]
    return found


def batch(way: int, shot: int) -> TrainingBatch:
    """Return two training episodes in which the query shows the first class, the second base class of the fold."""
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    mask[30:90, 40:110] = 1
    mask[:4] = 255
    return TrainingBatch(
        query=torch.randn(2, 3, SIDE, SIDE, generator=generator),
        query_masks=mask.expand(2, way, SIDE, SIDE).clone(),
        supports=torch.randn(2, way, shot, 3, SIDE, SIDE, generator=generator),
        support_masks=mask.expand(2, way, shot, SIDE, SIDE).clone(),
        classes=torch.tensor([[1, 2][:way]] * 2),
        query_labels=torch.where(mask == 1, 2, mask).to(torch.uint8).expand(2, SIDE, SIDE).clone(),
    )


def moved(training_batch: TrainingBatch, device: torch.device) -> TrainingBatch:
    tensors: dict[str, Any] = {
        key: value.to(device) for key, value in vars(training_batch).items() if isinstance(value, Tensor)
    }
    return replace(training_batch, **tensors)


def test_what_is_on_two_devices_is_refused() -> None:
    with second_device() as device:
        there, here = torch.ones(3).to(device), torch.ones(3)
        assert there.device == torch.zeros(2, device=there.device).device == SECOND
        mistakes: list[Callable[[], Tensor]] = [
            lambda: there + here,
            lambda: torch.cat([there, here]),
            lambda: here[there > 0],
            lambda: here.add_(there),
        ]
        for mistake in mistakes:
            with pytest.raises(RuntimeError, match="of two devices"):
                mistake()
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        made = [there.new_tensor([1.0]), torch.tensor([1.0], device=there.device), torch.zeros_like(there)]
        assert all(isinstance(tensor, OnSecond) for tensor in made)
        # What a card takes: a number, an index from the processor, and what is fetched first.
        assert (there + torch.tensor(2.0))[torch.tensor([0, 2])].tolist() == [3.0, 3.0]
        assert there.cpu().numpy().tolist() == [1.0, 1.0, 1.0]
        assert bool(there.sum() > 2)


@pytest.mark.parametrize(("name", "variant", "form"), forms())
def test_it_predicts_where_it_is(name: str, variant: str, form: str) -> None:
    way, shot = (2, 1) if method_info(name).tasks[variant] == "fscs" else (1, 2)
    method, training_batch = narrow(name, variant, way, shot), batch(way, shot)
    expected = [
        method.segment(query, images, masks, SIZE)
        for query, images, masks in zip(
            training_batch.query, training_batch.supports, training_batch.support_masks, strict=True
        )
    ]
    with second_device() as device:
        there = copy.deepcopy(method).to(device)
        sent = moved(training_batch, device)
        predicts = fast_form(there) if form == "fast" else there
        with torch.inference_mode():
            queries = [predicts.prepare_query(predicts.encode(query[None])) for query in sent.query]
            supports = [
                [[predicts.condition(predicts.encode(images[k, None]), masks[k, None]) for k in range(shot)]
                 for images, masks in zip(ways, way_masks, strict=True)]
                for ways, way_masks in zip(sent.supports, sent.support_masks, strict=True)
            ]  # fmt: skip
            several = predicts.predict_many(queries, supports, [SIZE, SIZE])
            alone = predicts.predict(queries[0], supports[0], SIZE)
    for prediction, reference in zip([*several, alone], [*expected, expected[0]], strict=True):
        devices = {tensor.device for tensor in (prediction.logits, prediction.labels, prediction.present)}
        assert devices == {torch.device("cpu") if name in LOOKS_AT_NOTHING else SECOND}
        torch.testing.assert_close(prediction.logits.cpu(), reference.logits, atol=2e-6, rtol=1e-5)
        # Where the two best logits tie, the last digit decides; of shots that are decided alone only the mean is known.
        apart = (prediction.logits.cpu() - reference.logits).abs().max()
        best = reference.logits.topk(2, dim=0).values
        differing, tied = prediction.labels.cpu() != reference.labels, best[0] - best[1] <= 2 * apart
        assert int(differing.sum()) <= 2 or (shot == 1 and not (differing & ~tied).any())
        assert differing.float().mean() < 2e-3
        assert prediction.present.tolist() == reference.present.tolist()


@pytest.mark.parametrize(("name", "variant", "stage"), trained())
def test_it_learns_where_it_is(name: str, variant: str, stage: str) -> None:
    way, shot = (2, 1) if method_info(name).tasks[variant] == "fscs" else (1, 1)
    torch.manual_seed(0)
    method = fssbench.build(name, "small", variant, way, shot, **OPTIONS.get(name, {}))
    found = []
    for device in (torch.device("cpu"), SECOND):
        with second_device():
            learner = copy.deepcopy(method).to(device)
            learner.enter_training_stage(stage)
            training_mode(learner, "method")
            torch.manual_seed(1)
            losses = learner.losses(moved(batch(way, shot), device))
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
            grads = {key: own.grad for key, own in learner.named_parameters() if own.grad is not None}
            assert {value.device for value in (*losses.values(), *grads.values())} == {device}
            found.append({key: value.detach().cpu() for key, value in (*losses.items(), *grads.items())})
    here, there = found
    assert here.keys() == there.keys()
    for key, value in here.items():
        torch.testing.assert_close(there[key], value, atol=1e-4, rtol=1e-3, msg=key)


def test_the_loop_computes_on_its_device() -> None:
    episodes, numbers = questions(way=2, shot=2, count=6), range(6)
    rows = []
    for device in (torch.device("cpu"), SECOND):
        with second_device():
            method = NearestColour(way=2, shot=2).to(device).eval()
            found = rows_of(method, Patches(), episodes, rules("ifsl-fscs"), numbers, device)
            rows.append([replace(row, seconds=0.0) for row in found])
    assert rows[0] == rows[1]
