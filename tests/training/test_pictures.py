"""Training views: what stays in view, and what changes together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fssbench.training.pictures import EpisodeBatches, augmented, binary_mask
from fssbench.training.recipes import Augmentation
from fssbench.transforms import input_image, nearest_label
from tests.training.tiny import SIDE, Squares, tiny_recipe


def _batch(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(count, 48, 48, dtype=torch.uint8)
    labels[:, 10:30, 5:20] = 7
    images = labels[:, None].float().expand(count, 3, 48, 48) + torch.rand(count, 3, 48, 48, generator=generator)
    return images, labels


def test_no_augmentation_is_the_picture_itself():
    images, labels = _batch()
    views, seen = augmented(images, labels, [7, 7], np.random.default_rng(0), Augmentation(), (48, 48))
    torch.testing.assert_close(views, images, atol=1e-4, rtol=0)
    assert torch.equal(seen, labels)


def test_a_batch_without_augmentation_is_what_evaluation_feeds():
    recipe = tiny_recipe("hsnet")
    plain = type(recipe)(**{**vars(recipe), "augmentation": Augmentation()})
    dataset = Squares()
    batch = EpisodeBatches(dataset, 0, plain, seed=3).at(5)
    names = [name for name, content in dataset.contents.items() if not {1, 2} & set(content)]
    photos = {name: input_image(dataset.image(name), (SIDE, SIDE)) for name in names}
    class_ids = [its.query_class for its in batch.episodes] * 2
    for image, label, class_id in zip(batch.images, batch.labels, class_ids, strict=True):
        name = min(names, key=lambda name: float((photos[name] - image).abs().sum()))
        torch.testing.assert_close(image, photos[name], atol=1e-3, rtol=0)
        assert np.array_equal(label.numpy(), nearest_label(dataset.label(name), (SIDE, SIDE)))
        assert class_id in dataset.contents[name]


@pytest.mark.parametrize("seed", range(5))
def test_image_and_label_move_together(seed: int):
    images, labels = _batch()
    recipe = Augmentation((0.6, 1.1), 90.0, 0.5)
    views, seen = augmented(images, labels, [7, 7], np.random.default_rng(seed), recipe, (40, 40))
    assert views.shape == (2, 3, 40, 40)
    # The class is 7 levels brighter than the ground, whose noise is below 1.
    bright = views.mean(dim=1) > 4.0
    assert (bright == (seen == 7)).float().mean() > 0.97
    assert not torch.equal(seen[:, :40, :40], labels[:, :40, :40])


def test_the_class_asked_for_stays_in_view():
    images, labels = _batch(8)
    labels[:] = 0
    labels[:, :9, :9] = 7  # 81 pixels in a corner, which most quarter views miss
    recipe = Augmentation((0.25, 0.25))
    _, seen = augmented(images, labels, [7] * 8, np.random.default_rng(0), recipe, (48, 48))
    assert ((seen == 7).sum(dim=(1, 2)) >= 64).all()


def test_colours_change_places():
    images, labels = _batch(1)
    images[0, 0] += 100.0
    recipe = Augmentation(shuffle_colours=1.0)
    first = set()
    for seed in range(20):
        views, _ = augmented(images, labels, [7], np.random.default_rng(seed), recipe, (48, 48))
        means = views[0].mean(dim=(1, 2))
        assert sorted(means.tolist())[2] > 90
        first.add(int(means.argmax()))
    assert first == {0, 1, 2}


def test_masks_of_a_class_with_and_without_the_rim():
    labels = torch.tensor([[[0, 3, 255, 4]], [[0, 3, 255, 4]]], dtype=torch.uint8)
    assert binary_mask(labels, [3, 4], leave_out_rim=True).tolist() == [[[0, 1, 255, 0]], [[0, 0, 255, 1]]]
    assert binary_mask(labels, [3, 4], leave_out_rim=False).tolist() == [[[0, 1, 0, 0]], [[0, 0, 0, 1]]]
