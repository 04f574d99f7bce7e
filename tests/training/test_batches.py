"""Training views: what stays in view, and what changes together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fssbench.datasets.dataset import Image
from fssbench.errors import BrokenFileError, UsageError
from fssbench.protocols.label_maps import nearest_label
from fssbench.protocols.transforms import input_image
from fssbench.training.batches import EpisodeBatches, augmented, binary_mask
from fssbench.training.recipe import Augmentation, Crops
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
    class_ids = [episode.query_class for episode in batch.episodes] * 2
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
    assert binary_mask(labels, [3, 4], keep_ignore=True).tolist() == [[[0, 1, 255, 0]], [[0, 0, 255, 1]]]
    assert binary_mask(labels, [3, 4], keep_ignore=False).tolist() == [[[0, 1, 0, 0]], [[0, 0, 0, 1]]]


def test_a_training_batch_says_what_is_where():
    recipe = replace(tiny_recipe("hsnet"), way=2, shot=3, batch=2, augmentation=Augmentation(), foreground_weight=2.0)
    batches = EpisodeBatches(Squares(), 0, recipe, seed=1, task="fscs")
    batch, shown = batches.training_batch(4), batches.at(4)
    assert batch.query.shape == (2, 3, SIDE, SIDE)
    assert batch.supports.shape == (2, 2, 3, 3, SIDE, SIDE)
    assert batch.support_masks.shape == (2, 2, 3, SIDE, SIDE)
    assert batch.foreground_weight == 2.0
    base = (3, 4)
    for b, episode in enumerate(shown.episodes):
        assert [base[place] for place in batch.classes[b]] == list(episode.classes)
        for n, class_id in enumerate(episode.classes):
            assert torch.equal(batch.query_masks[b, n] == 1, shown.labels[b] == class_id)
            assert torch.equal(batch.query_labels[b] == 1 + base.index(class_id), shown.labels[b] == class_id)
            for k, name in enumerate(episode.supports[n]):
                label = torch.from_numpy(nearest_label(Squares().label(name), (SIDE, SIDE)))
                mask = batch.support_masks[b, n, k]
                assert torch.equal(mask == 1, label == class_id)
                assert torch.equal(mask == 255, label == 255), "this recipe leaves the ignore region out"
        assert torch.equal(batch.query_labels[b] == 255, shown.labels[b] == 255)


def test_a_training_batch_of_single_pictures():
    recipe = replace(tiny_recipe("hsnet"), shot=0, rim="background")
    batch = EpisodeBatches(Squares(), 0, recipe, seed=1).training_batch(0)
    assert batch.supports.shape == (2, 1, 0, 3, SIDE, SIDE)
    assert batch.support_masks.shape == (2, 1, 0, SIDE, SIDE)
    assert set(batch.query_labels.unique().tolist()) <= {0, 1, 2}
    assert set(batch.query_masks.unique().tolist()) == {0, 1}


def test_crops_come_from_the_pictures_as_they_are():
    crops = Crops(turned=0.0, mirror=0.0)
    recipe = replace(tiny_recipe("hsnet"), augmentation=Augmentation(), crops=crops, view=(64, 64))
    batch = EpisodeBatches(Squares(), 0, recipe, seed=2).training_batch(0)
    again = EpisodeBatches(Squares(), 0, recipe, seed=2).training_batch(0)
    assert batch.query.shape == (2, 3, 64, 64)
    assert torch.equal(batch.query, again.query)
    photos = [input_image(Squares().image(name), (SIDE, SIDE + 20)) for name in Squares().contents]
    windows = torch.stack([photo.unfold(1, 64, 1).unfold(2, 64, 1)[0, :, :, 0, 0] for photo in photos])
    assert all((windows == view[0, 0, 0]).any() for view in batch.query)


@pytest.mark.parametrize("kept", [0, 1, 100])
@pytest.mark.parametrize("crops", [None, Crops((0.5, 1.5), 20.0, blurred=0.5)])
def test_a_step_shows_the_same_whatever_came_before_it_and_however_much_is_kept(crops: Crops | None, kept: int):
    recipe = replace(tiny_recipe("hsnet"), crops=crops, kept=kept)
    recipe = replace(recipe, augmentation=Augmentation()) if crops else recipe
    straight = EpisodeBatches(Squares(), 0, replace(recipe, kept=24), seed=4)
    expected = [straight.training_batch(step) for step in range(4)]
    assert not torch.equal(expected[0].query, expected[1].query)
    # As two processes would make them, each its own steps, in an order of theirs.
    for steps in ((2, 0), (3, 1)):
        alone = EpisodeBatches(Squares(), 0, recipe, seed=4)
        for step in steps:
            found = alone.training_batch(step)
            for name, tensor in vars(expected[step]).items():
                assert not isinstance(tensor, torch.Tensor) or torch.equal(tensor, getattr(found, name)), (step, name)


def test_labels_that_are_no_bytes_are_refused():
    class Many(Squares):
        def fold_classes(self, fold: int, split: str = "val") -> tuple[int, ...]:
            return (3, 300)

    with pytest.raises(UsageError, match="labels above 254"):
        EpisodeBatches(Many(), 0, tiny_recipe("hsnet"), seed=0)


@pytest.mark.parametrize("crops", [None, Crops()])
def test_a_photo_of_another_size_than_its_label_map(crops: Crops | None):
    class Cropped(Squares):
        def image(self, name: str) -> Image:
            return super().image(name)[:-1]

    batches = EpisodeBatches(Cropped(), 0, replace(tiny_recipe("hsnet"), crops=crops), seed=1)
    with pytest.raises(BrokenFileError, match=r"the photo has .* pixels, its label map"):
        batches.at(0)
