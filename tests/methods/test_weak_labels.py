"""iFSL with image-level labels: the loss uses presence only; predictions and the masks they use stay the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.base.method import Method, TrainingBatch
from fssbench.methods.catalogue import method_info

SIDE = 136
OPTIONS: dict[str, dict[str, Any]] = {
    "hsnet": {"channels": (8, 8, 8)},
    "asnet": {"channels": (16, 16)},
    "pfenet": {"width": 8},
    "panet": {},
}
LOOKS_AT_MASKS = ["hsnet", "pfenet", "panet"]


def _build(name: str, way: int = 1, **options: Any) -> Method[Any, Any]:
    torch.manual_seed(0)
    return fssbench.build(name, backbone="small", variant="fscs", way=way, **OPTIONS[name], **options)


def _batch() -> TrainingBatch:
    """Two episodes of two ways: the first query holds class 1, the second both."""
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(2, 2, SIDE, SIDE, dtype=torch.uint8)
    masks[0, 0, 20:60, 30:90] = masks[1, 0, 10:20, :50] = masks[1, 1, 80:120, 30:90] = 1
    masks[:, :, :4] = 255
    supports = torch.zeros(2, 2, 1, SIDE, SIDE, dtype=torch.uint8)
    supports[..., 30:100, 40:110] = 1
    return TrainingBatch(
        query=torch.randn(2, 3, SIDE, SIDE, generator=generator),
        query_masks=masks,
        supports=torch.randn(2, 2, 1, 3, SIDE, SIDE, generator=generator),
        support_masks=supports,
        classes=torch.tensor([[0, 1], [0, 1]]),
        query_labels=masks[:, 0],
        foreground_weight=3.0,
    )


def test_the_four_of_ifsl_have_a_weak_form() -> None:
    assert {name for name in fssbench.list_methods() if method_info(name).weak} == set(OPTIONS)


def _shown(monkeypatch: pytest.MonkeyPatch, name: str, method: Method[Any, Any], scores: Tensor) -> None:
    """Let the network give these scores: for each of four pairs one position, background first."""
    pairs = scores.view(4, 2, 1, 1)
    if name == "pfenet":
        monkeypatch.setattr(method.learner, "classify", lambda maps, size: pairs)
    else:
        monkeypatch.setattr(method, "score", lambda query, support: pairs)


@pytest.mark.parametrize("name", ["hsnet", "asnet", "pfenet"])
def test_the_loss_is_that_of_presence_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    method = _build(name, way=2, weak=True)
    # The classes have the probabilities 1/2, 1/4, 3/4, 1/5 of being present; all but the second are present.
    scores = torch.tensor([0.5, 0.25, 0.75, 0.2])
    _shown(monkeypatch, name, method, torch.stack([1 - scores, scores], dim=1).log())
    losses = method.losses(_batch())
    assert set(losses) == {"classification"}
    by_hand = -(math.log(0.5) + math.log(0.75) + math.log(0.75) + math.log(0.2)) / 4
    assert losses["classification"].item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("name", ["hsnet", "pfenet"])
def test_weak_labels_move_what_strong_ones_move(name: str) -> None:
    moved = []
    for weak in (True, False):
        method = _build(name, way=2, weak=weak).train()
        sum(method.losses(_batch()).values()).backward()
        moved.append(
            {key for key, parameter in method.named_parameters() if parameter.grad is not None and parameter.grad.any()}
        )
    assert moved[0] == moved[1] != set()


@pytest.mark.parametrize("name", LOOKS_AT_MASKS)
def test_the_weak_form_answers_as_the_strong_one_and_from_the_support_mask(name: str) -> None:
    weak, strong = _build(name, weak=True), _build(name)
    assert weak.state_dict().keys() == strong.state_dict().keys()
    weak.load_state_dict(strong.state_dict())
    batch = _batch()
    episode = batch.query[0], batch.supports[0, :1], batch.support_masks[0, :1]
    prediction = weak.segment(*episode)
    assert torch.equal(prediction.logits, strong.segment(*episode).logits)
    assert not torch.equal(prediction.logits, weak.segment(*episode[:2], episode[2].roll(40, dims=-1)).logits)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_the_form_for_segmentation_alone_refuses_weak_labels(name: str) -> None:
    with pytest.raises(UsageError, match="image-level labels in variant fscs, not in fss") as refused:
        fssbench.build(name, backbone="small", weak=True)
    assert "--task fs-cs" in (refused.value.remedy or "")


def test_a_method_outside_ifsl_has_no_weak_form() -> None:
    with pytest.raises(UsageError, match="bam can't learn from image-level labels"):
        fssbench.build("bam", backbone="small", weak=True)
