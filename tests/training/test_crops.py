"""Random crops: what is outside, what moves together, what has to stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fssbench.protocols.transforms import input_image
from fssbench.training.crops import random_crop
from fssbench.training.recipe import Crops

PLAIN = Crops(turned=0.0, mirror=0.0)


def _picture(height: int = 60, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    label = np.zeros((height, width), np.uint8)
    label[10:30, 20:50] = 7
    image = np.repeat((20 + 30 * label)[..., None], 3, axis=2)
    image[..., 1] += np.arange(width, dtype=np.uint8)[None] // 4
    return image, label


def test_a_crop_of_a_larger_picture_is_a_window_of_it() -> None:
    image, label = _picture()
    whole = input_image(image, label.shape)
    view, seen = random_crop(image, label, 7, np.random.default_rng(0), PLAIN, (40, 40))
    places = [
        (top, left)
        for top in range(21)
        for left in range(41)
        if torch.equal(view, whole[:, top : top + 40, left : left + 40])
    ]
    assert any(np.array_equal(seen.numpy(), label[top : top + 40, left : left + 40]) for top, left in places)


def test_a_small_picture_is_padded_around_with_the_mean_and_255() -> None:
    image, label = _picture()
    view, seen = random_crop(image, label, 7, np.random.default_rng(0), PLAIN, (70, 91))
    assert torch.equal(view[:, 5:65, 5:85], input_image(image, label.shape))
    assert np.array_equal(seen[5:65, 5:85].numpy(), label)
    outside = torch.ones(70, 91, dtype=torch.bool)
    outside[5:65, 5:85] = False
    assert (seen[outside] == 255).all()
    # The mean colour is zero once normalised, but for its rounding to a byte.
    assert view[:, outside].abs().max() < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_image_and_label_move_together(seed: int) -> None:
    image, label = _picture(90, 100)
    recipe = Crops(scale=(0.8, 1.25), turn=10.0, turned=1.0, blurred=0.5, blur=3)
    view, seen = random_crop(image, label, 7, np.random.default_rng(seed), recipe, (96, 96))
    bright = view[2] * 0.225 + 0.406 > 0.6  # the class has 0.9, the ground 0.08, the outside 0.41
    inside = seen != 255
    assert (bright == (seen == 7))[inside].float().mean() > 0.95
    assert (seen == 255).any()


def test_the_asked_class_is_kept() -> None:
    image, label = _picture(48, 48)
    label[:] = 0
    label[:12, :12] = 7
    kept = Crops(turned=0.0, mirror=0.0, kept=0.85, tries=200)
    views = [random_crop(image, label, 7, np.random.default_rng(seed), kept, (40, 40))[1] for seed in range(20)]
    assert all((seen == 7).sum() >= 0.85 * 144 for seen in views)
    loose = [random_crop(image, label, 7, np.random.default_rng(seed), PLAIN, (40, 40))[1] for seed in range(20)]
    assert any((seen == 7).sum() < 0.85 * 144 for seen in loose)


def test_a_crop_that_keeps_too_little_is_made_1_and_31_times() -> None:
    image, label = _picture(60, 80)
    label[:] = 7
    rng, again = np.random.default_rng(0), np.random.default_rng(0)
    never = Crops((1.0, 1.0), turned=0.0, mirror=0.0, kept=1.0)
    random_crop(image, label, 7, rng, never, (40, 40))
    # The draws before the first crop: scale, turn, blur and mirror.
    again.uniform(1.0, 1.0)
    again.random(3)
    for _ in range(1 + 31):
        again.integers(21)
        again.integers(41)
    assert rng.bit_generator.state == again.bit_generator.state
