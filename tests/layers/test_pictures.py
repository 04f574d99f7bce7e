"""Pictures come back exactly from the images that were made of them."""

from __future__ import annotations

import numpy as np
import torch

from fssbench.layers.pictures import normalised, pictures
from fssbench.protocols.transforms import input_image


def test_every_value_of_every_channel_comes_back() -> None:
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    image = input_image(values, (16, 16))[None]
    assert torch.equal(pictures(image)[0].permute(1, 2, 0), torch.from_numpy(values))
    torch.testing.assert_close(normalised(pictures(image)), image)


def test_what_no_picture_holds_becomes_the_nearest_value() -> None:
    image = torch.tensor([-9.0, 0.0, 9.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    assert pictures(image)[0, 0, 0].tolist() == [0, 124, 255]
