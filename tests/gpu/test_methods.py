"""On a graphics card every method stays on the card and predicts what it predicts on the processor."""

from __future__ import annotations

import copy
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine import compiled_heads
from fssbench.engine.compiled_heads import compiled_head
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method, Prediction
from fssbench.methods.catalogue import method_info
from fssbench.planning.settings import Precision, Settings
from fssbench.training.episodic import training_mode
from tests.engine.test_compiled_heads import HEADS
from tests.golden import test_golden as golden
from tests.methods.narrow import OPTIONS, narrow
from tests.methods.test_devices import LOOKS_AT_NOTHING, SIZE, batch, forms, moved, trained

pytestmark = pytest.mark.gpu

CAST: dict[Precision, float] = {"tf32": 2.0**-8, "bfloat16": 2.0**-3, "float16": 2.0**-6}
"""Of each lower precision how far logits may be from float32, in parts of the largest: roundings add up over layers."""


def predicted(method: Method[Any, Any], device: torch.device, way: int, shot: int) -> list[Prediction]:
    """Return the predictions of two episodes in one call, computed on a device."""
    given = moved(batch(way, shot), device)
    queries = [method.prepare_query(method.encode(query[None])) for query in given.query]
    supports = [
        [[method.condition(method.encode(images[k, None]), masks[k, None]) for k in range(shot)]
         for images, masks in zip(ways, way_masks, strict=True)]
        for ways, way_masks in zip(given.supports, given.support_masks, strict=True)
    ]  # fmt: skip
    return method.predict_many(queries, supports, [SIZE, SIZE])


def assert_close(found: Tensor, expected: Tensor, share: float) -> None:
    """Hold logits against others, which may differ by a share of the largest."""
    torch.testing.assert_close(found.cpu().float(), expected, atol=share * float(expected.abs().max()), rtol=0.0)


def episode_shape(name: str, variant: str) -> tuple[int, int]:
    return (2, 1) if method_info(name).tasks[variant] == "fscs" else (1, 2)


@pytest.mark.parametrize(("name", "variant", "form"), forms())
def test_it_predicts_on_the_card_what_it_predicts_on_the_processor(
    name: str, variant: str, form: str, card: torch.device
) -> None:
    way, shot = episode_shape(name, variant)
    method = narrow(name, variant, way, shot)
    there = copy.deepcopy(method).to(card)
    with torch.inference_mode():
        expected = predicted(method, torch.device("cpu"), way, shot)
        found = predicted(fast_form(there) if form == "fast" else there, card, way, shot)
    for prediction, reference in zip(found, expected, strict=True):
        devices = {tensor.device for tensor in (prediction.logits, prediction.labels, prediction.present)}
        assert devices == {torch.device("cpu") if name in LOOKS_AT_NOTHING else card}
        assert_close(prediction.logits, reference.logits, 1e-4)
        assert (prediction.labels.cpu() != reference.labels).float().mean() <= 1e-3
        assert prediction.present.tolist() == reference.present.tolist()


# An error of the compiler is a warning, and so would be its warnings here.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", HEADS)
def test_compiled_heads_predict_what_others_do(name: str, card: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    variant = next(iter(method_info(name).tasks))
    form = fast_form(narrow(name, variant, *episode_shape(name, variant)).to(card))
    compiled = compiled_head(form)
    with torch.inference_mode():
        expected = predicted(form, card, *episode_shape(name, variant))
        # At the second call a shape is compiled, at the next ones a CUDA graph is recorded and replayed.
        found = [predicted(compiled, card, *episode_shape(name, variant)) for _ in range(5)]
    warned = [record.getMessage() for record in caplog.records if record.name == compiled_heads.__name__]
    assert not warned, "nothing was compiled"
    # The earlier ones, too: what a CUDA graph returns is overwritten by its next call.
    for prediction, reference in zip(chain(*found), expected * len(found), strict=True):
        assert_close(prediction.logits, reference.logits.cpu(), 1e-4)
        assert (prediction.labels != reference.labels).float().mean() <= 1e-3


@pytest.mark.parametrize("path", golden.CASES, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", ["plain", "fast"])
def test_the_golden_cases_hold_on_the_card(path: Path, form: str, card: torch.device) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    method = golden.built(case).to(card)
    predicts = fast_form(method) if form == "fast" else method
    query, images, masks = (tensor.to(card) for tensor in golden.inputs(case))
    found = predicts.segment(query, images, masks, size=tuple(case["size"]), class_names=case.get("class_names"))
    assert int((found.labels.cpu().numpy() != golden._labels(case)).sum()) <= case["differing_pixels"]
    if case["present"] is not None:
        assert found.present.tolist() == case["present"]
    if "scores" in case and not case["shots_apart"]:
        golden.assert_close(found.logits.cpu(), case["scores"], case["tolerance"])


@pytest.mark.parametrize("precision", CAST)
@pytest.mark.parametrize(
    "name", ["hsnet", "asnet", "pfenet", "bam", "ntrenet", "mmt", "asgnet", "mmnet", "panet", "prototype"]
)
def test_lower_precisions_stay_near(name: str, precision: Precision, card: torch.device) -> None:
    variant = next(iter(method_info(name).tasks))
    way, shot = episode_shape(name, variant)
    method = narrow(name, variant, way, shot)
    there = fast_form(copy.deepcopy(method).to(card))
    with torch.inference_mode():
        expected = predicted(method, torch.device("cpu"), way, shot)
        with Settings(precision=precision).autocast(card):
            assert torch.backends.cuda.matmul.allow_tf32
            assert torch.is_autocast_enabled("cuda") == (precision != "tf32")
            found = predicted(there, card, way, shot)
    for prediction, reference in zip(found, expected, strict=True):
        assert bool(prediction.logits.isfinite().all())
        assert_close(prediction.logits, reference.logits, CAST[precision])


def test_float32_is_float32_on_the_card(card: torch.device) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    left = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    with Settings().autocast(card):
        assert not torch.backends.cudnn.allow_tf32
        product = left.to(card) @ left.to(card)
    exact = left.double() @ left.double()
    torch.testing.assert_close(product.cpu().double(), exact, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize(("name", "variant", "stage"), trained())
def test_it_learns_on_the_card(name: str, variant: str, stage: str, card: torch.device) -> None:
    way, shot = (2, 1) if method_info(name).tasks[variant] == "fscs" else (1, 1)
    torch.manual_seed(0)
    method = fssbench.build(name, "small", variant, way, shot, **OPTIONS.get(name, {})).to(card)
    method.enter_training_stage(stage)
    training_mode(method, "method")
    losses = method.losses(moved(batch(way, shot), card))
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    assert gradients
    assert {tensor.device for tensor in (*losses.values(), *gradients)} == {card}
    assert all(bool(tensor.isfinite().all()) for tensor in (*losses.values(), *gradients))
