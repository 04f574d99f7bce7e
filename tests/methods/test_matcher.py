"""Matcher away from its golden cases: settings, random prompts, filters, nothing found."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.engine.loop import rows_of
from fssbench.episode import episodes
from fssbench.errors import UsageError
from fssbench.methods.catalogue import method_info
from fssbench.methods.matcher import (
    Matcher,
    Metrics,
    centres,
    earth_movers_distance,
    merge,
    subsets,
)
from fssbench.methods.matcher_settings import Settings
from fssbench.protocols.rules import protocol

TINY = "dinov2-tiny+sam-tiny"
OPTIONS = dict(method_info("matcher").tried_with)


def _built(shot: int = 1, **options: Any) -> Any:
    torch.manual_seed(0)
    return fssbench.build("matcher", TINY, shot=shot, **options)


@pytest.fixture(scope="module")
def method() -> Any:
    return _built(**OPTIONS)


def _episode(shot: int = 1, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.randn(1 + shot, 3, 90, 90, generator=torch.Generator().manual_seed(seed))
    masks = torch.zeros(1, shot, 90, 90, dtype=torch.uint8)
    masks[..., 20:50, 30:60] = 1
    return images[0], images[None, 1:], masks


def test_the_settings_are_those_of_the_data_sets_script() -> None:
    coco, fss = (fssbench.build("matcher", TINY, trained_on=name).settings for name in ("coco20i", "fss1000"))
    assert coco == Settings()
    assert (fss.use_points_or_centers, fss.sample_range, fss.alpha, fss.use_dense_mask) == (False, (4, 6), 0.8, False)
    parts, other, lvis = (
        fssbench.build("matcher", TINY, trained_on=name).settings for name in ("pascalpart", "pacopart", "lvis92i")
    )
    assert lvis == coco
    assert parts == other
    assert (parts.use_box, parts.use_points_or_centers, parts.sample_range) == (True, True, (3, 6))
    assert (parts.max_sample_iterations, parts.coverage_filter, parts.beta, parts.exp) == (128, 0.3, 0.5, 0.0)
    assert (parts.box_nms_thresh, parts.topk_scores_threshold, parts.num_merging_mask) == (1.0, 0.7, 5)
    merged = {
        (name, shot): fssbench.build("matcher", TINY, shot=shot, trained_on=name).merged
        for name in ("coco20i", "fss1000")
        for shot in (1, 5)
    }
    assert merged == {("coco20i", 1): 9, ("coco20i", 5): 5, ("fss1000", 1): 10, ("fss1000", 5): 5}
    assert _built(shot=5, num_merging_mask=7).merged == 7
    with pytest.raises(UsageError, match="num_merging_masks"):
        _built(num_merging_masks=7)


def test_an_episode_is_the_same_after_others_and_another_seed_differs(method: Matcher) -> None:
    first = method.segment(*_episode())
    method.segment(*_episode(seed=2))
    assert torch.equal(method.segment(*_episode()).logits, first.logits)
    state = random.getstate(), torch.get_rng_state()
    method.segment(*_episode())
    assert random.getstate() == state[0]
    assert torch.equal(torch.get_rng_state(), state[1])
    points = torch.arange(40).view(20, 2)
    one, same, other = (subsets(points, Settings(), random.Random(seed)) for seed in (0, 0, 1))  # noqa: S311
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[3], other[3])


def test_an_episode_has_the_same_row_alone_and_in_another_order(method: Matcher) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    drawn, rules = episodes(dataset, 0, 1, 1, "shapes", 3), protocol("shapes").on("shapes20i")

    def rows(*numbers: int) -> dict[int, Any]:
        found = rows_of(method, dataset, drawn, rules, numbers, torch.device("cpu"))
        return {row.episode: replace(row, seconds=0.0) for row in found}

    every = rows(0, 1, 2)
    assert rows(2, 1, 0) == every
    assert rows(2)[2] == every[2]
    assert len({row.intersection for row in every.values()}) == 3


def test_of_few_points_all_subsets_are_prompts() -> None:
    points = torch.arange(8).view(4, 2)
    groups = subsets(points, replace(Settings(), sample_range=(2, 6)), random.Random(0))  # noqa: S311
    assert [tuple(group.shape) for group in groups] == [(6, 2, 2), (4, 3, 2), (1, 4, 2)]
    # In the order of the release: by the last point first.
    assert (groups[0][:, :, 0] // 2).tolist() == [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]
    many = subsets(torch.arange(18).view(9, 2), replace(Settings(), sample_range=(3, 3)), random.Random(0))  # noqa: S311
    assert [tuple(group.shape) for group in many] == [(64, 3, 2)]
    assert all(len({tuple(point) for point in prompt}) == 3 for prompt in many[0].tolist())


def test_centres_are_means_of_groups() -> None:
    points = torch.tensor([[0, 0], [2, 0], [100, 100], [103, 100]])
    found = centres(points, 2, torch.Generator().manual_seed(0)).tolist()
    assert sorted(found) == [[1, 0], [101, 100]]
    assert len(centres(points, 8, torch.Generator().manual_seed(0))) == 4


def test_the_earth_movers_distance() -> None:
    assert earth_movers_distance(torch.tensor([[0.2, 1.0], [1.0, 0.4]])) == pytest.approx(0.3)
    assert earth_movers_distance(torch.tensor([[0.2, 0.6]])) == pytest.approx(0.4)


def _metrics(*emd: float) -> Metrics:
    return Metrics(torch.tensor(emd), torch.linspace(0.01, 0.03, len(emd)), torch.linspace(0.5, 0.1, len(emd)))


def test_masks_near_the_best_are_merged() -> None:
    loose = replace(Settings(), purity_filter=0.0)
    assert sorted(merge(loose, _metrics(0.95, 0.9, 0.6, 0.94), 9).tolist()) == [0, 3]
    chosen = merge(loose, _metrics(0.95, 0.949, 0.6, 0.948), 2)
    assert chosen.tolist() == [0, 1]
    # The best is merged however far it is.
    assert merge(loose, _metrics(0.1, 0.2), 9).tolist() == [1]


def test_a_filter_keeps_the_best_if_none_is_good_enough() -> None:
    metrics = _metrics(0.9, 0.9, 0.9)
    assert merge(replace(Settings(), purity_filter=0.02), metrics, 9).tolist() == [1, 2]
    assert merge(replace(Settings(), purity_filter=0.5), metrics, 9).tolist() == [2]
    # Each filter sees what those before it have left: coverage, emd, purity.
    assert merge(replace(Settings(), coverage_filter=0.4, purity_filter=0.5), metrics, 9).tolist() == [0]


def test_without_distances_the_best_scores_are_merged() -> None:
    chosen = replace(
        Settings(), use_score_filter=False, purity_filter=0.0, topk_scores_threshold=0.7, alpha=1.0, beta=0.0
    )
    assert merge(chosen, _metrics(0.5, 1.0, 0.8), 9).tolist() == [1, 2]
    assert merge(chosen, _metrics(0.5, 1.0, 0.8), 1).tolist() == [1]


def test_if_no_mask_passes_the_prediction_is_background() -> None:
    strict = _built(**(OPTIONS | {"iou_filter": 1e9}))
    prediction = strict.segment(*_episode())
    assert not prediction.labels.any()
    assert not prediction.present.any()


def test_a_support_of_all_shots_is_one_pool(method: Matcher) -> None:
    query, images, masks = _episode(shot=2)
    with torch.inference_mode():
        target = method.prepare_query(method.encode(query[None]))
        encoded = [method.encode(image[None]) for image in images[0]]
        shots = [method.condition(features, mask[None]) for features, mask in zip(encoded, masks[0], strict=True)]
        empty = [method.condition(features, torch.zeros_like(masks[0, :1])) for features in encoded]
        both, one = method.match(target, shots), method.match(target, shots[:1])
        assert both.costs.shape[0] == 2 * one.costs.shape[0]
        # All masks empty: the patch in the centre of each support.
        assert method.match(target, empty).costs.shape == (2, 1369)
        assert method.match(target, [shots[0], empty[1]]).costs.shape == one.costs.shape


def test_points_are_centres_of_patches(method: Matcher) -> None:
    query, images, masks = _episode()
    with torch.inference_mode():
        target = method.prepare_query(method.encode(query[None]))
        points = method.match(target, [method.condition(method.encode(images[0]), masks[0])]).points
    assert ((points - 7) % 14 == 0).all()
    assert len({tuple(point) for point in points.tolist()}) == len(points)
    assert len(points) <= 73  # of about 146 patches of the object the better half


def test_a_box_and_one_of_three_masks_can_be_prompted() -> None:
    options = OPTIONS | {"use_box": True, "multimask_output": True, "output_layer": 1, "alpha": 0.5, "beta": 0.5}
    assert _built(**options).segment(*_episode()).labels.shape == (90, 90)
