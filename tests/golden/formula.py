"""Weights, images and masks from closed formulas, so that a released model's answer can be had from its key names.

Every entry of a state dict that is run is drawn by PCG64 seeded with the CRC-32 of its key; images are sums of sines,
masks are ellipses.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


NEVER_RUN = frozenset({"backbone.classifier.0.weight", "backbone.classifier.3.weight"})
"""The classifier of VGG-16: 120 million values, which would take seconds to draw and which nothing reads."""


@lru_cache(maxsize=1200)  # three or four networks, as several cases have the same
def entry(key: str, shape: tuple[int, ...]) -> Tensor:
    """The value of one parameter or buffer: float32, or an int64 zero for a batch counter; all callers share it."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if key in NEVER_RUN:
        return torch.zeros(shape)
    draw = _generator(zlib.crc32(key.encode()))
    if key.endswith("running_mean"):
        value = 0.1 * draw.standard_normal(shape)
    elif key.endswith("running_var"):
        value = draw.uniform(0.8, 1.2, shape)
    elif len(shape) > 1:
        value = draw.standard_normal(shape) * np.sqrt(2.0 / int(np.prod(shape[1:])))
    elif key.endswith("bias"):
        value = 0.05 * draw.standard_normal(shape)
    else:
        value = draw.uniform(0.4, 0.6, shape)
    return torch.from_numpy(np.asarray(value, np.float32))


def state(shapes: Mapping[str, Sequence[int]], overrides: Mapping[str, Sequence[float]]) -> dict[str, Tensor]:
    """A whole state dict; `overrides` replaces entries by key."""
    filled = {key: entry(key, tuple(shape)) for key, shape in shapes.items()}
    for key, values in overrides.items():
        filled[key] = torch.tensor(values, dtype=torch.float32).view(tuple(shapes[key]))
    return filled


def release_state(shapes: Mapping[str, Sequence[int]], overrides: Mapping[str, Sequence[float]]) -> dict[str, Tensor]:
    """A whole state dict under the names of a release, which a method renames.

    A key such as "blocks.0-11.norm1.weight" stands for that of each block. Of DINOv3 two entries are not drawn: the
    mask of the biases of queries, keys and values, which removes that of the keys, and the periods.
    """
    every = {key: shape for listed, shape in shapes.items() for key in _of_each_block(listed)}
    filled = state(every, overrides)
    for key, shape in every.items():
        if key.endswith("qkv.bias_mask"):
            filled[key] = torch.ones(tuple(shape))
            filled[key][shape[0] // 3 : 2 * shape[0] // 3] = 0.0
        if key.endswith("rope_embed.periods"):
            periods = torch.from_numpy(100.0 ** (np.arange(shape[0]) / shape[0])).to(torch.float32)
            filled[key] = periods.bfloat16().to(torch.float32)
    return filled


def _of_each_block(listed: str) -> list[str]:
    found = re.search(r"blocks\.(\d+)-(\d+)\.", listed)
    if found is None:
        return [listed]
    first, last = int(found[1]), int(found[2])
    return [f"{listed[: found.start(1)]}{number}{listed[found.end(2) :]}" for number in range(first, last + 1)]


def picture(seed: int, height: int, width: int) -> Tensor:
    """An image float32 (3, height, width) whose pixels are those of a file: whole numbers of 0..255, normalised."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = ((image(seed, height, width) * std + mean) * 255).round().clip(0, 255)
    return (pixels / 255 - mean) / std


def image(seed: int, height: int, width: int) -> Tensor:
    """A smooth image float32 (3, height, width), about as large as a normalised photo."""
    draw = _generator(seed)
    y = (np.arange(height, dtype=np.float64) / height)[:, None]
    x = (np.arange(width, dtype=np.float64) / width)[None, :]
    channels = []
    for _ in range(3):
        channel = np.zeros((height, width))
        for _ in range(6):
            fx, fy = draw.integers(1, 13, size=2)
            amplitude = draw.uniform(0.2, 1.0)
            phase = draw.uniform(0.0, 2.0 * np.pi)
            channel += amplitude * np.sin(2.0 * np.pi * (fx * x + fy * y) + phase)
        channels.append(channel)
    return torch.from_numpy(np.stack(channels).astype(np.float32))


def mask(seed: int, height: int, width: int) -> Tensor:
    """An ellipse, uint8 (height, width) in {0, 1}."""
    draw = _generator(seed)
    cx, cy = draw.uniform(0.35, 0.65, size=2)
    rx, ry = draw.uniform(0.15, 0.30, size=2)
    y = ((np.arange(height) + 0.5) / height)[:, None]
    x = ((np.arange(width) + 0.5) / width)[None, :]
    return torch.from_numpy((((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1.0).astype(np.uint8))
