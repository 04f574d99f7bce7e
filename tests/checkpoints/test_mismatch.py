"""The explanation of weights that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import fssbench
from fssbench.checkpoints.mismatch import explain_mismatch
from fssbench.methods.catalogue import method_info

Shape = tuple[str, str | None, str]


def _state(name: str, variant: str | None = None, backbone: str = "small") -> dict[str, Any]:
    return dict(fssbench.build(name, backbone=backbone, variant=variant).state_dict())


@pytest.mark.parametrize(
    ("own", "given", "said"),
    [
        (("hsnet", None, "small"), ("asnet", None, "small"), "they belong to asnet, not to hsnet"),
        (("pfenet", None, "small"), ("hsnet", None, "small"), "they belong to hsnet, not to pfenet"),
        (("pfenet", None, "small"), ("bam", None, "small"), "they belong to bam, not to pfenet"),
        (("hsnet", "fscs", "small"), ("pfenet", "fscs", "small"), "they belong to pfenet, not to hsnet"),
        (
            ("pfenet", "fss", "small"),
            ("pfenet", "fscs", "small"),
            "they belong to variant fscs, the method was built as variant fss",
        ),
        (("pfenet", None, "vgg16"), ("pfenet", None, "small"), "they are for small, the method was built with vgg16"),
        (
            ("pfenet", None, "resnet50"),
            ("pfenet", None, "vgg16"),
            "they are for vgg16, the method was built with resnet50",
        ),
    ],
)
def test_network_backbone_and_variant_are_told_by_names(own: Shape, given: Shape, said: str) -> None:
    assert explain_mismatch(_state(*own), _state(*given)) == said


@pytest.mark.parametrize(
    ("own", "given", "said"),
    [
        ({"shot": 5}, {}, "they are BAM's for 1-shot episodes, the method was built for 5-shot ones"),
        ({}, {"shot": 5}, "they are BAM's for 5-shot episodes, the method was built for 1-shot ones"),
        ({"shot": 5}, {"shot": 3}, "they are BAM's for 3-shot episodes, the method was built for 5-shot ones"),
        ({}, {"base_classes": 60}, "they have 60 base classes, the method was built for 15"),
        ({"shot": 5}, {"shot": 5}, ""),
    ],
)
def test_bam_has_weights_for_each_number_of_shots_and_of_base_classes(
    own: dict[str, int], given: dict[str, int], said: str
) -> None:
    narrow: dict[str, Any] = {"backbone": "small", "width": 8, "base_width": 8}
    ours, theirs = (fssbench.build("bam", **narrow, **its) for its in (own, given))
    found = explain_mismatch(ours.state_dict(), theirs.state_dict())
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize("name", [name for name in fssbench.list_methods() if method_info(name).trainable])
def test_a_method_is_not_at_odds_with_itself(name: str) -> None:
    for variant in method_info(name).tasks:
        state = _state(name, variant)
        assert explain_mismatch(state, state) == ""
        assert explain_mismatch(state, {"unknown": state[next(iter(state))]}) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shot": 5}, "they are FPTrans's for 5-shot episodes, the method was built for 1-shot ones"),
        ({"trained_on": "coco20i"}, "they were trained on coco20i, the method was built for weights of pascal5i"),
        ({}, ""),
    ],
)
def test_fptrans_has_prompts_for_each_number_of_shots_and_each_data_set(given: dict[str, Any], said: str) -> None:
    ours, theirs = (fssbench.build("fptrans", "small", **its).state_dict() for its in ({}, given))
    assert bool(found := explain_mismatch(ours, theirs)) == bool(said)
    assert found.startswith(said)


def test_fptrans_tells_another_depth_and_another_file_of_the_frozen_network() -> None:
    ours = fssbench.build("fptrans", "small").state_dict()
    deeper = ours | {"encoder.backbone.blocks.2.norm1.bias": torch.zeros(48)}
    assert explain_mismatch(ours, deeper) == "they have 3 blocks, the method has 2"
    other = ours | {"original_encoder.cls_token": torch.zeros(1, 1, 768)}
    assert explain_mismatch(ours, other) == (
        "the file of the backbone has vit-b16-384, the method was built with small"
    )
    odd = ours | {"encoder.backbone.prompt_tokens": torch.zeros(91, 12, 48)}
    assert explain_mismatch(ours, odd) == ""
