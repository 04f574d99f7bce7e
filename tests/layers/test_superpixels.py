"""Seeds, clusters and the allocation of prototypes, on objects small enough to reckon by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fssbench.layers.superpixels import (
    Prototypes,
    allocate,
    concatenate_shots,
    place_seeds,
    prototypes,
    superpixel_centres,
)


def _box(size: tuple[int, int], rows: slice, columns: slice) -> torch.Tensor:
    mask = torch.zeros(size)
    mask[rows, columns] = 1
    return mask


def test_the_first_seed_is_farthest_from_the_rim_and_the_others_from_each_other() -> None:
    # A disc's middle, and then places on its far sides.
    rows, columns = np.indices((21, 21))
    disc = torch.from_numpy(((rows - 10) ** 2 + (columns - 10) ** 2 <= 64).astype(np.float32))
    seeds = place_seeds(disc, (21, 21), area=50, most=5)
    assert len(seeds) == 4  # 197 positions
    assert seeds[0].tolist() == [10, 10]
    apart = torch.cdist(seeds.float(), seeds.float()).fill_diagonal_(torch.inf)
    assert apart.min() > 3
    assert all(disc[row, column] == 1 for row, column in seeds.tolist())


def test_the_number_of_seeds_follows_the_area_rounded_half_to_even() -> None:
    mask = _box((12, 12), slice(1, 6), slice(1, 11))  # 50 positions
    assert len(place_seeds(mask, (12, 12), area=20, most=5)) == 2  # 2.5
    assert len(place_seeds(mask, (12, 12), area=50 / 3.5, most=5)) == 4  # 3.5
    assert len(place_seeds(mask, (12, 12), area=1, most=5)) == 5


@pytest.mark.parametrize("inside", [0, 1, 7])
def test_an_object_without_room_for_two_superpixels_has_no_seed(inside: int) -> None:
    mask = torch.zeros(9, 9)
    mask.view(-1)[:inside] = 1
    assert place_seeds(mask, (9, 9), area=5, most=5).shape == (0, 2)


def test_seeds_in_an_object_that_fills_its_box_start_far_from_above_its_corner() -> None:
    seeds = place_seeds(_box((10, 10), slice(3, 7), slice(2, 8)), (10, 10), area=8, most=3)
    assert seeds[0].tolist() == [6, 7]
    assert seeds[1].tolist() == [3, 2]


def test_seeds_on_the_first_row_or_column_may_be_lost() -> None:
    # Of (5, 5), (0, 0), (0, 5) and (5, 0) two have a row, and two a column, that is not 0: two are kept.
    full = torch.ones(6, 6)
    assert place_seeds(full, (6, 6), area=9, most=4).tolist() == [[5, 5], [0, 0]]
    moved = torch.zeros(7, 7)
    moved[1:, 1:] = 1
    assert place_seeds(moved, (7, 7), area=9, most=4).tolist() == [[6, 6], [1, 1], [1, 6], [6, 1]]


def test_seeds_lie_on_a_map_of_any_shape() -> None:
    mask = _box((90, 200), slice(20, 80), slice(100, 190))
    seeds = place_seeds(mask, (12, 25), area=20, most=5)
    assert len(seeds) > 1
    assert bool((seeds[:, 0] < 12).all() and (seeds[:, 1] >= 12).all() and (seeds[:, 1] < 25).all())


def test_clusters_are_means_over_the_object_weighted_by_nearness() -> None:
    # Two positions one column apart, features 0 and 3; one step of each centre by hand.
    features = torch.tensor([[[0.0, 3.0, 100.0]]])
    inside = torch.tensor([[True, True, False]])
    centres = superpixel_centres(features, inside, torch.tensor([[0, 0], [0, 1]]), iterations=1)
    distance = np.sqrt(9 + 1 / 100)
    far = np.exp(-distance) / (1 + np.exp(-distance))
    np.testing.assert_allclose(centres[:, 0], [3 * far, 3 * (1 - far)], rtol=1e-5)


def test_distances_that_underflow_leave_finite_centres() -> None:
    features = torch.zeros(1, 2, 2)
    features[0, 0, 0], features[0, 1, 1] = 1e4, -1e4
    centres = superpixel_centres(features, torch.ones(2, 2, dtype=torch.bool), torch.tensor([[0, 1], [1, 1]]), 5)
    assert bool(centres.isfinite().all())


def test_a_small_object_has_its_masked_average_and_an_empty_one_zeros() -> None:
    features = torch.randn(2, 3, 6, 6)
    mask = torch.zeros(2, 6, 6)
    mask[0, 2, 2:4] = 1
    found = prototypes(features, mask, mask[:, None], area=10, most=4, iterations=5)
    assert found.valid.tolist() == [[True, False, False, False]] * 2
    torch.testing.assert_close(found.centres[0, 0], features[0, :, 2, 2:4].sum(dim=1) / 2.0005)
    assert not found.centres[1].any()


def test_each_image_has_as_many_prototypes_as_its_object_needs() -> None:
    features = torch.randn(2, 3, 8, 8, requires_grad=True)
    mask = torch.stack([_box((8, 8), slice(0, 2), slice(0, 2)), _box((8, 8), slice(1, 7), slice(1, 7))])
    found = prototypes(features, mask, mask[:, None], area=10, most=5, iterations=5)
    assert found.valid.sum(dim=1).tolist() == [1, 4]
    assert not found.centres.requires_grad
    alone = prototypes(features[1:], mask[1:], mask[1:, None], area=10, most=5, iterations=5)
    torch.testing.assert_close(alone.centres, found.centres[1:])


def test_every_position_is_guided_by_the_prototype_most_like_it() -> None:
    centres = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
    valid = torch.tensor([[True, True, False]])
    query = torch.tensor([[[[3.0, -3.0]], [[0.0, -4.0]]]])  # (3, 0) and (-3, -4)
    guide, similarity = allocate(query, Prototypes(centres, valid))
    # The second position is unlike both; the padding row, whose cosine of 0 would win, is no prototype.
    torch.testing.assert_close(guide[0, :, 0].T, torch.tensor([[2.0, 0.0], [2.0, 0.0]]))
    torch.testing.assert_close(similarity[0, 0, 0], torch.tensor([1.0, -0.6 - 0.8]))


def test_shots_are_put_side_by_side() -> None:
    one = Prototypes(torch.ones(2, 1, 3), torch.ones(2, 1, dtype=torch.bool))
    two = Prototypes(torch.zeros(2, 4, 3), torch.zeros(2, 4, dtype=torch.bool))
    both = concatenate_shots([one, two])
    assert both.centres.shape == (2, 5, 3)
    assert both.valid.tolist() == [[True, False, False, False, False]] * 2
