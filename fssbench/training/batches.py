"""Training batches: images at the network's size, kept in memory, with random views of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.datasets.dataset import Dataset, Image, Label
from fssbench.datasets.io.label_maps import check_size
from fssbench.episode.episode import Episode
from fssbench.errors import UsageError
from fssbench.label_values import IGNORE
from fssbench.methods.base.method import TrainingBatch
from fssbench.protocols.label_maps import nearest_label
from fssbench.protocols.transforms import input_image
from fssbench.training.crops import random_crop
from fssbench.training.draws import EpisodeSampler
from fssbench.training.recipe import Augmentation, Recipe, value_at

_LEAST_PIXELS = 64
"""If a view shows fewer pixels of its class, the whole image is used."""


class TrainingImages:
    """The images of a data set as tensors of one size, or random crops of the original images.

    Args:
        dataset: The data set.
        recipe: Has the size, the augmentation, and how many images are kept in memory.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self._dataset = dataset
        self._recipe = recipe
        self._resized = lru_cache(maxsize=recipe.kept)(self._resize)
        self._originals = lru_cache(maxsize=recipe.kept)(self._read)

    def _read(self, name: str) -> tuple[Image, Label]:
        image, label = self._dataset.image(name), self._dataset.label(name)
        check_size(self._dataset, name, (image.shape[0], image.shape[1]), label)
        return image, label

    def _resize(self, name: str) -> tuple[Tensor, Tensor]:
        size = self._recipe.picture
        image, label = self._read(name)
        return input_image(image, size), torch.from_numpy(nearest_label(label, size))

    def batch(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return normalised images float32 (B, 3, H, W) and their label maps uint8 (B, H, W), without augmentation."""
        images, labels = zip(*(self._resized(name) for name in names), strict=True)
        return torch.stack(images), torch.stack(labels)

    def views(
        self, names: Sequence[str], class_ids: Sequence[int], rng: np.random.Generator, whole: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return a random view of each image, in which its class stays visible; shapes as in `batch`.

        The first `whole` images are not augmented. Crops are always random.
        """
        recipe = self._recipe
        if recipe.crops is None:
            return augmented(*self.batch(names), class_ids, rng, recipe.augmentation, recipe.view, whole)
        pairs = zip(names, class_ids, strict=True)
        crops = [
            random_crop(*self._originals(name), class_id, rng, recipe.crops, recipe.view) for name, class_id in pairs
        ]
        images, labels = zip(*crops, strict=True)
        return torch.stack(images), torch.stack(labels)


class Batch(NamedTuple):
    """The images of B episodes: all queries, then the supports of the first episode, way by way, and so on.

    Attributes:
        images: float32 (B + B * N * K, 3, h, w), normalised.
        labels: uint8 (B + B * N * K, h, w).
        episodes: The episodes.
        rng: Further random numbers of this step.
    """

    images: Tensor
    labels: Tensor
    episodes: list[Episode]
    rng: np.random.Generator


class EpisodeBatches:
    """The batches of a stage, one for each step.

    Args:
        dataset: The data set.
        fold: The fold whose classes are left out.
        recipe: The recipe of the stage.
        seed: Seed of the episodes.
        task: "fss" or "fscs".
        stage: Number of the stage, from 0.

    Raises:
        MissingError: If no class has enough images.
        UsageError: If there are fewer classes than ways, or labels do not fit in 8 bits (FSS-1000).
    """

    def __init__(
        self,
        dataset: Dataset,
        fold: int,
        recipe: Recipe,
        seed: int,
        task: Literal["fss", "fscs"] = "fss",
        stage: int = 0,
    ) -> None:
        self._base = dataset.fold_classes(fold, "train")
        if max(self._base) >= IGNORE:
            raise UsageError(f"{dataset.name} has labels above {IGNORE - 1}, which a training batch can't hold")
        way, shot = recipe.way, recipe.shot
        self._sampler = EpisodeSampler.of_fold(
            dataset, fold, seed, way=way, shot=shot, task=task, stage=stage, rule=recipe.lists
        )
        self._images = TrainingImages(dataset, recipe)
        self._class_names = dataset.class_names
        self._recipe = recipe

    def at(self, step: int) -> Batch:
        """Return the images of a step, 0-based; they depend on the seed and the step only."""
        rng = self._sampler.generator(step)
        query_weight = value_at(self._recipe.query_weight, self._recipe.progress(step))
        episodes = self._sampler.draw(rng, self._recipe.batch, query_weight)
        shown = [(episode.query, episode.query_class) for episode in episodes]
        shown += [
            (name, class_id)
            for episode in episodes
            for class_id, names in zip(episode.classes, episode.supports, strict=True)
            for name in names
        ]
        names, class_ids = zip(*shown, strict=True)
        whole = len(episodes) if self._recipe.augmented == "supports" else 0
        images, labels = self._images.views(names, class_ids, rng, whole)
        return Batch(images, labels, episodes, rng)

    def training_batch(self, step: int, device: torch.device | str = "cpu") -> TrainingBatch:
        """Return the batch of a step, 0-based, as `Method.losses` takes it."""
        images, labels, episodes, _ = self.at(step)
        count, way, shot = len(episodes), self._recipe.way, self._recipe.shot
        size = images.shape[-2:]
        keep_ignore = self._recipe.rim == "leave-out"
        classes = [class_id for episode in episodes for class_id in episode.classes]
        queries, supports = labels[:count], labels[count:]
        support_classes = [class_id for class_id in classes for _ in range(shot)]
        masks = binary_mask(queries.repeat_interleave(way, dim=0), classes, keep_ignore=keep_ignore)
        support_masks = binary_mask(supports, support_classes, keep_ignore=keep_ignore)
        places = [self._base.index(class_id) for class_id in classes]
        return TrainingBatch(
            query=images[:count].to(device),
            query_masks=masks.view(count, way, *size).to(device),
            supports=images[count:].view(count, way, shot, 3, *size).to(device),
            support_masks=support_masks.view(count, way, shot, *size).to(device),
            classes=torch.tensor(places).view(count, way).to(device),
            query_labels=base_labels(
                queries,
                self._base,
                keep_ignore=keep_ignore,
                ignore_others=self._recipe.other_classes == "leave-out",
            ).to(device),
            foreground_weight=value_at(self._recipe.foreground_weight, self._recipe.progress(step)),
            class_names=[[self._class_names[class_id] for class_id in episode.classes] for episode in episodes],
        )


def augmented(
    images: Tensor,
    labels: Tensor,
    class_ids: Sequence[int],
    rng: np.random.Generator,
    recipe: Augmentation,
    size: tuple[int, int],
    whole: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return a random view of each image.

    Args:
        images: Normalised, float32 (B, 3, H, W).
        labels: uint8 (B, H, W).
        class_ids: For each image the class that has to stay visible.
        rng: Random numbers.
        recipe: How far views may differ.
        size: (height, width) of the views.
        whole: How many of the first images are not augmented.

    Returns:
        Images float32 (B, 3, *size) and label maps uint8 (B, *size).
    """
    count = len(images)
    views = torch.tensor(np.stack([_view(rng, recipe) for _ in range(count)]), dtype=torch.float32)
    uncut = torch.eye(2, 3).expand(count, 2, 3)
    views = torch.cat([uncut[:whole], views[whole:]])
    seen = _sampled(labels[:, None].float(), views, size, "nearest")[:, 0].to(torch.uint8)
    kept = (seen == torch.tensor(class_ids, dtype=torch.uint8)[:, None, None]).sum(dim=(1, 2)) >= _LEAST_PIXELS
    views = torch.where(kept[:, None, None], views, uncut)
    labels = _sampled(labels[:, None].float(), views, size, "nearest")[:, 0].to(torch.uint8)
    return _tinted(_sampled(images, views, size, "bilinear"), rng, recipe), labels


def _view(rng: np.random.Generator, recipe: Augmentation) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the affine map (2, 3) from the coordinates of a view, in -1..1, to those of the image."""
    side = rng.uniform(*recipe.view)
    angle = math.radians(rng.uniform(-recipe.turn, recipe.turn))
    mirror = -1.0 if rng.random() < recipe.mirror else 1.0
    margin = max(0.0, 1.0 - side)
    shift = rng.uniform(-margin, margin, size=2)
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


def binary_mask(labels: Tensor, class_ids: Sequence[int], *, keep_ignore: bool) -> Tensor:
    """Return masks uint8 (B, H, W) of one class each: 1 for the class, 0 elsewhere, 255 in the ignore region.

    Args:
        labels: uint8 (B, H, W).
        class_ids: The class of each label map.
        keep_ignore: Whether pixels labelled 255 keep that label; otherwise they become background.
    """
    values = torch.tensor(class_ids, dtype=labels.dtype)[:, None, None]
    mask = (labels == values).to(torch.uint8)
    return mask.masked_fill(labels == IGNORE, IGNORE) if keep_ignore else mask


def base_labels(labels: Tensor, base: Sequence[int], *, keep_ignore: bool, ignore_others: bool = False) -> Tensor:
    """Return uint8 (B, H, W): 0, 1 + the index of the base class, or 255 in the ignore region.

    Args:
        labels: uint8 (B, H, W).
        base: The base classes in rising order.
        keep_ignore: Whether pixels labelled 255 keep that label; otherwise they become background.
        ignore_others: Whether other classes become 255; otherwise they become background.
    """
    place = torch.full((256,), IGNORE if ignore_others else 0, dtype=torch.uint8)
    place[0] = 0
    place[torch.tensor(base)] = torch.arange(1, len(base) + 1, dtype=torch.uint8)
    place[IGNORE] = IGNORE if keep_ignore else 0
    return place[labels.long()]
