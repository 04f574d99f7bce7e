"""MMT: its contrast by hand, what each variant has and moves, and what the memory does to its features."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

import fssbench
from fssbench.errors import UsageError
from fssbench.layers.style_memory import style
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.catalogue import method_info
from fssbench.methods.mmt import MMT, PARTS, contrast_loss

SIDE = (72, 96)


def _build(variant: str = "full", shot: int = 1, **options: Any) -> MMT:
    torch.manual_seed(0)
    options = {"width": 8, "memory_items": 3, **options}
    method = fssbench.build("mmt", backbone="small", variant=variant, shot=shot, **options)
    assert isinstance(method, MMT)
    return method


def _batch(count: int = 2, shot: int = 1, seed: int = 0) -> TrainingBatch:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(count, 1 + shot, *SIDE, dtype=torch.uint8)
    masks[:, :, 16:56, 24:80] = 1
    masks[:, :, 56:60] = 255
    return TrainingBatch(
        query=torch.randn(count, 3, *SIDE, generator=generator),
        query_masks=masks[:, :1],
        supports=torch.randn(count, 1, shot, 3, *SIDE, generator=generator),
        support_masks=masks[:, None, 1:],
        classes=torch.arange(count)[:, None],
        query_labels=masks[:, 0],
    )


def test_contrast_is_that_of_the_paper() -> None:
    # Two instances of two classes at right angles, enhanced without a change: pos = e^(1 / t), neg = 2 e^0.
    instances = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    loss = contrast_loss(instances, 5 * instances, torch.tensor([0, 1]), temperature=0.5)
    assert loss.item() == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 2)))


def test_contrast_takes_positives_from_the_other_side_and_negatives_from_both() -> None:
    original, enhanced = torch.eye(4)[:3], torch.eye(4)[[0, 3, 2]]
    classes = torch.tensor([7, 7, 2])
    loss = contrast_loss(original, enhanced, classes, temperature=1.0)
    e = math.e
    # Of class 7 the enhanced ones are (x, w), the originals (x, y): cosines 1 and 0, then 0 and 0; two negatives of 0.
    terms = [(e + 1, 2), (2, 2), (e, 4), (e + 1, 2), (2, 2), (e, 4)]
    assert loss.item() == pytest.approx(sum(-math.log(pos / (pos + neg)) for pos, neg in terms) / 6)


def test_contrast_within_one_class_or_of_nothing_is_zero() -> None:
    one = torch.randn(3, 4, requires_grad=True)
    assert contrast_loss(one, one.detach(), torch.ones(3, dtype=torch.int64)).item() == pytest.approx(0, abs=1e-6)
    nothing = contrast_loss(one[:0], one[:0], torch.zeros(0, dtype=torch.int64))
    nothing.backward()
    assert nothing.item() == 0


def test_variants_are_the_rows_of_the_printed_ablation() -> None:
    info = method_info("mmt")
    assert set(info.tasks) == set(info.ablation) == set(PARTS)
    printed = fssbench.published()
    printed = printed[(printed["method"] == "mmt") & (printed["role"] == "ablation")]
    assert {f"MMT:{variant}" for variant in printed["variant"]} == set(info.ablation.values())


@pytest.mark.parametrize(
    ("variant", "extra"),
    [
        ("baseline", set()),
        ("cons", {"contrast", "orthogonality"}),
        ("cons-mens", {"contrast", "orthogonality"}),
        ("mens-ment", {"orthogonality"}),
        ("full", {"contrast", "orthogonality"}),
    ],
)
def test_variants_have_only_the_parts_they_name(variant: str, extra: set[str]) -> None:
    method = _build(variant).train()
    losses = method.losses(_batch())
    assert set(losses) == {"main", "auxiliary"} | extra
    assert all(loss.ndim == 0 and bool(loss.isfinite()) for loss in losses.values())
    assert any(key.startswith("memory.") for key in method.state_dict()) == (variant != "baseline")


@pytest.mark.parametrize("variant", list(PARTS))
def test_target_samples_are_enhanced_only_with_ment(variant: str) -> None:
    method, baseline = _build(variant), _build("baseline")
    baseline.load_state_dict({k: v for k, v in method.state_dict().items() if not k.startswith("memory.")})
    batch = _batch()
    predictions = [one.segment(batch.query[0], batch.supports[0], batch.support_masks[0]) for one in (method, baseline)]
    assert torch.equal(predictions[0].logits, predictions[1].logits) != PARTS[variant].target


@pytest.mark.parametrize("variant", ["cons", "cons-mens"])
def test_source_samples_are_segmented_enhanced_only_with_mens(variant: str) -> None:
    losses = []
    for value in (0.2, 0.9):
        method = _build(variant).train()
        with torch.no_grad():
            method.memory.means.fill_(value)
            method.memory.written.fill_(3)
        for module in method.modules():
            if isinstance(module, torch.nn.Dropout2d):
                module.eval()
        losses.append(method.losses(_batch())["main"].item())
    assert (losses[0] != losses[1]) == PARTS[variant].source


def test_gradients_flow_where_the_equations_have_them() -> None:
    method = _build().train()
    losses = method.losses(_batch())
    backbone = dict(method.stages.named_parameters())
    memory = {f"memory.{name}" for name, _ in method.memory.named_parameters()}
    moved = {
        "main": {"down_conv", "corr_conv", "alpha_conv", "beta_conv", "res1", "res2", "cls"},
        "auxiliary": {"down_conv", "corr_conv", "alpha_conv", "beta_conv", "inner_cls"},
        "contrast": {"down_conv"},
    }
    for name, loss in losses.items():
        method.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        with_gradient = {
            key for key, parameter in method.named_parameters() if parameter.grad is not None and parameter.grad.any()
        }
        assert not with_gradient & set(backbone)
        if name == "orthogonality":
            assert with_gradient == memory
        else:
            assert {key.split(".")[0] for key in with_gradient} == moved[name]


def test_training_writes_what_it_saw_to_the_memory_and_evaluation_does_not() -> None:
    method = _build()
    batch = _batch()
    with torch.inference_mode():
        seen = [
            style(method.middle(method.train().encode(images)))[0] for images in (batch.query, batch.supports[:, 0, 0])
        ]
    method.losses(batch)
    torch.testing.assert_close(method.memory.means.detach(), torch.cat(seen)[:3])
    method.eval()
    kept = {key: value.clone() for key, value in method.memory.state_dict().items()}
    method.losses(batch)
    method.segment(batch.query[0], batch.supports[0], batch.support_masks[0])
    assert all(torch.equal(kept[key], value) for key, value in method.memory.state_dict().items())


def test_the_memory_is_in_the_checkpoint_so_that_training_goes_on_as_it_would_have() -> None:
    straight = _build().train()
    for seed in range(3):
        straight.losses(_batch(seed=seed))
    killed = _build().train()
    killed.losses(_batch(seed=0))
    resumed = _build().train()
    resumed.load_state_dict(killed.state_dict())
    for seed in (1, 2):
        resumed.losses(_batch(seed=seed))
    state = resumed.memory.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in straight.memory.state_dict().items())


def test_the_memory_brings_a_tinted_picture_back_towards_what_it_remembers() -> None:
    method = _build(mix=0.25).train()
    for seed in range(12):
        method.losses(_batch(seed=seed))
    method.eval()
    raw = _build("baseline")
    raw.load_state_dict({k: v for k, v in method.state_dict().items() if not k.startswith("memory.")})
    images = _batch(seed=20).query
    tint = torch.tensor([0.3, 1.0, 1.6])[None, :, None, None]
    with torch.inference_mode():
        untouched = raw.middle(raw.encode(images))
        drifted = raw.middle(raw.encode(images * tint + 0.8))
        enhanced = method.middle(method.encode(images * tint + 0.8))
    shift = (style(drifted)[0] - style(untouched)[0]).norm(dim=1)
    left = (style(enhanced)[0] - style(untouched)[0]).norm(dim=1)
    assert bool((left < 0.6 * shift).all())


@pytest.mark.parametrize("size", [(72, 96), (75, 101)])
@pytest.mark.parametrize("shot", [1, 5])
def test_any_size_and_number_of_shots(size: tuple[int, int], shot: int) -> None:
    method = _build(shot=shot)
    masks = torch.zeros(1, shot, *size, dtype=torch.uint8)
    masks[0, 0, 10:60, 20:70] = 1
    masks[0, 1:, 40:43, 40:43] = 1  # and objects that vanish at the size of the map
    prediction = method.segment(torch.randn(3, *size), torch.randn(1, shot, 3, *size), masks)
    assert prediction.logits.shape == (2, *size)
    assert bool(prediction.logits.isfinite().all())


def test_losses_of_several_shots_and_of_objects_that_vanish_are_finite() -> None:
    method = _build(shot=2).train()
    batch = _batch(count=3, shot=2)
    batch.support_masks[0] = 0
    batch.query_masks[1] = 255
    total = torch.stack(list(method.losses(batch).values())).sum()
    total.backward()
    assert bool(total.isfinite())
    assert all(bool(one.grad.isfinite().all()) for one in method.parameters() if one.grad is not None)


@pytest.mark.parametrize("variant", ["baseline", "full"])
def test_foreground_counts_as_the_batch_says(variant: str) -> None:
    losses = [
        _build(variant).train().losses(replace(_batch(), foreground_weight=weight))["main"].item() for weight in (1, 9)
    ]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("options", [{"memory_items": 0}, {"momentum": 1.5}, {"mix": -0.1}])
def test_arguments_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="memory_items"):
        _build(**options)
