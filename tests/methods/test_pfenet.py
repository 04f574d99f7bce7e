"""PFENet: what its two forms share and differ in, its losses, and what training moves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.errors import CheckpointError, UsageError
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.catalogue import method_info
from fssbench.methods.pfenet import PFENet, PFENetQuery, PFENetSupport

SIDES = (72, 56)


def _build(variant: str = "fss", way: int = 1, shot: int = 1, **options: Any) -> PFENet:
    torch.manual_seed(0)
    method = fssbench.build("pfenet", backbone="small", variant=variant, way=way, shot=shot, width=8, **options)
    assert isinstance(method, PFENet)
    return method


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, 3, *SIDES, generator=torch.Generator().manual_seed(seed))


def _masks(*shape: int) -> Tensor:
    masks = torch.zeros(math.prod(shape), *SIDES, dtype=torch.uint8)
    for n, mask in enumerate(masks):
        mask[8 + 4 * n : 40 + 4 * n, 8:40] = 1
    return masks.view(*shape, *SIDES)


def _batch(size: int, way: int = 1, shot: int = 1) -> TrainingBatch:
    return TrainingBatch(
        query=_images(size),
        query_masks=_masks(size, way),
        supports=_images(size, way, shot, seed=1),
        support_masks=_masks(size, way, shot),
        classes=torch.zeros(size, way, dtype=torch.int64),
        query_labels=_masks(size),
    )


def _scores(method: PFENet, batch: TrainingBatch) -> Tensor:
    _, ways, shots = batch.support_masks.shape[:3]
    supports = [
        [method.condition(method.encode(batch.supports[:, n, k]), batch.support_masks[:, n, k]) for k in range(shots)]
        for n in range(ways)
    ]
    return method.score_ways(method.encode(batch.query), supports)


def _part(batch: TrainingBatch, n: int) -> TrainingBatch:
    return TrainingBatch(
        **{key: tensor[n : n + 1] for key, tensor in vars(batch).items() if isinstance(tensor, Tensor)}
    )


@pytest.mark.parametrize(("variant", "way"), [("fss", 1), ("fscs", 1), ("fscs", 2), ("fscs", 3)])
def test_a_batch_of_three_equals_three_of_one(variant: str, way: int) -> None:
    method = _build(variant, way, shot=2)
    batch = _batch(3, way, shot=2)
    with torch.inference_mode():
        together = _scores(method, batch)
        assert together.shape == (3, way, 2, 9, 7)
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


def test_logits_come_to_the_answer_by_way_of_the_size_of_the_image() -> None:
    method = _build()
    batch = _batch(1)
    own = method.segment(batch.query[0], batch.supports[0], batch.support_masks[0])
    twice = method.segment(batch.query[0], batch.supports[0], batch.support_masks[0], size=(19, 31))
    resized = nn.functional.interpolate(own.logits[None], (19, 31), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(twice.logits, resized)


def test_supports_that_are_alike_count_as_one() -> None:
    batch = _batch(1)
    five = batch.supports.expand(-1, -1, 5, -1, -1, -1), batch.support_masks.expand(-1, -1, 5, -1, -1)
    for variant in ("fss", "fscs"):
        one = _build(variant).segment(batch.query[0], batch.supports[0], batch.support_masks[0])
        many = _build(variant, shot=5).segment(batch.query[0], five[0][0], five[1][0])
        torch.testing.assert_close(one.logits, many.logits, atol=1e-5, rtol=1e-5)


def test_the_corrected_prior_scores_ways_alone_and_the_released_one_mixes_them() -> None:
    batch = _batch(1, way=2)
    alone = torch.cat([_scores(_build("fscs"), _way(batch, n)) for n in range(2)], dim=1)
    torch.testing.assert_close(_scores(_build("fscs", 2, per_way_prior=True), batch), alone, atol=1e-5, rtol=1e-5)
    assert (_scores(_build("fscs", 2), batch) - alone).abs().max() > 1e-4


def _way(batch: TrainingBatch, n: int) -> TrainingBatch:
    return TrainingBatch(
        batch.query,
        batch.query_masks[:, n : n + 1],
        batch.supports[:, n : n + 1],
        batch.support_masks[:, n : n + 1],
        batch.classes[:, n : n + 1],
        batch.query_labels,
    )


def test_with_two_ways_channels_of_the_released_prior_are_pairs_of_one_way() -> None:
    # What the bug does, said without a reshape: channel c of the similarity is the first way's channels 2c and 2c + 1
    # for the first half of the channels, and the second way's for the others.
    method = _build("fscs", 2)
    channels = method.stages.channels[2]
    generator = torch.Generator().manual_seed(0)
    query, first, second = (torch.rand(1, channels, 4, 4, generator=generator) for _ in range(3))
    pairs = torch.cat([first, second], dim=1)
    positions = torch.cat([pairs[:, 0::2].flatten(2), pairs[:, 1::2].flatten(2)], dim=2)
    cosine = nn.functional.cosine_similarity(query.flatten(2)[..., None], positions[:, :, None], dim=1)
    alike = cosine.amax(dim=2)
    expected = ((alike - alike.min()) / (alike.max() - alike.min())).view(4, 4)

    maps = PFENetQuery(torch.zeros(1, 8, 4, 4), query, (32, 32))
    seen: list[Tensor] = []
    method.learner.init_merge[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.score_ways(maps, [[PFENetSupport(torch.zeros(1, 8, 1, 1), layer4)] for layer4 in (first, second)])
    for way in range(2):
        torch.testing.assert_close(seen[0][way, -1], expected, atol=1e-5, rtol=0)


def _say(method: PFENet, biases: dict[str, float]) -> None:
    """Make each classifier say the same everywhere: logits 0 and its bias."""
    for name, bias in biases.items():
        last = method.get_submodule(name)
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor([0.0, bias])


def test_losses_by_hand() -> None:
    method = _build().train()
    thirds = {"cls.3": math.log(3)} | {f"inner_cls.{n}.3": math.log(n + 1) for n in range(4)}
    _say(method, thirds)
    batch = _batch(2)
    batch.query_masks[:] = 0
    batch.query_masks[:, :, :, :14] = 1  # a quarter of the columns
    losses = method.losses(batch)
    assert losses.keys() == {"main", "auxiliary"}
    main = -(0.25 * math.log(3 / 4) + 0.75 * math.log(1 / 4))
    scales = [-(0.25 * math.log(odds / (odds + 1)) + 0.75 * math.log(1 / (odds + 1))) for odds in (1, 2, 3, 4)]
    assert losses["main"].item() == pytest.approx(main, abs=1e-5)
    assert losses["auxiliary"].item() == pytest.approx(sum(scales) / 4, abs=1e-5)


def test_ignored_pixels_of_the_query_are_not_counted() -> None:
    method = _build().train()
    _say(method, {"cls.3": math.log(3)})
    batch = _batch(1)
    batch.query_masks[:] = 255
    batch.query_masks[:, :, :10] = 1
    assert method.losses(batch)["main"].item() == pytest.approx(-math.log(3 / 4), abs=1e-5)


def test_foreground_can_count_more() -> None:
    method = _build().train()
    _say(method, {"cls.3": math.log(3)} | {f"inner_cls.{n}.3": math.log(3) for n in range(4)})
    batch = replace(_batch(1), foreground_weight=3.0)
    batch.query_masks[:] = 0
    batch.query_masks[:, :, :, :14] = 1  # a quarter of the columns, which count as half
    expected = -(math.log(3 / 4) + math.log(1 / 4)) / 2
    for loss in method.losses(batch).values():
        assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_the_fscs_form_has_the_loss_of_ifsl_alone() -> None:
    method = _build("fscs", 2).train()
    last = method.get_submodule("learner.cls.3")
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.0, math.log(3)])
    batch = _batch(3, way=2)
    batch.query_masks[:] = 0
    batch.query_masks[:, 0, :, :14] = 1  # a quarter of the columns is the first class, a quarter the second
    batch.query_masks[:, 1, :, 14:28] = 1
    losses = method.losses(batch)
    assert losses.keys() == {"segmentation"}
    assert losses["segmentation"].item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2, abs=1e-5)


def test_gradients_of_the_fscs_form() -> None:
    method = _build("fscs", 2).train()
    sum(method.losses(_batch(3, way=2)).values(), torch.zeros(())).backward()
    # The inner classifiers are built, and iFSL does not train them.
    unused = [name for name, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert all(name.startswith("learner.inner_cls.") for name in unused)
    assert len(unused) == 12
    assert all(p.grad is None for p in method.stages.parameters())


@pytest.mark.parametrize("shot", [1, 5])
def test_gradients_reach_the_head_and_not_the_backbone(shot: int) -> None:
    method = _build(shot=shot).train()
    sum(method.losses(_batch(2, shot=shot)).values(), torch.zeros(())).backward()
    head = {name: p.grad for name, p in method.named_parameters() if not name.startswith("backbone.")}
    assert len(head) == 2 + 4 * (1 + 2 + 3) + 3 + 1 + 2 + 3
    assert all(grad is not None and grad.abs().sum() > 0 for grad in head.values())
    assert all(p.grad is None and not p.requires_grad for p in method.stages.parameters())


def _statistics(method: PFENet) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in method.state_dict().items() if "running" in key or "tracked" in key}


@pytest.mark.parametrize("variant", ["fss", "fscs"])
def test_a_frozen_backbone_keeps_its_statistics_unless_told_otherwise(variant: str) -> None:
    method = _build(variant).train()
    before = _statistics(method)
    _scores(method, _batch(2))
    after = _statistics(method)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_moving_statistics_see_the_query_and_every_support() -> None:
    method = _build(shot=2, moving_statistics=True).train()
    method.losses(_batch(2, shot=2))
    counts = {int(value) for key, value in method.state_dict().items() if key.endswith("num_batches_tracked")}
    assert counts == {3}
    assert all(p.grad is None for p in method.stages.parameters())
    before = _statistics(method.eval())
    _scores(method, _batch(1))
    assert all(torch.equal(value, before[key]) for key, value in _statistics(method).items())


def test_statistics_move_as_released() -> None:
    released = {("fss", "resnet50"): True, ("fscs", "resnet50"): False, ("fss", "small"): False}
    for (variant, backbone), moving in released.items():
        method = fssbench.build("pfenet", backbone=backbone, variant=variant)
        assert isinstance(method, PFENet)
        assert method.moving_statistics == moving
        assert all(stage.training == moving for stage in method.train().stages.children())


def test_learnable_parameters_are_those_of_the_release() -> None:
    # The paper prints 10.8 M.
    assert fssbench.build("pfenet", backbone="resnet50").learnable_parameters == 10_817_034


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("variant", ["fss", "fscs"])
def test_a_released_state_loads_strictly(prefix: str, variant: str) -> None:
    source, target = _build(variant), _build(variant)
    state = {f"{prefix}{key}": torch.full_like(value, 3) for key, value in source.state_dict().items()}
    fssbench.load_release(target, state)
    assert all(value.eq(3).all() for value in target.state_dict().values())
    state.pop(f"{prefix}{'learner.' if variant == 'fscs' else ''}res1.0.weight")
    with pytest.raises(CheckpointError, match=r"missing: .*res1"):
        fssbench.load_release(target, state)


def test_scales_are_those_of_the_release_for_a_data_set() -> None:
    info = method_info("pfenet")
    assert info.options_on("coco20i") == info.options_on("coco20i", "fss") == {"bins": "fractions"}
    assert info.options_on("coco20i", "fscs") == {}
    assert info.options_on("pascal5i", "fss") == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "resnet101", "variant": "fscs"}, "no backbone 'resnet101' in variant fscs"),
        ({"backbone": "vgg16", "variant": "fscs"}, "no backbone 'vgg16' in variant fscs"),
        ({"backbone": "small", "per_way_prior": True}, "variant fscs"),
        ({"backbone": "small", "bins": "halves"}, "'halves'"),
        ({"backbone": "small", "bins": (0,)}, "bins"),
    ],
)
def test_what_it_was_not_released_with_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fssbench.build("pfenet", **arguments)


def test_the_configuration_that_was_assumed_for_released_weights_is_named(caplog: pytest.LogCaptureFixture) -> None:
    method = fssbench.build("pfenet")
    state = method.state_dict()
    fssbench.load_release(method, state)
    assert "pfenet: weights do not show" in caplog.text
    assert "bins; that of pascal5i was assumed" in caplog.text
    caplog.clear()
    for known in (
        fssbench.build("pfenet", trained_on="coco20i"),
        fssbench.build("pfenet", bins="fractions"),
        fssbench.build("pfenet", backbone="small"),
        fssbench.build("bam", backbone="small"),
    ):
        fssbench.load_release(known, known.state_dict())
    assert not caplog.text


def test_a_release_is_built_as_it_was_configured_for_a_data_set() -> None:
    coco, pascal = fssbench.build("pfenet", trained_on="coco20i"), fssbench.build("pfenet", trained_on="pascal5i")
    assert isinstance(coco, PFENet)
    assert isinstance(pascal, PFENet)
    assert coco.built is not None
    assert coco.built.options == {"bins": "fractions"}
    assert coco._enrichment[0].bins == (1.0, 0.5, 0.25, 0.125)
    assert pascal._enrichment[0].bins == (60, 30, 15, 8)
    fssbench.load_release(coco, coco.state_dict(), trained_on="coco20i")
    for method, other in ((coco, "pascal5i"), (pascal, "coco20i")):
        with pytest.raises(UsageError, match=f"configuration for {other}, which differs in bins"):
            fssbench.load_release(method, method.state_dict(), trained_on=other)
    with pytest.raises(UsageError, match="nowhere"):
        fssbench.build("pfenet", trained_on="nowhere")
    own = fssbench.build("pfenet", trained_on="coco20i", bins=(8, 4))
    assert own.built is not None
    assert own.built.options == {"bins": (8, 4)}
