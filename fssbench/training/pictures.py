"""Training pictures at the network's size: kept in memory, moved, turned and tinted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.datasets.dataset import Dataset
from fssbench.training.pairs import PairSampler
from fssbench.training.recipes import Augmentation, Recipe
from fssbench.transforms import IGNORE, input_image, nearest_label

_LEAST_PIXELS = 64
"""A view that shows fewer pixels of the class asked for is given up for the whole picture."""


class Pictures:
    """The pictures of a data set as tensors.

    Args:
        dataset: Where they come from.
        size: (height, width) they are brought to.
        kept: How many are kept in memory.
    """

    def __init__(self, dataset: Dataset, size: tuple[int, int], kept: int) -> None:
        self._dataset = dataset
        self._size = size
        self._cached = lru_cache(maxsize=kept)(self._read)

    def _read(self, name: str) -> tuple[Tensor, Tensor]:
        image = input_image(self._dataset.image(name), self._size)
        return image, torch.from_numpy(nearest_label(self._dataset.label(name), self._size))

    def batch(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return normalised images float32 (B, 3, H, W) and their label maps uint8 (B, H, W)."""
        images, labels = zip(*(self._cached(name) for name in names), strict=True)
        return torch.stack(images), torch.stack(labels)


class Batch(NamedTuple):
    """Pairs of pictures, the queries first and then their supports.

    Attributes:
        images: float32 (2B, 3, h, w), normalised.
        labels: uint8 (2B, h, w).
        class_ids: The class asked for, 2B.
        rng: More random numbers of this step.
    """

    images: Tensor
    labels: Tensor
    class_ids: list[int]
    rng: np.random.Generator


class PairBatches:
    """The batches of a run: for each step its pictures, queries first.

    Args:
        dataset: Where pictures and lists come from.
        fold: The fold whose classes are not seen.
        recipe: How many, how large, how changed.
        seed: Seed of the draw.
    """

    def __init__(self, dataset: Dataset, fold: int, recipe: Recipe, seed: int) -> None:
        self._sampler = PairSampler.of_fold(dataset, fold, seed)
        self._pictures = Pictures(dataset, recipe.picture, recipe.kept)
        self._recipe = recipe

    def at(self, step: int) -> Batch:
        """Return the batch of a step, 0-based; it depends on the seed and the step alone."""
        rng = self._sampler.generator(step)
        pairs = self._sampler.draw(rng, self._recipe.batch)
        class_ids = [pair.class_id for pair in pairs] * 2
        images, labels = self._pictures.batch([pair.query for pair in pairs] + [pair.support for pair in pairs])
        images, labels = augmented(images, labels, class_ids, rng, self._recipe.augmentation, self._recipe.view)
        return Batch(images, labels, class_ids, rng)


def augmented(
    images: Tensor,
    labels: Tensor,
    class_ids: Sequence[int],
    rng: np.random.Generator,
    recipe: Augmentation,
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return a random view of each picture.

    Args:
        images: Normalised, float32 (B, 3, H, W).
        labels: uint8 (B, H, W).
        class_ids: For each picture the class that has to stay in view.
        rng: Random numbers.
        recipe: How far views may differ.
        size: (height, width) of the views.

    Returns:
        Images float32 (B, 3, *size) and label maps uint8 (B, *size).
    """
    count = len(images)
    views = torch.tensor(np.stack([_view(rng, recipe) for _ in range(count)]), dtype=torch.float32)
    whole = torch.eye(2, 3).expand(count, 2, 3)
    seen = _sampled(labels[:, None].float(), views, size, "nearest")[:, 0].to(torch.uint8)
    kept = (seen == torch.tensor(class_ids, dtype=torch.uint8)[:, None, None]).sum(dim=(1, 2)) >= _LEAST_PIXELS
    views = torch.where(kept[:, None, None], views, whole)
    labels = _sampled(labels[:, None].float(), views, size, "nearest")[:, 0].to(torch.uint8)
    return _tinted(_sampled(images, views, size, "bilinear"), rng, recipe), labels


def _view(rng: np.random.Generator, recipe: Augmentation) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the affine map (2, 3) from a view's coordinates in -1..1 to the picture's."""
    side = rng.uniform(*recipe.view)
    angle = math.radians(rng.uniform(-recipe.turn, recipe.turn))
    mirror = -1.0 if rng.random() < recipe.mirror else 1.0
    room = max(0.0, 1.0 - side)
    shift = rng.uniform(-room, room, size=2)
    cos, sin = side * math.cos(angle), side * math.sin(angle)
    return np.array([[cos * mirror, -sin, shift[0]], [sin * mirror, cos, shift[1]]])


def _sampled(x: Tensor, views: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    grid = F.affine_grid(views, [len(x), x.shape[1], *size], align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="reflection", align_corners=False)


def _tinted(images: Tensor, rng: np.random.Generator, recipe: Augmentation) -> Tensor:
    count = len(images)
    if recipe.shuffle_colours:
        order = np.stack(
            [rng.permutation(3) if rng.random() < recipe.shuffle_colours else np.arange(3) for _ in range(count)]
        )
        images = torch.stack([image[torch.from_numpy(channels)] for image, channels in zip(images, order, strict=True)])
    if recipe.tint:
        gain = rng.uniform(1.0 - recipe.tint, 1.0 + recipe.tint, size=(count, 3, 1, 1))
        shift = rng.uniform(-recipe.tint, recipe.tint, size=(count, 3, 1, 1))
        images = images * torch.tensor(gain, dtype=torch.float32) + torch.tensor(shift, dtype=torch.float32)
    return images


def binary_mask(labels: Tensor, class_ids: Sequence[int], *, leave_out_rim: bool) -> Tensor:
    """Return masks uint8 (B, H, W) of one class each: 1 where it is, 0 elsewhere, 255 on a rim that is left out.

    Args:
        labels: uint8 (B, H, W).
        class_ids: For each map the label value asked for.
        leave_out_rim: Whether pixels labelled 255 stay so; else they are background.
    """
    wanted = torch.tensor(class_ids, dtype=labels.dtype)[:, None, None]
    mask = (labels == wanted).to(torch.uint8)
    return mask.masked_fill(labels == IGNORE, IGNORE) if leave_out_rim else mask
