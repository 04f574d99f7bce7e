"""Methods share what they encode only if it is the same, whatever else than the encoder's weights decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.engine.features.jobs import FoldJob, same_parts
from fssbench.engine.features.store import taken_apart
from fssbench.engine.features.stored_encoder import encoder_key
from fssbench.engine.order import order_of_work
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import method_info
from tests.engine.features.test_features import ALL, CPU
from tests.engine.stub import questions, rules
from tests.methods.narrow import OPTIONS, SIDE


def with_options(name: str, options: dict[str, Any]) -> Method[Any, Any]:
    torch.manual_seed(0)
    return fssbench.build(name, method_info(name).small_backbone_for(), **options)


def with_one_encoder(name: str) -> tuple[Method[Any, Any], Method[Any, Any], nn.Module]:
    """Return a method as narrow as it can be and as it is by default, and the encoder of the first."""
    methods = [with_options(name, options) for options in (OPTIONS[name], {})]
    encoders = [method.shared_encoder for method in methods]
    assert encoders[0] is not None
    assert encoders[1] is not None
    encoders[1].load_state_dict(encoders[0].state_dict())
    return methods[0].eval(), methods[1].eval(), encoders[0]


def tensors_of(features: object) -> list[Tensor]:
    found = taken_apart(features)
    assert found is not None
    return found[1]


SHARING = [name for name in OPTIONS if method_info(name).trainable and with_options(name, OPTIONS[name]).shared_encoder]


def test_more_than_a_few_share() -> None:
    assert len(SHARING) > 15


@pytest.mark.parametrize("name", SHARING)
@torch.inference_mode()
def test_other_options_encode_the_same_unless_the_method_says_so(name: str) -> None:
    narrow, usual, _ = with_one_encoder(name)
    image = torch.randn(1, 3, SIDE, SIDE)
    for forms in ((narrow, usual), (fast_form(narrow), fast_form(usual))):
        one, other = (tensors_of(form.encode(image)) for form in forms)
        same = len(one) == len(other) > 0 and all(map(torch.equal, one, other))
        assert same == (narrow.encoded_with == usual.encoded_with)


def test_the_sides_of_vat_tell_its_features_apart() -> None:
    narrow, _, encoder = with_one_encoder("vat")
    wider = with_options("vat", {**OPTIONS["vat"], "side": 128})
    assert wider.shared_encoder is not None
    wider.shared_encoder.load_state_dict(encoder.state_dict())
    episodes, small = questions(count=2), replace(rules(), input=(96, 96))
    jobs = [FoldJob(method.eval(), episodes, small, order_of_work(episodes)) for method in (narrow, wider)]
    assert same_parts(jobs).encoders == [0, 1]
    assert same_parts([jobs[0]] * 2).encoders == [0, 0]
    keys = {encoder_key(method, ALL, CPU) for method in (narrow, wider)}
    assert len(keys) == 2
    assert None not in keys


@pytest.mark.parametrize(("name", "producers"), [("dcama", [0, 1]), ("pfenet", [0, 0])])
def test_supports_of_one_and_five_shots_are_shared_unless_the_method_says_so(name: str, producers: list[int]) -> None:
    one, five = (fast_form(with_options(name, {**OPTIONS[name], "shot": shot})) for shot in (1, 5))
    episodes, small = questions(count=2), replace(rules(), input=(96, 96))
    jobs = [FoldJob(method, episodes, small, order_of_work(episodes)) for method in (one, five)]
    assert same_parts(jobs).producers == producers
    assert same_parts(jobs).encoders == [0, 0]
