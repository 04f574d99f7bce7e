"""What is said of weights that do not fit."""

from __future__ import annotations

from typing import Any

import pytest

import fssbench
from fssbench.checkpoints.mismatch import why
from fssbench.methods import method_info

Shape = tuple[str, str | None, str]


def _state(name: str, variant: str | None = None, backbone: str = "small") -> dict[str, Any]:
    return dict(fssbench.build(name, backbone=backbone, variant=variant).state_dict())


@pytest.mark.parametrize(
    ("own", "given", "said"),
    [
        (("hsnet", None, "small"), ("asnet", None, "small"), "they are of asnet, not of hsnet"),
        (("pfenet", None, "small"), ("hsnet", None, "small"), "they are of hsnet, not of pfenet"),
        (("pfenet", None, "small"), ("bam", None, "small"), "they are of bam, not of pfenet"),
        (("hsnet", "fscs", "small"), ("pfenet", "fscs", "small"), "they are of pfenet, not of hsnet"),
        (
            ("pfenet", "fss", "small"),
            ("pfenet", "fscs", "small"),
            "they are of variant fscs, the method was built as variant fss",
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
    assert why(_state(*own), _state(*given)) == said


@pytest.mark.parametrize("name", [name for name in fssbench.list_methods() if method_info(name).trainable])
def test_a_method_is_not_at_odds_with_itself(name: str) -> None:
    for variant in method_info(name).tasks:
        state = _state(name, variant)
        assert why(state, state) == ""
        assert why(state, {"unknown": state[next(iter(state))]}) == ""
