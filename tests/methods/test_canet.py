"""CANet: how shots are joined, what a pass starts from, scales, and its size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import torch

import fssbench
from fssbench.backbones.staged import staged
from fssbench.errors import UsageError
from fssbench.methods.base.method import Method
from fssbench.methods.canet import CANet, earlier, refine
from fssbench.results import Run
from fssbench.results.method_record import MethodRecord
from fssbench.tables.measured import measured_variant

SIDE = 72


def _built(**options: object) -> CANet:
    torch.manual_seed(0)
    method: Method[object, object] = fssbench.build("canet", "small", width=8, **options)
    assert isinstance(method, CANet)
    return method


def _features(count: int) -> torch.Tensor:
    return torch.rand(count, 8, 9, 9, generator=torch.Generator().manual_seed(1))


def test_parameters_as_the_paper_counts_them() -> None:
    method = fssbench.build("canet")
    assert method.learnable_parameters == 10_494_466
    # PFENet's paper prints 19.0 M for CANet: with the backbone.
    assert sum(its.numel() for its in method.parameters()) == 19_037_762


def test_the_backbone_has_its_stride_where_caffe_has_it() -> None:
    stages = staged("resnet50", stem="caffe")
    first = stages.get_submodule("layer2.0")
    assert (first.conv1.stride, first.conv2.stride) == ((2, 2), (1, 1))
    with torch.no_grad():
        layer2, layer3 = stages.shallow(torch.zeros(1, 3, 64, 66))
    assert (layer2.shape[-2:], layer3.shape[-2:]) == ((9, 9), (9, 9)), "the pool rounds up"
    with pytest.raises(TypeError, match="layer3"):
        stages.deep(layer3)


def test_one_scale_is_not_held_against_what_is_printed_of_several() -> None:
    def run(name: str, variant: str) -> Run:
        return cast(
            "Run",
            SimpleNamespace(
                method=MethodRecord(name, variant, "resnet50", "fss"), dataset=SimpleNamespace(name="pascal5i")
            ),
        )

    assert measured_variant(run("canet", "fss")) == "fss"
    # SCL's printed rows are those on PFENet.
    assert (measured_variant(run("scl", "pfenet")), measured_variant(run("scl", "canet"))) == ("", "canet")


@torch.inference_mode()
def test_comparison_features_of_shots_are_averaged() -> None:
    method = _built(shot=2)
    query, prototypes = _features(1), [torch.rand(1, 8, 1, 1), torch.rand(1, 8, 1, 1)]
    each = [method.compare(query, [one]) for one in prototypes]
    torch.testing.assert_close(method.compare(query, prototypes), (each[0] + each[1]) / 2)


def test_the_attention_branch_weighs_shots_and_learns_from_several() -> None:
    method = _built(shot=2, attention=True)
    query, prototypes = _features(1), [torch.rand(1, 8, 1, 1), torch.rand(1, 8, 1, 1)]
    compared = method.compare(query, prototypes)
    assert method.attention is not None
    scores = torch.cat([method.attention(torch.cat([query, its.expand_as(query)], dim=1)) for its in prototypes])
    first, second = scores.softmax(dim=0)
    assert first.item() != second.item()
    expected = first * method.compare(query, prototypes[:1]) + second * method.compare(query, prototypes[1:])
    torch.testing.assert_close(compared, expected)
    compared.sum().backward()
    assert all(its.grad is not None and its.grad.abs().sum() > 0 for its in list(method.attention.parameters())[:1])


def test_each_pass_starts_from_the_probabilities_of_the_last() -> None:
    seen: list[torch.Tensor] = []

    def head(before: torch.Tensor) -> torch.Tensor:
        seen.append(before)
        return before + torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)

    start = torch.zeros(1, 2, 1, 1)
    logits = refine([head], start, (4, 4), 3)
    assert torch.equal(seen[0], start)
    assert torch.equal(seen[1], (start + torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)).softmax(dim=1))
    assert len(seen) == 3
    # Scales are summed at the size of the images.
    assert torch.equal(
        refine([head, head], start, (4, 4), 1), 2 * logits.new_tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    )
    with pytest.raises(UsageError, match="0"):
        _built(passes=0)


def test_how_often_training_starts_from_an_earlier_prediction() -> None:
    start = torch.zeros(2000, 2, 1, 1)
    torch.manual_seed(0)
    begun = earlier(lambda before: before + 1.0, start, 0.7)
    assert (begun.sum(dim=1) > 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(earlier(lambda before: before + 1.0, start, 1.0), start)
    assert torch.equal(earlier(lambda before: before + 1.0, start, 0.0), start + 0.5)


@torch.inference_mode()
def test_several_scales_are_encoded_of_the_query_alone() -> None:
    method = _built(variant="multi-scale")
    features = method.encode(torch.rand(1, 3, SIDE, SIDE + 8))
    sizes = [its.shape[-2:] for its in method.prepare_query(features).features]
    assert sizes == [(7, 7), (9, 10), (12, 13)]
    assert method.condition(features, torch.ones(1, SIDE, SIDE + 8, dtype=torch.uint8)).shape == (1, 8, 1, 1)
