"""HDMNet: matching, distillation and the quirks of its release by hand; what each stage of its training moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.errors import CheckpointError, UsageError
from fssbench.layers.mix_transformer import Heads, MixBlock
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.hdmnet import HDMNet, HDMNetQuery, distillation_loss

SIDE = 72
NARROW = {"base_classes": 4, "width": 8, "base_width": 8, "token_width": 8}


def _build(shot: int = 1) -> HDMNet:
    torch.manual_seed(0)
    method = fssbench.build("hdmnet", backbone="small", shot=shot, **NARROW)
    assert isinstance(method, HDMNet)
    return method


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def _masks(*shape: int) -> Tensor:
    masks = torch.zeros(*shape, SIDE, SIDE, dtype=torch.uint8)
    masks[..., 8:50, 8:40] = 1
    masks[..., :4, :] = 255
    return masks


def _batch(shot: int = 1) -> TrainingBatch:
    return TrainingBatch(
        query=_images(2),
        query_masks=_masks(2, 1),
        supports=_images(2, 1, shot, seed=1),
        support_masks=_masks(2, 1, shot),
        classes=torch.tensor([[0], [3]]),
        query_labels=_masks(2),
    )


def test_a_support_position_is_divided_among_the_query_positions() -> None:
    heads = Heads(4, 1).eval()
    for name in ("linear_q", "linear_k", "linear_v", "linear_o"):
        torch.nn.init.eye_(heads.get_submodule(name).weight)  # type: ignore[arg-type]
    query, source = torch.eye(4)[None, :2], torch.eye(4)[None, :3] * 3
    inside = torch.tensor([[1.0, 0.0, 1.0]])
    with torch.no_grad():
        matched = heads.match(query, source, inside)
    # Cosines / 0.1: support 0 equals query 0; support 1 is outside; support 2 resembles neither, so it is halved.
    own = torch.tensor([10.0, 0.0]).softmax(dim=0)
    expected = torch.stack([own * 3, torch.zeros(2), torch.full((2,), 0.5) * 3, torch.zeros(2)], dim=1)
    torch.testing.assert_close(matched.tokens[0], expected)
    torch.testing.assert_close(matched.correlation[0], torch.tensor([5.0, 0.0]), atol=1e-5, rtol=0)


def test_background_of_a_support_is_not_matched() -> None:
    block = MixBlock(8, 2).eval()
    query, source = torch.randn(1, 8, 3, 3), torch.randn(1, 9, 8)
    inside = torch.tensor([[1.0] * 4 + [0.0] * 5])
    changed = source.clone()
    changed[:, 4:] = torch.randn(1, 5, 8)
    with torch.no_grad():
        first, second = block.match(query, source, inside), block.match(query, changed, inside)
    torch.testing.assert_close(first, second)


def test_only_the_object_of_a_support_is_seen() -> None:
    method, masks = _build(), _masks(1, 1)
    query, images = _images(1)[0], _images(1, 1, seed=1)
    other = torch.where(masks[:, :, None] == 1, images, _images(1, 1, seed=2))
    assert not torch.equal(images, other)
    first, second = (method.segment(query, one, masks).logits for one in (images, other))
    assert torch.equal(first, second)


def test_distillation_by_hand() -> None:
    teacher, student = torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[2.0, 0.0]]])
    p, q = teacher.flatten().softmax(0), student.flatten().softmax(0)
    expected = (p * (p.log() - q.log())).sum()
    torch.testing.assert_close(distillation_loss(teacher, student), expected)
    assert float(distillation_loss(student, student)) == pytest.approx(0.0, abs=1e-7)
    wide = distillation_loss(teacher, torch.zeros(1, 2, 4).requires_grad_())
    assert wide.requires_grad
    learnt = torch.zeros(1, 1, 2).requires_grad_()
    assert not distillation_loss(learnt, student).requires_grad


def test_weights_of_shots_stay_in_the_order_of_their_sizes() -> None:
    method = _build(shot=3)
    with torch.inference_mode():
        rising = method.shot_weights(torch.tensor([[0.1, 0.2, 0.3]]))
        mixed = method.shot_weights(torch.tensor([[0.3, 0.1, 0.2]]))
    assert torch.equal(rising, mixed)
    assert float(rising.sum()) == pytest.approx(1.0)


def test_an_ensemble_with_one_shot_weights_nothing() -> None:
    assert torch.equal(_build().shot_weights(torch.tensor([[0.7]])), torch.ones(1, 1))


def test_each_stage_trains_its_parts_and_no_batch_norm_moves() -> None:
    method = _build().train()
    before = {name: tensor.clone() for name, tensor in method.named_buffers()}
    losses = method.losses(_batch())
    assert list(losses) == ["final", "meta", "distillation", "base"]
    torch.stack(list(losses.values())).sum().backward()
    moved = {name.split(".")[0] for name, one in method.named_parameters() if one.grad is not None}
    expected = {"down_query", "down_supp", "query_merge", "supp_merge", "transformer", "gram_merge", "cls_merge"}
    assert moved == expected
    assert all(torch.equal(before[name], tensor) for name, tensor in method.named_buffers())
    method.zero_grad(set_to_none=True)
    method.enter_training_stage("base")
    method.train()
    base = method.losses(_batch())
    assert list(base) == ["base"]
    base["base"].backward()
    moved = {name.split(".")[0] for name, one in method.named_parameters() if one.grad is not None}
    assert moved == {"backbone", "ppm", "cls", "base_learnear"}


def test_two_shots_are_learned_from() -> None:
    method = _build(shot=2).train()
    torch.stack(list(method.losses(_batch(shot=2)).values())).sum().backward()
    assert method.kshot_rw[0].weight.grad is not None


@pytest.mark.parametrize("sides", [(72, 72), (64, 96), (97, 75)])
def test_other_sizes(sides: tuple[int, int]) -> None:
    method = _build()
    images = torch.randn(2, 3, *sides)
    mask = torch.zeros(1, 1, *sides, dtype=torch.uint8)
    mask[..., 10:40, 10:50] = 1
    prediction = method.segment(images[0], images[None, 1:], mask, size=(30, 41))
    assert prediction.labels.shape == (30, 41)
    assert prediction.base is not None
    assert int(prediction.base.max()) <= NARROW["base_classes"]


def test_a_prepared_query_is_kept() -> None:
    method = _build()
    with torch.inference_mode():
        query = method.prepare_query(method.encode(_images(1)))
    assert isinstance(query, HDMNetQuery)
    assert method.prepare_query(query) is query


@pytest.mark.parametrize("options", [{"base_classes": 0}, {"token_width": 12}, {"token_width": 0}])
def test_what_can_not_be_built(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        fssbench.build("hdmnet", backbone="small", **(NARROW | options))


def test_weights_of_five_shots_and_other_classes_are_told() -> None:
    five, one = _build(5), _build()
    with pytest.raises(CheckpointError, match="HDMNet's for 5-shot"):
        fssbench.load_release(one, five.state_dict())
    more = fssbench.build("hdmnet", backbone="small", **(NARROW | {"base_classes": 6}))
    with pytest.raises(CheckpointError, match="6 base classes"):
        fssbench.load_release(one, more.state_dict())
