"""INSID3: the positional subspace, masks smaller than a patch, and references that show nothing."""

from __future__ import annotations

import logging
import sys

import pytest
import torch

import fssbench
from fssbench.errors import MissingError
from fssbench.methods.insid3 import INSID3, reference_mask

SIDE = 96


def built(seed: int = 0, **options: object) -> INSID3:
    torch.manual_seed(seed)
    method = fssbench.build("insid3", "dinov3-tiny", **options)
    assert isinstance(method, INSID3)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.normal_(std=0.2)
    return method


def episode(shot: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    masks = torch.zeros(1, shot, SIDE, SIDE, dtype=torch.uint8)
    masks[:, :, 16:70, 10:60] = 1
    images = torch.randn(1, shot, 3, SIDE, SIDE, generator=draw)
    return torch.randn(3, SIDE, SIDE, generator=draw), images, masks


def projector(method: INSID3, side: int = SIDE) -> torch.Tensor:
    weights = next(method.parameters())
    return method.backbone.projector(torch.zeros(1, 3, side, side, dtype=weights.dtype))


def test_the_query_itself_is_found() -> None:
    _, images, masks = episode()
    labels = built(merge_threshold=0.02).segment(images[0, 0], images, masks).labels
    assert (labels[masks[0, 0] == 1] == 1).float().mean() > (labels[masks[0, 0] == 0] == 1).float().mean()


def test_the_subspace_is_that_of_the_weights_size_and_precision() -> None:
    method = built()
    first = projector(method)
    assert projector(method) is first
    torch.testing.assert_close(first @ first, first, atol=1e-5, rtol=0)
    assert round(first.trace().item()) == 48 - 6
    assert not torch.allclose(projector(method, 64), first, atol=1e-3)
    torch.testing.assert_close(projector(method), first, atol=1e-5, rtol=0)
    other = built(1)
    method.load_state_dict(other.state_dict())
    torch.testing.assert_close(projector(method), projector(other), atol=1e-5, rtol=0)
    assert not torch.allclose(projector(method), first, atol=1e-3)
    assert projector(method.double()).dtype == torch.float64


def test_it_can_be_built_in_inference_mode() -> None:
    with torch.inference_mode():
        assert built().segment(*episode()).labels.shape == (SIDE, SIDE)


def test_a_subspace_that_takes_everything_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        built(svd_components=47)
        assert not caplog.records
        built(svd_components=500)
    assert "500 directions and dinov3-tiny 48 channels" in caplog.text


def test_a_mask_is_never_lost_between_patches() -> None:
    mask = torch.zeros(64, 64)
    mask[33:35, 49:52] = 1
    small = reference_mask(mask, (4, 4))
    assert small.nonzero().tolist() == [[2, 3]]
    mask[32:48, 48:64] = 1
    assert reference_mask(mask, (4, 4)).nonzero().tolist() == [[2, 3]]
    assert not reference_mask(torch.zeros(64, 64), (4, 4)).any()


def test_references_that_show_nothing_leave_the_query_empty() -> None:
    query, images, masks = episode(shot=2)
    method = built(merge_threshold=-1.0, shot=2)
    one = masks.clone()
    one[:, 1] = 0
    assert method.segment(query, images, masks).labels.any()
    prediction = method.segment(query, images, torch.zeros_like(masks))
    assert not prediction.labels.any()
    assert not prediction.present.any()
    # One that shows something is enough.
    assert method.segment(query, images, one).labels.shape == (SIDE, SIDE)


def test_an_image_of_one_patch_is_one_cluster() -> None:
    method = built()
    assert method.clusters(torch.ones(48, 1, 1)).tolist() == [0]
    image = torch.randn(3, 9, 12)
    assert method.segment(image, image[None, None], torch.ones(1, 1, 9, 12)).labels.shape == (9, 12)


def test_clustering_without_scikit_learn_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    method, target = built(), torch.nn.functional.normalize(torch.randn(48, 3, 3), dim=0)
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(MissingError) as caught:
        method.clusters(target)
    assert caught.value.remedy == "pip install 'fssbench[hub]'"


def test_clusters_are_those_of_average_linkage() -> None:
    directions = torch.eye(4)[:, [0, 0, 1, 1, 2, 0]].view(4, 2, 3)
    method = built(tau=0.6)
    labels = method.clusters(directions).tolist()
    assert labels[0] == labels[1] == labels[5]
    assert labels[2] == labels[3]
    assert len(set(labels)) == 3
    # At half the cosine of a chain's ends, single linkage would join all.
    chain = torch.stack([torch.cos(torch.arange(6) * 0.5), torch.sin(torch.arange(6) * 0.5)]).view(2, 2, 3)
    assert len(set(built(tau=0.8).clusters(chain).tolist())) > 1
