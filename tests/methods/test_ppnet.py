"""PPNet's parts, the positions they are found in, and its alignment loss."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import fssbench
from fssbench.layers.clustering import k_means, read_at
from fssbench.methods.ppnet import PPNetMaps, Start, positions
from fssbench.results import Run
from fssbench.results.method_record import MethodRecord
from fssbench.tables.measured import measured_variant, printed_variant_name


def test_k_means_moves_centres_between_its_rounds_and_leaves_an_empty_one_zero() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    start = torch.tensor([[1.0], [1.0], [10.0]])
    assert k_means(points, start, 1).tolist() == [[0.5], [0.0], [11.0]]
    assert k_means(points, torch.tensor([[0.0], [1.0]]), 1).tolist() == [[0.0], [pytest.approx(23 / 3)]]
    assert k_means(points, torch.tensor([[0.0], [1.0]]), 2).tolist() == [[0.5], [11.0]]


def test_centres_teach_the_points_of_the_last_round() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0], [12.0]], requires_grad=True)
    k_means(points, points[[0, 1]].detach(), 10)[0].sum().backward()
    assert points.grad is not None
    assert points.grad.flatten().tolist() == [0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("size", [(10, 18), (33, 41), (5, 9), (1, 1)])
def test_a_map_is_read_where_its_resized_form_has_pixels(size: tuple[int, int]) -> None:
    features, inside = torch.randn(7, 5, 9), torch.rand(size) > 0.4
    whole = F.interpolate(features[None], size, mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(read_at(features, size, inside), whole[:, inside].T, atol=1e-5, rtol=1e-5)


def test_few_positions_are_read_at_the_images_size_and_none_is_a_zero() -> None:
    features, mask = torch.randn(3, 4, 4), torch.zeros(40, 40)
    assert positions(features, mask, 2).tolist() == [[0.0, 0.0, 0.0]]
    mask[0, :7] = 1
    assert positions(features, mask, 2).shape == (7, 3)
    mask[:20, :20] = 1
    assert positions(features, mask, 2).shape == (16, 3)
    assert positions(features, mask, 1).shape == (400, 3), "four positions are few"


def test_global_prototypes_are_means_at_the_masks_size() -> None:
    method = fssbench.build("ppnet", backbone="small")
    features, mask = torch.randn(2, 5, 7, 9), (torch.rand(2, 50, 61) > 0.6).to(torch.uint8)
    mask[0, :4] = 255
    kept = method.condition(PPNetMaps(features, (50, 61)), mask)
    whole = F.interpolate(features, (50, 61), mode="bilinear", align_corners=True)
    inside = (mask == 1).float()[:, None]
    expected = [(whole * each).sum(dim=(2, 3)) / (each.sum(dim=(2, 3)) + 1e-5) for each in (1 - inside, inside)]
    torch.testing.assert_close(kept.means, torch.stack(expected, dim=1), atol=1e-5, rtol=1e-5)


def test_each_episode_draws_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    method = fssbench.build("ppnet", backbone="small", shot=2)
    counts: list[tuple[int, list[int]]] = []
    parts = method.parts

    def spied(points: Tensor, start: Start) -> Tensor:
        def draw(count: int) -> Tensor:
            places = start(count)
            counts.append((count, places.tolist()))
            return places

        found: Tensor = parts(points, draw)
        return found

    monkeypatch.setattr(method, "parts", spied)
    for _ in range(2):
        method.segment(torch.randn(3, 96, 96), torch.randn(1, 2, 3, 96, 96), torch.ones(1, 2, 96, 96))
    draw = np.random.RandomState(1234)
    expected = [(count, draw.choice(count, 5).tolist()) for count, _ in counts[:2]]
    assert counts == expected * 2


def test_a_part_of_the_method_is_not_held_against_what_is_printed_of_the_whole() -> None:
    def run(name: str, variant: str | None) -> Run:
        return cast(
            "Run",
            SimpleNamespace(
                method=MethodRecord(name, variant, "resnet50", "fss"), dataset=SimpleNamespace(name="pascal5i")
            ),
        )

    assert measured_variant(run("ppnet", fssbench.build("ppnet", "small").built.variant)) == "pap"
    assert printed_variant_name("ppnet", "PPNet", "pap") == "+PAP"
    assert measured_variant(run("ntrenet", "full")) == ""
    assert measured_variant(run("ntrenet", "bgem")) == "bgem"


def test_parameters_are_those_that_are_printed() -> None:
    # 23.5 M: the whole ResNet-50, though the release's optimiser moves layer3 and layer4 alone.
    assert fssbench.build("ppnet").learnable_parameters == 23_508_032
