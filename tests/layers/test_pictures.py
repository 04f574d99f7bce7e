"""Pictures come back exactly from the images that were made of them."""

from __future__ import annotations

import numpy as np
import torch

from fssbench.layers.pictures import normalised, pictures, squashed
from fssbench.protocols.transforms import input_image


def test_every_value_of_every_channel_comes_back() -> None:
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image = input_image(values, (16, 16))[None]
    assert torch.equal(pictures(image)[0].permute(1, 2, 0), torch.from_numpy(values))
    torch.testing.assert_close(normalised(pictures(image)), image)


def test_what_no_picture_holds_becomes_the_nearest_value() -> None:
    image = torch.tensor([-9.0, 0.0, 9.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    assert pictures(image)[0, 0, 0].tolist() == [0, 124, 255]


def test_a_squashed_picture_is_what_a_loader_would_have_made() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    whole = pictures(input_image(photo, (40, 70))[None])
    assert torch.equal(squashed(whole, (20, 90)), pictures(input_image(photo, (20, 90))[None]))
