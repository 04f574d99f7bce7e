"""GF-SAM away from its golden cases: nothing found, empty masks, other sizes, and its two gates on small masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import fssbench
from fssbench.checkpoints import load_into
from fssbench.errors import UsageError
from fssbench.methods.base.dino_sam import central_square
from fssbench.methods.gfsam import (
    GFSAM,
    Alignment,
    _with_square,
    align,
    choose_points,
    cluster,
    overshooting_gate,
    point_map,
    positive_gate,
    united,
)

TINY = "dinov2-tiny+sam-tiny"
SIDE = 80


@pytest.fixture(scope="module")
def method() -> Any:
    torch.manual_seed(0)
    return fssbench.build("gfsam", TINY, shot=2)


def _images(count: int, height: int = SIDE, width: int = SIDE) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def _square(height: int = SIDE, width: int = SIDE) -> Tensor:
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[20:60, 10:50] = 1
    return mask


def test_without_a_point_the_prediction_is_background(method: GFSAM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.methods.gfsam.point_map", lambda alignment: torch.zeros_like(alignment.positive))
    prediction = method.segment(_images(1)[0], _images(2)[None], _square().expand(1, 2, -1, -1))
    assert not prediction.labels.any()
    assert prediction.present.tolist() == [False]


@torch.inference_mode()
def test_only_if_all_masks_are_empty_a_square_replaces_them(method: GFSAM) -> None:
    features = method.encode(_images(2))
    masks = torch.stack([_square(), torch.zeros_like(_square())])
    target = method.encode(_images(1))

    def maps(chosen: Tensor) -> Alignment:
        supports = method.condition(features, chosen)
        assert supports.empty.tolist() == (~(chosen == 1).flatten(1).any(dim=1)).tolist()
        shots = [method.condition(type(features)(features.tokens[k, None], None, None, features.size), chosen[k, None])
                 for k in range(2)]  # fmt: skip
        return align(target.tokens, _with_square(shots))

    square = central_square((SIDE, SIDE)).to(torch.uint8).expand(2, -1, -1)
    assert int(square[0].sum()) == 14 * 14
    assert torch.equal(maps(torch.zeros_like(square)).positive, maps(square).positive)
    # One empty mask among others is no object: it halves the similarity.
    assert maps(masks).positive.abs().max() < maps(masks[:1].expand(2, -1, -1)).positive.abs().max()


def test_the_number_of_points_is_the_sum_of_the_map() -> None:
    values = torch.zeros(6, 6)
    assert choose_points(values).shape == (0, 2)
    values[2, 1] = 0.3
    assert choose_points(values).tolist() == [[1, 2]]
    values[4, 0], values[1, 5] = 0.9, 1.0
    # Two points, column by column.
    assert choose_points(values).tolist() == [[0, 4], [5, 1]]
    assert len(choose_points(torch.ones(20, 20))) == 128


def test_no_point_where_the_background_is_more_similar() -> None:
    maximum, positive = torch.ones(2, 2), torch.tensor([[0.1, 0.9], [0.8, 0.5]])
    negative = torch.tensor([[0.0, 0.2], [1.0, 0.0]])
    values = point_map(Alignment(maximum, positive, negative))
    assert values[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert values[1, 0] == 0.0
    assert values[1, 1] == pytest.approx(0.5, abs=1e-5)


def _masks(*parts: tuple[slice, slice]) -> Tensor:
    masks = torch.zeros(len(parts), 40, 40, dtype=torch.bool)
    for mask, part in zip(masks, parts, strict=True):
        mask[part] = True
    return masks


def test_points_that_a_mask_covers_are_of_one_cluster() -> None:
    masks = _masks((slice(0, 20), slice(0, 20)), (slice(0, 5), slice(0, 5)), (slice(30, 40), slice(30, 40)))
    # On a grid of 4 x 4; the second point lies under the first mask, the third alone.
    points = torch.tensor([[0, 0], [1, 1], [3, 3]])
    assert cluster(masks, points, 4).tolist() == [0, 0, 1]


def test_a_mask_is_accepted_for_what_it_adds_to_the_object() -> None:
    whole, half = (slice(0, 40), slice(0, 40)), (slice(0, 40), slice(0, 20))
    positive = torch.zeros(4, 4)
    positive[:, :2] = 1.0
    alignment = Alignment(positive, positive, 1.0 - positive)
    grown, scores = positive_gate(_masks(whole, half), torch.tensor([0, 0]), alignment)
    # The half is the object; the whole would add background only. The score is of the mask that was tried last.
    assert grown.tolist() == [False, True]
    assert scores.tolist() == [-8.0, -8.0]


def test_a_cluster_whose_points_resemble_another_one_is_dropped() -> None:
    tokens = torch.zeros(1, 16, 2)
    tokens[0, :, 0] = 1.0
    tokens[0, 12:] = torch.tensor([0.0, 1.0])
    masks = _masks((slice(0, 30), slice(0, 40)), (slice(30, 40), slice(0, 20)), (slice(30, 40), slice(20, 40)))
    points = torch.tensor([[0, 0], [0, 3], [3, 3]])
    assert overshooting_gate(masks, torch.tensor([0, 1, 1]), points, tokens).tolist() == [True, True, True]
    # A mask on the other cluster's patches: its point resembles that cluster.
    wrong = _masks((slice(0, 10), slice(0, 40)), (slice(10, 20), slice(0, 40)))
    alone = overshooting_gate(wrong, torch.tensor([0, 1]), torch.tensor([[0, 0], [0, 3]]), tokens)
    assert alone.tolist() == [True, False]


def test_if_no_mask_passes_both_gates_the_best_that_passes_one_is_taken() -> None:
    masks = _masks(*[(slice(n, n + 1), slice(0, 40)) for n in range(4)])
    neither, one = torch.zeros(4, dtype=torch.bool), torch.tensor([False, True, True, False])
    assert torch.equal(united(masks, one, one, torch.zeros(4)), masks[1] | masks[2])
    scores = torch.tensor([9.0, 0.5, 0.7, 8.0])
    assert torch.equal(united(masks, one, neither, scores), masks[2])
    assert torch.equal(united(masks, neither, neither, scores), masks[0])
    assert torch.equal(united(masks, one, neither, -scores), masks[0])  # quirk: one that passed none


def test_any_shape_of_photo_is_taken(method: GFSAM) -> None:
    query, supports = _images(1, 60, 100)[0], _images(2, 60, 100)
    prediction = method.segment(query, supports[None], _square(60, 100).expand(1, 2, -1, -1), size=(120, 200))
    assert prediction.labels.shape == (120, 200)


def test_a_prepared_query_holds_no_picture(method: GFSAM) -> None:
    features = method.encode(_images(1))
    prepared = method.prepare_query(features)
    assert prepared.picture is None
    assert method.prepare_query(prepared) is prepared
    assert features.picture is not None


def test_each_network_has_its_own_file(method: GFSAM, tmp_path: Path) -> None:
    for name in ("encoder", "sam"):
        state = {
            key.partition(".")[2]: value.clone() for key, value in method.state_dict().items() if key.startswith(name)
        }
        save_file(state, tmp_path / f"{name}.safetensors")
    files = [tmp_path / "sam.safetensors", tmp_path / "encoder.safetensors"]
    for order in (files, files[::-1]):
        torch.manual_seed(1)
        other = fssbench.build("gfsam", TINY)
        load_into(other, *order)
        assert all(torch.equal(value, method.state_dict()[key]) for key, value in other.state_dict().items())


@pytest.mark.parametrize("backbone", ["sam-tiny", "dinov2-tiny", "sam-tiny+dinov2-tiny"])
def test_other_backbones_are_refused(backbone: str) -> None:
    with pytest.raises(UsageError, match="gfsam has no backbone"):
        fssbench.build("gfsam", backbone)
    with pytest.raises(UsageError, match=r"joined by \+|is not a DINOv2"):
        GFSAM(backbone, way=1, shot=1)
