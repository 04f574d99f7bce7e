"""FSSDINO: repeatable in any order, classes without patches, and what belongs to no class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

import fssbench
from fssbench.methods.fssdino import FSSDino, cosine_k_means
from fssbench.photos.choice import Choice
from fssbench.photos.segment import Segmenter
from fssbench.protocols.label_maps import support_mask
from fssbench.protocols.rules import protocol
from fssbench.protocols.transforms import input_image
from tests.hub.models import saved

SIDE = 96


def built(**options: object) -> FSSDino:
    torch.manual_seed(0)
    method = fssbench.build("fssdino", "dinov3-tiny", **options)
    assert isinstance(method, FSSDino)
    return method


def episode(way: int = 1, shot: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    masks = torch.zeros(way, shot, SIDE, SIDE, dtype=torch.uint8)
    for n in range(way):
        masks[n, :, 32 * n : 32 * n + 48, :48] = 1
    images = torch.randn(way, shot, 3, SIDE, SIDE, generator=draw)
    return torch.randn(3, SIDE, SIDE, generator=draw), images, masks


@pytest.mark.parametrize("way", [1, 2])
def test_an_episode_has_the_same_row_alone_and_in_any_order(way: int) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    rules = replace(protocol("fssdino"), input=(128, 128))
    drawn = fssbench.episodes(dataset, way=way, shot=2, protocol=rules, count=3)

    def counts(*places: int) -> list[tuple[object, ...]]:
        chosen = [drawn[place] for place in places]
        frame = fssbench.evaluate(built(way=way, shot=2), dataset, chosen, protocol=rules).frame
        return [(row.query, row.intersection, row.union) for row in frame.itertuples()]

    together = counts(0, 1, 2)
    assert len(together[0][1]) == way + 1
    assert counts(2, 0) == [together[2], together[0]]


def test_another_seed_starts_elsewhere() -> None:
    first, other = built().segment(*episode()), built(seed=1).segment(*episode())
    assert not torch.equal(first.logits, other.logits)
    # One centre is the mean, wherever it starts.
    alone, again = built(n_clusters=1).segment(*episode()), built(n_clusters=1, seed=1).segment(*episode())
    assert torch.equal(alone.logits, again.logits)
    assert not torch.equal(built(gram=False).segment(*episode()).logits, first.logits)


def test_a_class_without_patches_is_never_predicted() -> None:
    query, images, masks = episode(way=2)
    masks[1] = 0
    labels = built(way=2).segment(query, images, masks).labels
    assert set(labels.unique().tolist()) <= {0, 1}
    whole = torch.ones_like(masks[:1])
    assert (built().segment(query, images[:1], whole).labels == 1).all()
    # Nothing belongs to any class: background.
    assert (built().segment(query, images[:1], torch.full_like(whole, 255)).labels == 0).all()


def test_padding_and_other_classes_belong_to_no_class() -> None:
    _, images, masks = episode()
    method = built()
    maps = method.encode(images[0])
    both = masks[0].clone()
    both[:, :, 48:] = 255
    both[:, 64:, :48] = 254
    counted = method.class_patches([[method.condition(maps, both)]])
    assert [len(patches) for patches in counted] == [1 * 3, 3 * 3]


def test_a_class_of_few_patches_is_these_patches() -> None:
    query, images, _ = episode()
    method = built()
    small = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    small[:, :16, :48] = 1
    classes = method.class_patches([[method.condition(method.encode(images[0]), small)]])
    background, own = method.prototypes(classes)
    assert (len(background), len(own)) == (5, 3)
    assert torch.equal(own, classes[1])
    maps = method.similarity_maps(method.encode(query[None]).features[0], own, own)
    assert maps.shape == (4, 6, 6)


def test_k_means_by_cosine_ends_also_where_a_centre_is_empty() -> None:
    draw = torch.Generator().manual_seed(0)
    apart = torch.randn(40, 8, generator=draw) + 6.0 * torch.eye(8)[torch.arange(40) % 2]
    found = cosine_k_means(apart, apart[:2], torch.Generator().manual_seed(0))
    for number in range(2):
        torch.testing.assert_close(found[number], apart[number::2].mean(dim=0))
    same = torch.ones(12, 8)
    assert torch.equal(cosine_k_means(same, same[:5], torch.Generator().manual_seed(0)), same[:5])


def test_own_photos_are_segmented_without_the_padding(tmp_path: Path) -> None:
    torch.save(built().state_dict(), tmp_path / "weights.pt")
    draw = np.random.default_rng(0)
    photo = draw.integers(0, 255, (60, 120, 3), dtype=np.uint8)
    mask = np.zeros((60, 120), dtype=np.uint8)
    mask[10:40, 20:80] = 1
    choice = Choice("fssdino", backbone="dinov3-tiny", checkpoint=str(tmp_path / "weights.pt"), size=96)
    found = Segmenter([photo], [mask], ["thing"], choice)(photo)
    square = input_image(photo, (96, 96), "opencv-pad-squeezed")
    framed = torch.from_numpy(support_mask(mask, 1, (96, 96), "opencv-pad-squeezed"))
    inside = built().segment(square, square[None, None], framed[None, None]).labels[:48].numpy()
    assert 0 < inside.mean() < 1
    expected = PillowImage.fromarray(inside).resize((120, 60), PillowImage.Resampling.NEAREST)
    assert np.array_equal(found.labels, np.asarray(expected))


def test_any_backbone_gives_its_deepest_map(tmp_path: Path) -> None:
    saved("dinov2", tmp_path / "model")
    method = fssbench.build("fssdino", f"hf:{tmp_path / 'model'}")
    features = method.encode(torch.randn(1, 3, 56, 84)).features
    assert features.shape == (1, 32, 4, 6)
    assert method.segment(*episode()).labels.shape == (SIDE, SIDE)
    assert fssbench.build("fssdino", "efficientnet-lite0").segment(*episode()).labels.shape == (SIDE, SIDE)
