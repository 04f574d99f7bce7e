"""SCL: what is covered and what is missed, the scores of shots, and the two baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.scl import SCL, covered_and_missed
from fssbench.methods.scl_decoders import OnPFENet
from tests.methods.narrow import narrow

SIDE = 96


def _shots(variant: str) -> tuple[SCL, list[Any]]:
    method = narrow("scl", variant, 1, 2)
    assert isinstance(method, SCL)
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    mask[:, 20:70, 30:80] = 1
    mask[:, 66:72] = 255
    with torch.inference_mode():
        return method, [method.condition(method.encode(image[None]), mask) for image in images]


def _logits(foreground: list[bool]) -> Tensor:
    is_foreground = torch.tensor(foreground, dtype=torch.float32).view(1, 1, 1, -1)
    return torch.cat([1 - is_foreground, is_foreground], dim=1)


@pytest.mark.parametrize(("cut", "covered", "missed"), [(False, [0], [1]), (True, [0], [1, 2])])
def test_a_position_at_the_edge_is_in_neither_part_or_with_canet_in_the_missed_one(
    cut: bool, covered: list[int], missed: list[int]
) -> None:
    features = torch.tensor([1.0, 10.0, 100.0, 1000.0]).view(1, 1, 1, 4)
    inside = torch.tensor([1.0, 1.0, 0.5, 0.0]).view(1, 1, 1, 4)
    logits = _logits([True, False, True, True])
    found = covered_and_missed(features, inside, logits, cut=cut)
    for mean, places in zip(found, (covered, missed), strict=True):
        assert mean.item() == pytest.approx(features.flatten()[places].sum().item() / (len(places) + 0.0005))


def test_of_what_is_not_there_the_vector_is_zero() -> None:
    features, inside = torch.ones(1, 3, 1, 2), torch.ones(1, 1, 1, 2)
    covered, missed = covered_and_missed(features, inside, _logits([True, True]), cut=False)
    assert not missed.any()
    assert covered.flatten().tolist() == pytest.approx([2 / 2.0005] * 3)


@pytest.mark.parametrize("variant", ["pfenet", "canet"])
def test_a_score_is_the_mean_agreement_with_all_supports(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, shots = _shots(variant)
    agreement = {(0, 0): 0.9, (0, 1): 0.3, (1, 0): 0.2, (1, 1): 0.4}

    def known(shot: object, other: object) -> Tensor:
        return torch.tensor([agreement[shots.index(shot), shots.index(other)]])

    monkeypatch.setattr(method, "_agreement", known)
    assert [its.item() for its in method.cross_guided(shots)] == pytest.approx([0.6, 0.3])
    assert [its.item() for its in method.cross_guided(shots[:1])] == [1.0], "a single shot has no score"


@pytest.mark.parametrize(("variant", "expected"), [("pfenet", None), ("canet", 0.0)])
@torch.inference_mode()
def test_agreement_is_the_iou_at_the_size_of_the_mask(variant: str, expected: float | None) -> None:
    method, (first, second) = _shots(variant)
    logits = method.guide(second.features, (first.primary, first.auxiliary), second.maps).logits
    resized = torch.nn.functional.interpolate(logits, (SIDE, SIDE), mode="bilinear", align_corners=variant == "pfenet")
    predicted, truth = resized[:, 1] > resized[:, 0], second.mask == 1
    counted = second.mask != 255 if variant == "pfenet" else torch.ones_like(truth)
    ious = [
        (((one & other) & counted).sum() / ((one | other) & counted).sum()).item()
        for one, other in ((predicted, truth), (~predicted, ~truth))
    ]
    wanted = sum(ious) / 2 if variant == "pfenet" else ious[0]
    assert method._agreement(first, second).item() == pytest.approx(wanted, abs=1e-6)
    # Nothing predicted and nothing there: right with PFENet's mean of both classes, 0 with CANet as released.
    empty = replace(second, mask=torch.zeros_like(second.mask))
    bias = torch.tensor([1e4, -1e4])
    (method.get_submodule("cls.3") if variant == "pfenet" else method.get_submodule("FPM_Decoder.layer9")).bias.copy_(
        bias
    )
    assert method._agreement(first, empty).item() == (1.0 if expected is None else expected)


@torch.inference_mode()
def test_a_second_prediction_reads_the_finer_maps_of_the_first() -> None:
    torch.manual_seed(0)
    baseline = OnPFENet(6, 4, "fractions").eval()
    features, vectors = torch.rand(1, 4, 8, 8), (torch.rand(1, 4, 1, 1), torch.rand(1, 4, 1, 1))
    first = baseline.guide(features, (vectors[0], vectors[0]))
    again = baseline.guide(features, vectors, first.maps)
    alone = baseline.guide(features, vectors)
    assert torch.equal(again.maps[0], alone.maps[0]), "the finest scale has no finer one"
    assert not torch.equal(again.maps[1], alone.maps[1])


def test_the_vectors_teach_the_support_features() -> None:
    features = torch.rand(1, 8, 12, 12, requires_grad=True)
    covered, missed = covered_and_missed(features, torch.ones(1, 1, 12, 12), torch.rand(1, 2, 12, 12), cut=True)
    (covered.sum() + missed.sum()).backward()
    assert features.grad is not None
    assert features.grad.abs().min() > 0


def test_options_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="bins"):
        fssbench.build("scl", "small", "canet", bins="fractions")
    with pytest.raises(UsageError, match="0"):
        fssbench.build("scl", "small", "canet", passes=0)
    with pytest.raises(UsageError, match="resnet101"):
        fssbench.build("scl", "resnet101", "canet")


def test_parameters_that_training_moves() -> None:
    assert fssbench.build("scl", "resnet50", "canet").learnable_parameters == 12_264_450
