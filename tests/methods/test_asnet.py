"""ASNet's forms: what its paper's ablation takes away, and what each form looks at and learns from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.asnet import ASNet
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.catalogue import method_info

SIDE = 136
PARTS = [variant for variant in method_info("asnet").ablation if variant != "fscs"]


def _build(variant: str, **options: Any) -> ASNet:
    torch.manual_seed(0)
    method = fssbench.build("asnet", backbone="small", variant=variant, channels=(16, 16), **options)
    assert isinstance(method, ASNet)
    return method


def _batch(count: int = 2) -> TrainingBatch:
    generator = torch.Generator().manual_seed(4)
    masks = torch.zeros(count, 2, SIDE, SIDE, dtype=torch.uint8)
    masks[:, :, 30:90, 20:100] = 1
    return TrainingBatch(
        query=torch.randn(count, 3, SIDE, SIDE, generator=generator),
        query_masks=masks[:, :1],
        supports=torch.randn(count, 1, 1, 3, SIDE, SIDE, generator=generator),
        support_masks=masks[:, None, 1:],
        classes=torch.arange(count)[:, None],
        query_labels=masks[:, 0],
    )


def _logits(method: ASNet, batch: TrainingBatch, masks: torch.Tensor | None = None) -> torch.Tensor:
    with torch.inference_mode():
        masks = batch.support_masks[:, 0, 0] if masks is None else masks
        support = method.condition(method.encode(batch.supports[:, 0, 0]), masks)
        return method.score(method.encode(batch.query), support)


@pytest.mark.parametrize("variant", PARTS)
def test_a_form_of_the_ablation_answers_both_questions_and_learns(variant: str) -> None:
    method = _build(variant, way=2).train()
    assert method_info("asnet").tasks[variant] == method.task == "fscs"
    losses = method.losses(_batch())
    assert set(losses) == {"segmentation"}
    losses["segmentation"].backward()
    moved = [name for name, parameter in method.named_parameters() if parameter.requires_grad]
    assert moved
    assert all(name.startswith("learner.") for name in moved)
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all() for parameter in method.learner.parameters()
    )


def test_local_attention_changes_the_answer_and_only_the_kernels_of_keys_and_values() -> None:
    whole, local = (_build(variant).state_dict() for variant in ("fscs", "fscs-local"))
    assert set(whole) == set(local)
    changed = {name for name in whole if whole[name].shape != local[name].shape}
    assert changed == {
        f"learner.encoder_layer{level}.{layer}.attn.{head}.weight"
        for level in (2, 3)
        for layer in (0, 1)
        for head in ("khead", "vhead")
    }
    assert all(local[name].shape[2:] == (1, 1, 1) for name in changed)


def test_without_masked_attention_support_masks_are_not_looked_at() -> None:
    batch = _batch()
    masked, unmasked = _build("fscs"), _build("fscs-unmasked")
    unmasked.load_state_dict(masked.state_dict())
    empty = torch.zeros_like(batch.support_masks[:, 0, 0])
    assert torch.equal(_logits(unmasked, batch), _logits(unmasked, batch, empty))
    assert not torch.equal(_logits(masked, batch), _logits(masked, batch, empty))
    # As with a mask that hides nothing.
    torch.testing.assert_close(
        _logits(unmasked, batch), _logits(masked, batch, torch.ones_like(empty)), atol=1e-5, rtol=1e-5
    )


def test_without_fusion_the_middle_level_alone_is_read_by_the_layers_of_the_whole() -> None:
    single, whole = _build("fscs-single-level"), _build("fscs")
    assert set(single.state_dict()) == {
        name
        for name in whole.state_dict()
        if not name.startswith(tuple(f"learner.encoder_layer{level}." for level in ("2", "4", "3to2")))
    }
    generator = torch.Generator().manual_seed(5)
    deep, middle, shallow = (
        torch.rand(1, maps, side, side, side, side, generator=generator)
        for maps, side in zip(single.backbone.levels[::-1], (9, 17, 17), strict=True)
    )
    mask = torch.ones(1, SIDE, SIDE)
    with torch.inference_mode():
        first = single.learner([deep, middle, shallow], mask)
        assert torch.equal(first, single.learner([deep + 1, middle, shallow + 1], mask))
        assert not torch.equal(first, single.learner([deep, middle.flip(-1), shallow], mask))


def test_a_form_says_which_sizes_it_can_take() -> None:
    with pytest.raises(UsageError, match=r"\(8, 8\) positions squeeze to \(1, 1\)"):
        _build("fscs-single-level").segment(
            torch.zeros(3, 64, 64), torch.zeros(1, 1, 3, 64, 64), torch.ones(1, 1, 64, 64)
        )
