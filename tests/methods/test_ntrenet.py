"""NTRENet: what its modules eliminate, its ablation's forms, its losses, and what training moves."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.catalogue import method_info
from fssbench.methods.ntrenet import NTRENet
from fssbench.methods.pfenet import PFENet

SIDES = (72, 56)
FORMS = ["full", "baseline", "bgem", "bgem-doem"]
MINING = {"bg_prototype", "down_bg", "bg_res1", "bg_cls", "init_merge1"}
ELIMINATING = {"init_merge3", "inital_beta_conv", "inital_inner_cls"}
ALWAYS = {"down_query", "down_supp", "init_merge2", "alpha_conv", "beta_conv", "inner_cls", "res1", "res2", "cls"}


def _build(variant: str = "full", shot: int = 1, **options: Any) -> NTRENet:
    torch.manual_seed(0)
    method = fssbench.build("ntrenet", backbone="small", variant=variant, shot=shot, width=8, **options)
    assert isinstance(method, NTRENet)
    return method


def _batch(size: int, shot: int = 1, seed: int = 0, places: tuple[int, ...] = (2, 0, 2)) -> TrainingBatch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(1 + shot, size, 3, *SIDES, generator=generator)
    masks = torch.zeros(1 + shot, size, *SIDES, dtype=torch.uint8)
    masks[:, :, 8:44, 8:40] = 1
    return TrainingBatch(
        query=images[0],
        query_masks=masks[0, :, None],
        supports=images[1:].transpose(0, 1)[:, None],
        support_masks=masks[1:].transpose(0, 1)[:, None],
        classes=torch.tensor(places[:size])[:, None],
        query_labels=masks[0],
    )


def _scores(method: NTRENet, batch: TrainingBatch) -> Tensor:
    shots = [
        method.condition(method.encode(images), mask)
        for images, mask in zip(batch.supports[:, 0].unbind(1), batch.support_masks[:, 0].unbind(1), strict=True)
    ]
    return method.score(method.encode(batch.query), shots).final


def _part(batch: TrainingBatch, n: int) -> TrainingBatch:
    return TrainingBatch(
        **{key: tensor[n : n + 1] for key, tensor in vars(batch).items() if isinstance(tensor, Tensor)}
    )


def _without_dropout(method: NTRENet) -> NTRENet:
    for module in method.train().modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    return method


def _say(method: NTRENet, biases: dict[str, float]) -> None:
    """Make each classifier say the same everywhere: logits 0 and its bias."""
    for name, bias in biases.items():
        last = method.get_submodule(name)
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor([0.0, bias])


@pytest.mark.parametrize("variant", FORMS)
def test_a_batch_of_three_equals_three_of_one(variant: str) -> None:
    method = _build(variant, shot=2)
    batch = _batch(3, shot=2)
    with torch.inference_mode():
        together = _scores(method, batch)
        assert together.shape == (3, 2, 9, 7)
        for n in range(3):
            torch.testing.assert_close(together[n : n + 1], _scores(method, _part(batch, n)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (50, 83)])
@pytest.mark.parametrize("bins", [None, (9, 4)])
def test_any_size_of_image(size: tuple[int, int], bins: tuple[int, ...] | None) -> None:
    query, support = torch.rand(3, *size), torch.rand(1, 1, 3, *size)
    mask = torch.zeros(1, 1, *size)
    mask[..., 10:40, 10:40] = 1
    prediction = _build(bins=bins).segment(query, support, mask, size=(33, 21))
    assert prediction.logits.shape == (2, 33, 21)
    assert prediction.logits.isfinite().all()


def test_supports_that_are_alike_count_as_one() -> None:
    batch = _batch(1)
    five = batch.supports.expand(-1, -1, 5, -1, -1, -1), batch.support_masks.expand(-1, -1, 5, -1, -1)
    one = _build().segment(batch.query[0], batch.supports[0], batch.support_masks[0])
    many = _build(shot=5).segment(batch.query[0], five[0][0], five[1][0])
    torch.testing.assert_close(one.logits, many.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("variant", "parts"),
    [
        ("full", ALWAYS | MINING | ELIMINATING),
        ("bgem-doem", ALWAYS | MINING | ELIMINATING),
        ("bgem", ALWAYS | MINING),
        ("baseline", ALWAYS),
    ],
)
def test_a_form_has_the_parameters_of_its_parts_and_trains_them_all(variant: str, parts: set[str]) -> None:
    method = _build(variant).train()
    named = {name: tensor for name, tensor in method.named_parameters() if tensor.requires_grad}
    assert {name.partition(".")[0] for name in named} == parts
    torch.stack(list(method.losses(_batch(3)).values())).sum().backward()
    assert [name for name, tensor in named.items() if tensor.grad is None or not tensor.grad.any()] == []
    assert all(tensor.grad is None and not tensor.requires_grad for tensor in method.stages.parameters())


def test_every_printed_row_is_a_form() -> None:
    info = method_info("ntrenet")
    assert set(info.ablation) == set(info.tasks) == set(FORMS)
    assert fssbench.build("ntrenet", backbone="small", width=8).parts == _build("full").parts


def test_the_baseline_is_pfenet() -> None:
    baseline, batch = _build("baseline"), _batch(2, shot=2)
    pfenet = fssbench.build("pfenet", backbone="small", width=8)
    assert isinstance(pfenet, PFENet)
    pfenet.load_state_dict(
        {key.replace("init_merge2", "init_merge"): tensor for key, tensor in baseline.state_dict().items()}
    )
    with torch.inference_mode():
        shots = [
            pfenet.condition(pfenet.encode(batch.supports[:, 0, k]), batch.support_masks[:, 0, k]) for k in range(2)
        ]
        expected = pfenet.score_ways(pfenet.encode(batch.query), [shots])[:, 0]
        torch.testing.assert_close(_scores(baseline, batch), expected)


@pytest.mark.parametrize("variant", ["full", "bgem"])
def test_the_background_prototype_matters_when_it_answers(variant: str) -> None:
    method, batch = _build(variant), _batch(1)
    with torch.inference_mode():
        before = _scores(method, batch)
        method.bg_prototype.add_(1.0)
        assert not torch.equal(_scores(method, batch), before)


def test_only_distracting_objects_need_the_background_to_be_found() -> None:
    batch, predictions = _batch(1), {}
    for variant in ("full", "bgem"):
        method = _build(variant)
        for bias in (-1.0, 1.0):
            _say(method, {"bg_cls.3": bias} | {f"inital_inner_cls.{n}.3": -1.0 for n in range(4) if variant == "full"})
            with torch.inference_mode():
                predictions[variant, bias] = _scores(method, batch)
    assert not torch.equal(predictions["full", -1.0], predictions["full", 1.0])
    assert torch.equal(predictions["bgem", -1.0], predictions["bgem", 1.0])


@pytest.mark.parametrize(
    ("background", "target", "all_distracting"), [(-1.0, -1.0, True), (1.0, -1.0, False), (-1.0, 1.0, False)]
)
def test_what_is_neither_background_nor_target_is_averaged_over_the_whole_map(
    background: float, target: float, all_distracting: bool
) -> None:
    method, batch = _build(), _batch(2)
    _say(method, {"bg_cls.3": background} | {f"inital_inner_cls.{n}.3": target for n in range(4)})
    seen: list[Tensor] = []
    for scale in range(4):
        merge = method.get_submodule(f"init_merge3.{scale}")
        merge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, 8:]))
    with torch.inference_mode():
        _scores(method, batch)
        maps = method.encode(batch.query)
        reduced = method.down_query(torch.cat([maps.layer3, maps.layer2], dim=1))
    assert [tensor.shape[-2:] for tensor in seen] == [(9, 7), (4, 3), (2, 1), (1, 1)]
    expected = reduced.mean(dim=(2, 3), keepdim=True) if all_distracting else torch.zeros(2, 8, 1, 1)
    torch.testing.assert_close(seen[0], expected.expand_as(seen[0]), atol=1e-6, rtol=1e-5)
    assert all(not tensor.any() for tensor in seen) != all_distracting


def test_distracting_objects_fill_a_part_of_the_map() -> None:
    # The mean is over all positions: half of them in the way give half of what all of them give.
    method = _build()
    pooled, merged = torch.ones(1, 8, 4, 4), torch.ones(1, 8, 4, 4)
    seen: list[Tensor] = []
    method.get_submodule("init_merge3.0").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0, 8:]))
    _say(method, {"inital_inner_cls.0.3": -1.0})
    background = torch.zeros(1, 2, 4, 4)
    background[:, 0] = 1.0
    background[:, 1, :2] = 2.0
    with torch.inference_mode():
        _, initial = method._without_distracting_objects(0, merged, pooled, background)
    assert seen[0].unique().tolist() == [0.5]
    assert initial[0, 1].unique().tolist() == [-1.0]


def test_losses_by_hand() -> None:
    method = _build().train()
    _say(
        method,
        {"cls.3": math.log(3), "bg_cls.3": math.log(4)}
        | {f"inner_cls.{n}.3": math.log(n + 1) for n in range(4)}
        | {f"inital_inner_cls.{n}.3": math.log(n + 2) for n in range(4)},
    )
    batch = _batch(2)
    batch.query_masks[:] = 0
    batch.query_masks[:, :, :, :14] = 1  # a quarter of the columns
    batch.support_masks[:] = 0
    losses = method.losses(batch)
    assert list(losses) == ["main", "enriched", "initial", "background", "contrast"]

    def entropy(odds: float) -> float:
        return -(0.25 * math.log(odds / (odds + 1)) + 0.75 * math.log(1 / (odds + 1)))

    assert losses["main"].item() == pytest.approx(entropy(3), abs=1e-5)
    assert losses["enriched"].item() == pytest.approx(0.4 * sum(map(entropy, (1, 2, 3, 4))) / 4, abs=1e-5)
    assert losses["initial"].item() == pytest.approx(0.6 * sum(map(entropy, (2, 3, 4, 5))) / 4, abs=1e-5)
    # The supports show no target, so all that is learnt from them is that background is everywhere.
    everywhere = -0.5 * math.log(4 / 5)
    assert losses["background"].item() == pytest.approx((-math.log(1 / 5) + 2 * everywhere) / 2, abs=1e-5)
    # Nothing is in the way, and no support shows a target: all prototypes but the predicted are empty, their cosines 0.
    assert {place: len(tensor) for place, tensor in method.seen.prototypes.items()} == {0: 2, 2: 2}
    assert not any(tensor.any() for tensor in method.seen.prototypes.values())
    assert losses["contrast"].item() == pytest.approx(0.01 * math.log(2), abs=1e-6)


def test_without_an_initial_prediction_its_weight_goes_to_the_scales() -> None:
    for variant in ("bgem", "baseline"):
        method = _build(variant).train()
        _say(method, {f"inner_cls.{n}.3": math.log(3) for n in range(4)})
        batch = _batch(1)
        batch.query_masks[:] = 1
        losses = method.losses(batch)
        assert losses.keys() == {"main", "enriched"} | ({"background"} if variant == "bgem" else set())
        assert losses["enriched"].item() == pytest.approx(-math.log(3 / 4), abs=1e-5)


def test_ignored_pixels_of_the_query_are_not_counted_and_foreground_can_count_more() -> None:
    method = _build().train()
    _say(method, {"cls.3": math.log(3)})
    batch = _batch(1)
    batch.query_masks[:] = 255
    batch.query_masks[:, :, :10] = 1
    batch.query_masks[:, :, 10:20] = 0
    weighted = TrainingBatch(**{**vars(batch), "foreground_weight": 3.0})
    assert method.losses(batch)["main"].item() == pytest.approx(-math.log(3 / 16) / 2, abs=1e-5)
    expected = -(3 * math.log(3 / 4) + math.log(1 / 4)) / 4
    assert method.losses(weighted)["main"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("loss", "reached"),
    [
        ("main", (ALWAYS | MINING | ELIMINATING) - {"down_bg", "bg_res1", "bg_cls", "inital_inner_cls", "inner_cls"}),
        (
            "enriched",
            {"down_query", "down_supp", "bg_prototype", "init_merge1", "init_merge2", "inital_beta_conv"}
            | {"init_merge3", "alpha_conv", "beta_conv", "inner_cls"},
        ),
        (
            "initial",
            {"down_query", "down_supp", "bg_prototype", "init_merge1", "init_merge2", "inital_beta_conv"}
            | {"inital_inner_cls"},
        ),
        ("background", {"down_query", "down_supp", "bg_prototype", "down_bg", "bg_res1", "bg_cls"}),
        ("contrast", {"down_query", "down_supp"}),
    ],
)
def test_a_loss_reaches_what_it_is_about_and_nothing_else(loss: str, reached: set[str]) -> None:
    method = _build().train()
    with torch.no_grad():
        # Say that the target and distracting objects are there.
        method.get_parameter("cls.3.bias").copy_(torch.tensor([0.0, 5.0]))
        method.get_parameter("bg_cls.3.bias").copy_(torch.tensor([5.0, 0.0]))
    method.losses(_batch(3))[loss].backward()
    moved = {name for name, tensor in method.named_parameters() if tensor.grad is not None and tensor.grad.any()}
    assert {name.partition(".")[0] for name in moved} == reached


def test_five_shots_that_are_alike_train_as_one() -> None:
    batch = _batch(2)
    five = TrainingBatch(
        **{
            **vars(batch),
            "supports": batch.supports.expand(-1, -1, 5, -1, -1, -1),
            "support_masks": batch.support_masks.expand(-1, -1, 5, -1, -1),
        }
    )
    one, many = _without_dropout(_build()), _without_dropout(_build(shot=5))
    # Another number of shots weighs query and supports otherwise.
    of_one, of_many = one.losses(batch), many.losses(five)
    for name in ("main", "enriched", "initial"):
        torch.testing.assert_close(of_many[name], of_one[name], atol=1e-5, rtol=1e-5)
    assert len(one.seen.prototypes[2]) == 2
    assert len(many.seen.prototypes[2]) == 6
    torch.testing.assert_close(many.seen.prototypes[2][:2], one.seen.prototypes[2])
    torch.testing.assert_close(many.seen.prototypes[2][1:], one.seen.prototypes[2][1:].expand(5, -1))


def test_what_was_seen_is_kept_for_a_resumed_run_and_not_in_the_weights() -> None:
    method = _without_dropout(_build())
    before = method.state_dict().keys()
    method.losses(_batch(3))
    assert method.state_dict().keys() == before
    state = {name: tensor.clone() for name, tensor in method.training_state().items()}
    assert {name: tensor.shape for name, tensor in state.items()} == {"2": (4, 8), "0": (2, 8)}

    resumed, forgetful = _without_dropout(_build()), _without_dropout(_build())
    resumed.load_training_state(state)
    after = [tensor.losses(_batch(3, seed=1))["contrast"] for tensor in (method, resumed, forgetful)]
    assert torch.equal(after[0], after[1])
    assert not torch.equal(after[0], after[2])
    assert all(torch.equal(tensor, method.training_state()[name]) for name, tensor in resumed.training_state().items())


def test_the_same_seed_gives_the_same_losses() -> None:
    results = []
    for _ in range(2):
        method = _build().train()
        method.seen.add([torch.rand(1500, 8, generator=torch.Generator().manual_seed(1))], [0] * 1500)
        torch.manual_seed(5)
        results.append(method.losses(_batch(3)))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_moving_statistics_see_the_query_and_every_support() -> None:
    for moving in (True, False):
        method = _build(shot=2, moving_statistics=moving).train()
        method.losses(_batch(2, shot=2))
        counts = {int(tensor) for key, tensor in method.state_dict().items() if key.endswith("num_batches_tracked")}
        assert counts == ({3} if moving else {0})


def test_statistics_move_as_released_and_learnable_parameters_are_the_releases() -> None:
    method = fssbench.build("ntrenet", backbone="resnet50")
    assert isinstance(method, NTRENet)
    assert method.moving_statistics
    assert not _build().moving_statistics
    assert method.learnable_parameters == 20_846_868
    assert method.bg_prototype.shape == (1, 256, 1, 1)


def test_scales_are_fractions_on_coco() -> None:
    info = method_info("ntrenet")
    assert info.options_on("coco20i", "bgem") == info.options_on("shapes20i") == {"bins": "fractions"}
    assert info.options_on("pascal5i") == {}


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no variant 'doem'"):
        fssbench.build("ntrenet", backbone="small", variant="doem")
    with pytest.raises(UsageError, match="bins"):
        _build(bins=(0,))
    with pytest.raises(UsageError, match="1-way"):
        fssbench.build("ntrenet", backbone="small", way=2)
