"""Superpixel-guided clustering and guided prototype allocation (ASGNet: Li et al., CVPR 2021, sections 4.1 and 4.2).

Facts from Reagan1311/ASGNet at cd898c5, util/seed_init.py and model/asgnet.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.layers.masks import masked_average

_SPATIAL_WEIGHT = 1 / 100
_EPS = 1e-7
# A resized mask is exact only for sizes of the form 8k + 1; for others float32 gives 1 - 1e-7 inside objects.
_INSIDE = 1 - 1e-4


@dataclass(frozen=True, eq=False)
class Prototypes:
    """The prototypes of B images.

    Attributes:
        centres: (B, S, C); rows beyond an image's number of prototypes are zero.
        valid: bool (B, S): which rows are prototypes; at least one is.
    """

    centres: Tensor
    valid: Tensor


def place_seeds(inside: Tensor, size: tuple[int, int], area: float, most: int) -> Tensor:
    """Return the initial cluster centres of an object: as far as possible from its boundary and from each other.

    Their number is the object's area divided by `area` (rounded half to even), at most `most`. Each seed is placed at
    the first maximum, in row-major order, of the Euclidean distance transform, and then counts as background. The
    release smooths the distances by a Gaussian of 0.1 pixels, whose kernel is a single 1. Only the object's bounding
    box is used, and positions outside it are not background; if the object fills the box, the first distances are
    measured from the position above its top left corner, as in scipy.

    Args:
        inside: Foreground (H, W) in {0, 1}.
        size: (height, width) of the map on which seeds are placed. The mask is resized to it by nearest neighbour
            (floor). Quirk: the map takes every 8th pixel of the mask instead, so a seed may lie just outside the
            object.
        area: Positions per cluster.
        most: Largest number of clusters.

    Returns:
        int64 (n, 2), rows and columns, on the CPU; n = 0 if one prototype is enough.
    """
    small = cv2.resize(inside.to("cpu", torch.uint8).numpy(), size[::-1], interpolation=cv2.INTER_NEAREST)
    count = min(round(int(small.sum()) / area), most)
    if count < 2:
        return torch.zeros(0, 2, dtype=torch.int64)
    rows, columns = np.nonzero(small)
    top, left = rows.min(), columns.min()
    squared = _squared_distances(small[top : rows.max() + 1, left : columns.max() + 1])
    row, column = np.indices(squared.shape)
    seeds = np.empty((count, 2), np.int64)
    for number in range(count):
        seeds[number] = np.unravel_index(squared.argmax(), squared.shape)
        to_seed = (row - seeds[number, 0]) ** 2 + (column - seeds[number, 1]) ** 2
        squared = to_seed if number == 0 and small.sum() == squared.size else np.minimum(squared, to_seed)
    seeds += (top, left)
    # Quirk: the release pads with zeros and counts the rows or columns that are not 0, so a seed at 0 may be lost.
    return torch.from_numpy(seeds[: (seeds != 0).sum(axis=0).max()])


def _squared_distances(box: np.ndarray) -> np.ndarray:
    """Return the squared distance of every position of a uint8 box to its nearest zero, int64."""
    if box.all():
        row, column = np.indices(box.shape)
        return np.asarray((row + 1) ** 2 + column**2)
    distances = cv2.distanceTransform(box, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.rint(distances.astype(np.float64) ** 2).astype(np.int64)


def superpixel_centres(features: Tensor, inside: Tensor, seeds: Tensor, iterations: int) -> Tensor:
    """Return the cluster centres of one object, (n, C) (Algorithm 1 of the paper).

    Positions and centres include their row and column. A position belongs to a centre with weight exp(-D), Eq. 1 and 2,
    with D^2 = squared feature distance + squared spatial distance / 100. Quirk: the weights are normalised over the
    positions, not over the centres, so every centre is a mean over the whole object in which near positions have larger
    weights.

    Args:
        features: (C, h, w).
        inside: bool (h, w); at least one position.
        seeds: int64 (n, 2), the initial centres.
        iterations: How often the centres are updated.
    """
    positions = inside.nonzero()
    pixels = features[:, positions[:, 0], positions[:, 1]].T
    centres = features[:, seeds[:, 0], seeds[:, 1]].T
    places, at = positions.to(pixels.dtype), seeds.to(pixels.dtype)
    for _ in range(iterations):
        by_feature = (pixels[:, None] - centres[None]).square().sum(dim=2)
        by_place = (places[:, None] - at[None]).square().sum(dim=2)
        distance = (by_feature + by_place * _SPATIAL_WEIGHT).sqrt()
        belongs = torch.softmax(-distance, dim=0).T
        centres, at = belongs @ pixels, belongs @ places
    return centres


@torch.no_grad()
def prototypes(
    features: Tensor, mask: Tensor, resized: Tensor, *, area: float, most: int, iterations: int
) -> Prototypes:
    """Return the prototypes of B supports; no gradient, as released.

    An object that is too small for two superpixels, or covers no position, has its masked average as the only
    prototype.

    Args:
        features: (B, C, h, w).
        mask: Foreground (B, H, W) in {0, 1}.
        resized: The mask at the size of the features, (B, 1, h, w) in [0, 1].
        area: See `place_seeds`.
        most: See `place_seeds`; the S of the result.
        iterations: See `superpixel_centres`.
    """
    batch, channels, height, width = features.shape
    centres = features.new_zeros(batch, most, channels)
    valid = torch.zeros(batch, most, dtype=torch.bool, device=features.device)
    averages = masked_average(features, resized)[:, :, 0, 0]
    for number in range(batch):
        inside = resized[number, 0] > _INSIDE
        seeds = place_seeds(mask[number], (height, width), area, most).to(features.device)
        own = averages[number][None]
        if len(seeds) > 1 and bool(inside.any()):
            own = superpixel_centres(features[number], inside, seeds, iterations)
        centres[number, : len(own)] = own
        valid[number, : len(own)] = True
    return Prototypes(centres, valid)


def concatenate_shots(shots: list[Prototypes]) -> Prototypes:
    """Return the prototypes of K shots as those of one image."""
    return Prototypes(torch.cat([one.centres for one in shots], dim=1), torch.cat([one.valid for one in shots], dim=1))


def allocate(query: Tensor, prototypes: Prototypes) -> tuple[Tensor, Tensor]:
    """Return the guide feature (B, C, h, w) and the probability map (B, 1, h, w) of queries (section 4.2).

    The guide contains at each position the prototype with the largest cosine (Eq. 4); the map is the sum of the cosines
    to all prototypes.

    Args:
        query: (B, C, h, w).
        prototypes: The prototypes of its supports.
    """
    centres, valid = prototypes.centres, prototypes.valid
    cosine = torch.einsum("bsc,bchw->bshw", F.normalize(centres, dim=2, eps=_EPS), F.normalize(query, eps=_EPS))
    is_prototype = valid[:, :, None, None]
    nearest = cosine.masked_fill(~is_prototype, -torch.inf).argmax(dim=1).flatten(1)
    guide = centres.gather(1, nearest[:, :, None].expand(-1, -1, centres.shape[2])).transpose(1, 2)
    return guide.reshape(query.shape), (cosine * is_prototype).sum(dim=1, keepdim=True)
