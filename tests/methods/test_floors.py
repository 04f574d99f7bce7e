"""The floors do what they say."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import fssbench
from fssbench.errors import UsageError
from fssbench.layers.masks import foreground, resize_mask


def test_all_foreground() -> None:
    method = fssbench.build("all-foreground")
    prediction = method.segment(torch.zeros(3, 8, 8), torch.zeros(1, 1, 3, 8, 8), torch.zeros(1, 1, 8, 8), size=(5, 6))
    assert prediction.labels.eq(1).all()
    assert prediction.labels.shape == (5, 6)


def test_nothing_finds_no_class() -> None:
    method = fssbench.build("nothing", variant="fscs", way=2)
    prediction = method.segment(torch.zeros(3, 8, 8), torch.zeros(2, 1, 3, 8, 8), torch.ones(2, 1, 8, 8), size=(5, 6))
    assert prediction.labels.eq(0).all()
    assert prediction.logits.argmax(dim=0).eq(0).all()
    assert prediction.present.tolist() == [False, False]


def test_copy_mask_pastes_the_support_mask() -> None:
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    mask[..., :2, :2] = 1
    prediction = fssbench.build("copy-mask").segment(
        torch.zeros(3, 4, 4), torch.zeros(1, 1, 3, 4, 4), mask, size=(8, 8)
    )
    expected = torch.zeros(8, 8, dtype=torch.uint8)
    expected[:4, :4] = 1
    assert torch.equal(prediction.labels, expected)


def test_copy_mask_keeps_what_half_of_the_shots_share() -> None:
    masks = torch.tensor([[1, 1, 0], [1, 0, 0]], dtype=torch.uint8).view(1, 2, 1, 3)
    method = fssbench.build("copy-mask", shot=2)
    prediction = method.segment(torch.zeros(3, 1, 3), torch.zeros(1, 2, 3, 1, 3), masks)
    assert prediction.labels.tolist() == [[1, 1, 0]]


def test_prototype_finds_the_surface_it_was_shown() -> None:
    torch.manual_seed(0)
    method = fssbench.build("prototype", backbone="small")
    support = torch.full((3, 192, 192), -1.0)
    support[0, :, :96] = 2.0
    mask = torch.zeros(192, 192, dtype=torch.uint8)
    mask[:, :96] = 1
    query = support.flip(-1)
    labels = method.segment(query, support[None, None], mask[None, None]).labels
    # Away from the border between the two surfaces the prediction is the mirrored mask.
    assert labels[:, 120:].float().mean() > 0.9
    assert labels[:, :72].float().mean() < 0.1


def _episode() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(1, 1, 97, 65, dtype=torch.uint8)
    mask[..., 20:60, 10:40] = 1
    query, support = torch.randn(2, 3, 97, 65, generator=generator)
    return query, support[None, None], mask


def _cosines(map_of_query: torch.Tensor, map_of_support: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the cosine of background and foreground at each position (2, h, w), in plain steps."""
    weight = resize_mask(foreground(mask[0]), map_of_support)[0]
    means = [(map_of_support[0] * part).sum((1, 2)) / (part.sum() + 1e-5) for part in (1 - weight, weight)]
    return torch.stack([F.cosine_similarity(map_of_query[0], mean[:, None, None], dim=0) for mean in means])


@pytest.mark.parametrize(
    ("variant", "options", "layers"),
    [
        ("fss", {}, (3,)),
        ("middle", {}, (3,)),
        ("deep", {}, (5,)),
        ("fss", {"layers": (1, -1)}, (1, 5)),
        ("deep", {"layers": (0,)}, (0,)),
    ],
)
def test_prototypes_of_these_maps(variant: str, options: dict[str, tuple[int, ...]], layers: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    method = fssbench.build("prototype", backbone="small", variant=variant, **options)
    query, support, mask = _episode()
    with torch.inference_mode():
        ours, theirs = method.backbone(query[None]), method.backbone(support[0])
        expected = [_cosines(F.relu(ours[place]), F.relu(theirs[place]), mask) for place in layers]
        size = expected[0].shape[1:]
        resized = [F.interpolate(one[None], size, mode="bilinear", align_corners=True)[0] for one in expected]
        mean = torch.stack(resized).mean(dim=0)
        logits = F.interpolate(mean[None], (97, 65), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(method.segment(query, support, mask).logits, logits, atol=1e-5, rtol=0)


def test_without_a_prototype_of_the_background_the_query_decides() -> None:
    torch.manual_seed(0)
    method = fssbench.build("prototype", backbone="small", variant="foreground")
    query, support, mask = _episode()
    with torch.inference_mode():
        ours, theirs = method.backbone(query[None]), method.backbone(support[0])
        similarity = _cosines(F.relu(ours[3]), F.relu(theirs[3]), mask)[1]
        similarity -= (similarity.min() + similarity.max()) / 2
        logits = F.interpolate(similarity[None, None], (97, 65), mode="bilinear", align_corners=True)[0, 0]
    prediction = method.segment(query, support, mask)
    assert prediction.logits[0].eq(0).all()
    torch.testing.assert_close(prediction.logits[1], logits, atol=1e-5, rtol=0)
    assert 0 < prediction.labels.sum() < prediction.labels.numel()
    same = fssbench.build("prototype", backbone="small", background=False)
    same.load_state_dict(method.state_dict())
    assert torch.equal(same.segment(query, support, mask).logits, prediction.logits)


def test_several_maps_of_efficientnet_lite_without_a_relu() -> None:
    torch.manual_seed(0)
    method = fssbench.build("prototype", backbone="efficientnet-lite0")
    query, support, mask = _episode()
    with torch.inference_mode():
        maps = method.encode(query[None])
        raw = method.backbone(query[None])
    assert [one.shape[1] for one in maps] == [112, 192, 320]
    assert all(torch.equal(one, raw[place]) for one, place in zip(maps, (7, 11, 12), strict=True))
    assert method.segment(query, support, mask).labels.shape == (97, 65)


@pytest.mark.parametrize("layers", [(), (6,), (-7,), ("deep",)])
def test_a_map_that_is_not_there_is_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"the 6 maps of small, 0 to 5"):
        fssbench.build("prototype", backbone="small", layers=layers)
