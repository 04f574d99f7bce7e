"""BAM: the ensemble and its losses by hand, what each stage of training moves, and what is computed once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.errors import CheckpointError, UsageError
from fssbench.methods.bam import BAM, BAMSupport
from fssbench.methods.base.base_learner import gram_matrix, scene_difference
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.catalogue import method_info

SIDES = (72, 56)
BASE = 4
META, LEARNED = [0.4, -0.3], [0.1, 0.9, -0.5, 0.3, 0.2]
GRAM, MERGE = [0.8, 0.5], [0.7, 0.6]
META_PARTS = {"down_query", "down_supp", "init_merge", "ASPP_meta", "res1_meta", "res2_meta", "cls_meta"}
ENSEMBLE_PARTS = {"gram_merge", "cls_merge"}


def _build(shot: int = 1, **options: Any) -> BAM:
    torch.manual_seed(0)
    options = {"base_classes": BASE, "width": 8, "base_width": 8} | options
    method = fssbench.build("bam", backbone="small", shot=shot, **options)
    assert isinstance(method, BAM)
    return method


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, 3, *SIDES, generator=torch.Generator().manual_seed(seed))


def _masks(*shape: int) -> Tensor:
    masks = torch.zeros(math.prod(shape), *SIDES, dtype=torch.uint8)
    for n, mask in enumerate(masks):
        mask[8 + 4 * n : 40 + 4 * n, 8:40] = 1
        mask[:4] = 255
    return masks.view(*shape, *SIDES)


def _batch(size: int, shot: int = 1) -> TrainingBatch:
    return TrainingBatch(
        query=_images(size),
        query_masks=_masks(size, 1),
        supports=_images(size, 1, shot, seed=1),
        support_masks=_masks(size, 1, shot),
        classes=torch.arange(size).view(size, 1) % BASE,
        query_labels=_masks(size),
    )


def _supports(method: BAM, batch: TrainingBatch) -> list[BAMSupport]:
    shots = range(batch.supports.shape[2])
    return [method.condition(method.encode(batch.supports[:, 0, k]), batch.support_masks[:, 0, k]) for k in shots]


def _fill(method: BAM, key: str, values: list[float]) -> None:
    with torch.no_grad():
        parameter = method.get_parameter(key)
        parameter.copy_(torch.tensor(values).view(parameter.shape))


def _with_constant_learners(method: BAM, meta: list[float], base: list[float]) -> BAM:
    """Make both learners say the same logits everywhere."""
    with torch.no_grad():
        method.get_parameter("cls_meta.3.weight").zero_()
        method.get_parameter("learner_base.1.4.weight").zero_()
    _fill(method, "cls_meta.3.bias", meta)
    _fill(method, "learner_base.1.4.bias", base)
    return method


def _softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def _cross_entropy(logits: list[float], label: int) -> float:
    return -math.log(_softmax(logits)[label])


def _hand_made(shot: int = 1) -> BAM:
    method = _with_constant_learners(_build(shot), META, LEARNED)
    _fill(method, "gram_merge.weight", GRAM)
    _fill(method, "cls_merge.weight", MERGE)
    return method


def _final_by_hand(difference: float, left_out: int | None = None) -> list[float]:
    ground, novel = (GRAM[0] * tensor + GRAM[1] * difference for tensor in _softmax(META))
    base = sum(tensor for place, tensor in enumerate(_softmax(LEARNED)[1:]) if place != left_out)
    return [MERGE[0] * ground + MERGE[1] * base, novel]


def test_the_ensemble_by_hand() -> None:
    method, batch = _hand_made(), _batch(2)
    with torch.inference_mode():
        query = method.encode(batch.query)
        supports = _supports(method, batch)
        final = method.score(query, supports).final
        difference = scene_difference(gram_matrix(query.layer2), supports[0].gram)
    for n in range(2):
        expected = torch.tensor(_final_by_hand(float(difference[n])))[:, None, None].expand_as(final[n])
        torch.testing.assert_close(final[n], expected, rtol=1e-5, atol=1e-6)


def test_the_losses_of_the_meta_stage_by_hand() -> None:
    method, batch = _hand_made().train(), _batch(3)
    with torch.no_grad():
        losses = method.losses(batch)
        query, supports = method.encode(batch.query), _supports(method, batch)
        difference = scene_difference(gram_matrix(query.layer2), supports[0].gram)
    final = meta = base = counted = 0.0
    for n in range(3):
        # In training the class of the episode is none of the base classes.
        logits = _final_by_hand(float(difference[n]), left_out=int(batch.classes[n, 0]))
        for label in (0, 1):
            pixels = int((batch.query_masks[n, 0] == label).sum())
            final += pixels * _cross_entropy(logits, label)
            meta += pixels * _cross_entropy(META, label)
            base += pixels * _cross_entropy(LEARNED, label)
            counted += pixels
    assert losses.keys() == {"final", "meta", "base"}
    assert losses["final"].item() == pytest.approx(final / counted, rel=1e-5)
    assert losses["meta"].item() == pytest.approx(meta / counted, rel=1e-5)
    assert losses["base"].item() == pytest.approx(base / counted, rel=1e-5)


def test_foreground_can_count_more() -> None:
    method, batch = _hand_made().train(), replace(_batch(1), foreground_weight=3.0)
    ground, novel = (int((batch.query_masks == label).sum()) for label in (0, 1))
    expected = ground * _cross_entropy(META, 0) + 3 * novel * _cross_entropy(META, 1)
    with torch.no_grad():
        assert method.losses(batch)["meta"].item() == pytest.approx(expected / (ground + 3 * novel), rel=1e-5)


def test_the_loss_of_the_base_stage_by_hand() -> None:
    method = _with_constant_learners(_build(), META, LEARNED)
    method.enter_training_stage("base")
    labels = _masks(2)
    labels[1, 50:] = 4
    batch = replace(_batch(2, shot=0), query_labels=labels)
    losses = method.train().losses(batch)
    pixels = {label: int((labels == label).sum()) for label in (0, 1, 4)}
    expected = sum(count * _cross_entropy(LEARNED, label) for label, count in pixels.items()) / sum(pixels.values())
    assert {name: tensor.item() for name, tensor in losses.items()} == {"base": pytest.approx(expected, rel=1e-5)}


def test_a_new_ensemble_believes_the_meta_learner() -> None:
    method, batch = _build(), _batch(1)
    with torch.inference_mode():
        logits = method.score(method.encode(batch.query), _supports(method, batch))
    torch.testing.assert_close(logits.final, logits.meta.softmax(dim=1))


@pytest.mark.parametrize("shot", [1, 5])
def test_stage_meta_moves_meta_learner_and_ensemble(shot: int) -> None:
    method = _build(shot).train()
    method.enter_training_stage("meta")
    sum(method.losses(_batch(2, shot)).values(), torch.zeros(())).backward()
    moved = {name.partition(".")[0] for name, tensor in method.named_parameters() if tensor.grad is not None}
    assert moved == META_PARTS | ENSEMBLE_PARTS | ({"kshot_rw"} if shot > 1 else set())
    free = {name for name, tensor in method.named_parameters() if tensor.requires_grad}
    assert free == {name for name, tensor in method.named_parameters() if tensor.grad is not None}


def test_stage_base_moves_backbone_and_base_learner() -> None:
    method = _build().train()
    method.enter_training_stage("base")
    method.losses(_batch(2, shot=0))["base"].backward()
    for name, parameter in method.named_parameters():
        assert (
            (parameter.grad is not None) == parameter.requires_grad == name.startswith(("backbone.", "learner_base."))
        )


def test_statistics_move_in_stage_base_alone() -> None:
    method = _build().train()
    before = {key: value.clone() for key, value in method.state_dict().items() if "running" in key}
    method.losses(_batch(2))
    assert all(torch.equal(method.state_dict()[key], value) for key, value in before.items())
    method.enter_training_stage("base")
    method.losses(_batch(2, shot=0))
    assert not any(torch.equal(method.state_dict()[key], value) for key, value in before.items())
    method.enter_training_stage("meta")
    after = {key: value.clone() for key, value in method.state_dict().items()}
    method.losses(_batch(2))
    assert all(torch.equal(method.state_dict()[key], value) for key, value in after.items())


def test_evaluation_comes_back_after_training() -> None:
    method = _build()
    method.enter_training_stage("base")
    method.train().eval()
    assert not any(module.training for module in method.modules())


def test_a_batch_of_three_equals_three_of_one() -> None:
    method, batch = _build(shot=2), _batch(3, shot=2)
    with torch.inference_mode():
        together = method.score(method.encode(batch.query), _supports(method, batch)).final
        for n in range(3):
            one = TrainingBatch(
                **{key: tensor[n : n + 1] for key, tensor in vars(batch).items() if isinstance(tensor, Tensor)}
            )
            alone = method.score(method.encode(one.query), _supports(method, one)).final
            torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (50, 83)])
def test_any_size_of_image(size: tuple[int, int]) -> None:
    mask = torch.zeros(1, 1, *size)
    mask[..., 10:40, 10:40] = 1
    prediction = _build().segment(torch.rand(3, *size), torch.rand(1, 1, 3, *size), mask, size=(31, 47))
    assert prediction.logits.shape == (2, 31, 47)
    assert prediction.base is not None
    assert prediction.base.shape == (31, 47)


def test_the_order_of_the_shots_does_not_matter() -> None:
    method, batch = _build(shot=3), _batch(1, shot=3)
    with torch.inference_mode():
        query, shots = method.encode(batch.query), _supports(method, batch)
        expected = method.score(query, shots).final
        for order in ((2, 0, 1), (1, 0, 2)):
            torch.testing.assert_close(method.score(query, [shots[k] for k in order]).final, expected)


def test_shots_that_are_all_the_same_are_as_one() -> None:
    one, three = _build(shot=1), _build(shot=3)
    three.load_state_dict(one.state_dict(), strict=False)
    batch = _batch(1)
    with torch.inference_mode():
        query, shots = one.encode(batch.query), _supports(one, batch)
        torch.testing.assert_close(three.score(query, shots * 3).final, one.score(query, shots).final)


def test_a_shot_in_a_scene_more_alike_can_weigh_more() -> None:
    method = _build(shot=2)
    _fill(method, "kshot_rw.2.bias", [2.0, 0.0])  # the first in rising order is the most alike
    with torch.no_grad():
        method.get_parameter("kshot_rw.2.weight").zero_()
    _fill(method, "gram_merge.weight", [0.0, 1.0])
    batch = _batch(1)
    with torch.inference_mode():
        query = method.encode(batch.query)
        images = (batch.supports[:, 0, 0], batch.query)
        shots = [method.condition(method.encode(tensor), batch.support_masks[:, 0, 0]) for tensor in images]
        # The other differs by nothing.
        expected = _softmax([2.0, 0.0])[1] * scene_difference(gram_matrix(query.layer2), shots[0].gram)
        logits = method.score(query, shots).final[:, 1]
    torch.testing.assert_close(logits, expected.expand_as(logits), rtol=1e-4, atol=1e-6)


def test_the_scene_difference_by_hand() -> None:
    one = gram_matrix(torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]]]))
    other = gram_matrix(torch.tensor([[[[1.0, 1.0]], [[3.0, 3.0]]]]))
    torch.testing.assert_close(one, torch.eye(2)[None], atol=1e-6, rtol=0)
    torch.testing.assert_close(other, torch.ones(1, 2, 2), atol=1e-6, rtol=0)
    assert scene_difference(one, other).item() == pytest.approx(math.sqrt(2) / 2, abs=1e-6)
    assert scene_difference(one, one).item() == 0


def test_what_the_base_learner_says_comes_with_the_answer_and_is_computed_once() -> None:
    method, batch = _build(), _batch(1)
    calls = []
    method.get_submodule("learner_base").register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        maps, shots = method.encode(batch.query), _supports(method, batch)
        assert not calls
        query = method.prepare_query(maps)
        predictions = [method.predict(query, [shots], (40, 50)) for _ in range(2)]
        assert len(calls) == 1
        logits = method.base_learner(method.layer4_of(maps))
    assert predictions[0].base is not None
    assert (predictions[0].base.dtype, predictions[0].base.shape) == (torch.uint8, (40, 50))
    best = logits[0].argmax(dim=0)
    assert predictions[0].base[[0, -1], [0, -1]].tolist() == best[[0, -1], [0, -1]].tolist()


@pytest.mark.parametrize(("shot", "parameters"), [(1, 4_917_254), (5, 4_917_281)])
def test_learnable_parameters_are_those_of_the_release(shot: int, parameters: int) -> None:
    # The paper prints 4.9 M.
    assert fssbench.build("bam", backbone="resnet50", shot=shot).learnable_parameters == parameters


def test_weights_of_five_shots_do_not_fit_one() -> None:
    state = _build(shot=5).state_dict()
    with pytest.raises(CheckpointError, match="kshot_rw"):
        fssbench.load_release(_build(shot=1), state)


def test_the_data_set_says_how_many_base_classes_there_are() -> None:
    assert method_info("bam").options_on("coco20i")["base_classes"] == 60
    assert _build(base_classes=60).state_dict()["learner_base.1.4.bias"].shape == (61,)
    with pytest.raises(UsageError, match="base class"):
        _build(base_classes=0)
