"""PANet's prototypes, its alignment loss, and what iFSL's form does differently."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import fssbench
from fssbench.errors import UsageError
from fssbench.methods.base.method import TrainingBatch
from fssbench.methods.panet import PANetMaps, PANetSupport, alignment_loss, scaled_cosine
from fssbench.protocols.label_maps import OTHER_CLASS

SIDE = 96


def _batch(ways: int, shots: int, pairs: int = 2) -> TrainingBatch:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(pairs, ways, SIDE, SIDE, dtype=torch.uint8)
    for n in range(ways):
        masks[:, n, 10 + 40 * n : 45 + 40 * n, 20:70] = 1
    return TrainingBatch(
        torch.randn(pairs, 3, SIDE, SIDE, generator=generator),
        masks,
        torch.randn(pairs, ways, shots, 3, SIDE, SIDE, generator=generator),
        masks[:, :, None].expand(-1, -1, shots, -1, -1).contiguous(),
        torch.zeros(pairs, ways, dtype=torch.int64),
        torch.zeros(pairs, SIDE, SIDE, dtype=torch.uint8),
    )


def test_prototypes_are_those_of_features_brought_to_the_masks_size():
    method = fssbench.build("panet", backbone="small")
    features = torch.randn(2, 5, 7, 9)
    mask = (torch.rand(2, 50, 61) > 0.6).to(torch.uint8)
    mask[0, :4] = 255
    kept = method.condition(PANetMaps(features, (50, 61)), mask)
    upsampled = F.interpolate(features, (50, 61), mode="bilinear", align_corners=False)
    inside = (mask == 1).float()[:, None]
    torch.testing.assert_close(kept.sums[:, 1], (upsampled * inside).sum(dim=(2, 3)), atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(kept.sums[:, 0], (upsampled * (1 - inside)).sum(dim=(2, 3)), atol=1e-3, rtol=1e-5)
    assert torch.equal(kept.areas[:, 1], inside.sum(dim=(1, 2, 3)))
    assert torch.equal(kept.areas.sum(dim=1), torch.full((2,), 50.0 * 61.0))


def test_another_class_of_the_episode_is_in_neither_prototype():
    method = fssbench.build("panet", backbone="small", way=2)
    features = torch.randn(1, 5, 7, 9)
    mask = torch.zeros(1, 50, 61, dtype=torch.uint8)
    mask[0, 10:30, 10:30] = 1
    alone = method.condition(PANetMaps(features, (50, 61)), mask)
    mask[0, 35:45, 5:50] = OTHER_CLASS
    kept = method.condition(PANetMaps(features, (50, 61)), mask)
    assert torch.equal(kept.sums[:, 1], alone.sums[:, 1])
    assert (alone.areas - kept.areas).tolist() == [[450.0, 0.0]]
    upsampled = F.interpolate(features, (50, 61), mode="bilinear", align_corners=False)
    lost = upsampled[0, :, 35:45, 5:50].sum(dim=(1, 2))
    torch.testing.assert_close(alone.sums[0, 0] - kept.sums[0, 0], lost, atol=1e-3, rtol=1e-5)


def test_its_own_form_takes_one_to_five_ways():
    images, masks = torch.randn(5, 2, 3, 64, 64), torch.zeros(5, 2, 64, 64, dtype=torch.uint8)
    for way in range(5):
        masks[way, :, 10 * way : 10 * way + 12] = 1
    found = fssbench.build("panet", backbone="small", way=5, shot=2).segment(torch.randn(3, 64, 64), images, masks)
    assert (found.logits.shape, found.present.shape) == ((6, 64, 64), (5,))
    with pytest.raises(UsageError, match="panet predicts episodes of 1 to 5 ways unless variant='fscs', not 6-way"):
        fssbench.build("panet", way=6)


def test_shots_and_ways_are_averaged_by_image_as_released_and_by_position_in_ifsl():
    def support(background: float, foreground: float, areas: tuple[float, float]) -> PANetSupport:
        sums = torch.tensor([[[background * areas[0]], [foreground * areas[1]]]])
        return PANetSupport(sums, torch.tensor([areas]))

    ways = [[support(1.0, 10.0, (3.0, 1.0)), support(5.0, 20.0, (1.0, 3.0))], [support(2.0, 40.0, (4.0, 4.0))] * 2]
    released = fssbench.build("panet", backbone="small").prototypes(ways)
    torch.testing.assert_close(released, torch.tensor([[[2.5], [15.0], [40.0]]]), atol=1e-3, rtol=0)
    joint = fssbench.build("panet", backbone="small", variant="fscs", way=2, shot=2).prototypes(ways)
    # Background: (3 * 1 + 1 * 5 + 8 * 2) / 12; first way: (1 * 10 + 3 * 20) / 4.
    torch.testing.assert_close(joint, torch.tensor([[[2.0], [17.5], [40.0]]]), atol=1e-3, rtol=0)


def test_the_fscs_form_takes_every_position_that_the_mask_touches():
    method = fssbench.build("panet", backbone="small", variant="fscs")
    mask = torch.zeros(1, 9, 9, dtype=torch.uint8)
    mask[0, 0, 0] = 1
    kept = method.condition(PANetMaps(torch.ones(1, 1, 3, 3), (9, 9)), mask)
    assert kept.areas.tolist() == [[8.0, 1.0]]


def test_scores_are_twenty_cosines():
    features = torch.tensor([[[[3.0]], [[4.0]]]])
    scores = scaled_cosine(features, torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
    torch.testing.assert_close(scores.flatten(), torch.tensor([12.0, 16.0]))


def test_the_alignment_loss_by_hand():
    # Two positions: the left is background (0, 1), the right foreground (1, 0), and predicted so.
    query = torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]])
    scores = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    masks = torch.tensor([[[[[0, 1]]]]], dtype=torch.uint8)
    right = math.log1p(math.exp(-20.0 / (1 + 1e-5)))
    aligned = alignment_loss(query, scores, query[:, None, None], masks)
    assert aligned.item() == pytest.approx(right, abs=1e-6)
    wrong = alignment_loss(query, scores, query[:, None, None], 1 - masks)
    assert wrong.item() == pytest.approx(20.0, rel=1e-4)
    # A class that is predicted nowhere has no prototype.
    assert alignment_loss(query, -scores * torch.tensor([[[[-1.0]], [[1.0]]]]), query[:, None, None], masks) == 0


@pytest.mark.parametrize(("variant", "ways", "shots"), [("fss", 1, 2), ("fscs", 1, 1), ("fscs", 3, 2)])
def test_the_whole_backbone_learns(variant: str, ways: int, shots: int):
    torch.manual_seed(0)
    method = fssbench.build("panet", backbone="small", variant=variant, way=ways, shot=shots).train()
    losses = method.losses(_batch(ways, shots))
    assert set(losses) == ({"query", "alignment"} if variant == "fss" else {"segmentation"})
    sum(losses.values()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in method.parameters())
    assert method.learnable_parameters == sum(parameter.numel() for parameter in method.parameters())


def test_weak_labels_are_a_loss_of_presence_alone():
    torch.manual_seed(0)
    method = fssbench.build("panet", backbone="small", variant="fscs", weak=True)
    batch = _batch(1, 1)
    assert set(method.losses(batch)) == {"classification"}


def test_ways_compete_for_one_background():
    torch.manual_seed(0)
    method = fssbench.build("panet", backbone="small", variant="fscs", way=2)
    batch = _batch(2, 1, pairs=1)
    prediction = method.segment(batch.query[0], batch.supports[0], batch.support_masks[0])
    torch.testing.assert_close(prediction.logits[:, 0, 0].exp().sum(), torch.tensor(1.0))
    assert prediction.present.shape == (2,)


def test_vgg_takes_torchvisions_convolutions_in_their_order():
    method = fssbench.build("panet", backbone="vgg16")
    own = method.state_dict()
    file = {f"features.{place}.{kind}": torch.tensor(place) for place in range(29) for kind in ("bias", "weight")}
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    file = {key: value for key, value in file.items() if int(value) in places} | {"classifier.0.bias": torch.tensor(0)}
    named = method.from_imagenet(file)
    assert list(named) == list(own)
    assert named["encoder.backbone.features.4.2.weight"] == 12
    assert named["encoder.backbone.features.8.4.bias"] == 28


def test_each_form_has_a_default_backbone_of_its_own():
    assert [fssbench.build("panet", variant=form).built.backbone for form in ("fss", "fscs")] == ["vgg16", "resnet50"]


@pytest.mark.parametrize(("variant", "backbone"), [("fss", "resnet50"), ("fscs", "vgg16")])
def test_backbones_of_the_other_form_are_refused(variant: str, backbone: str):
    with pytest.raises(UsageError, match=f"no backbone '{backbone}' in variant {variant}"):
        fssbench.build("panet", backbone=backbone, variant=variant)
