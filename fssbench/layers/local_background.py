"""Means of objects and of parts of backgrounds: what is nearest to each of a few positions that lie far apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Draw = Callable[[int], int]
"""Returns a number from 0 to one less than the argument, at random."""


def object_means(features: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return the mean feature of the object in each shot, averaged over shots, (B, C).

    Args:
        features: (B, K, C, h, w).
        labels: (B, K, h, w): 1 for the object.
        eps: Added to the number of positions; without any the mean is zero.
    """
    inside = (labels == 1).to(features.dtype)[:, :, None]
    means = (features * inside).sum(dim=(3, 4)) / (inside.sum(dim=(3, 4)) + eps)
    return means.mean(dim=1)


def backgrounds(features: Tensor, labels: Tensor, parts: int, draws: Sequence[Draw]) -> Tensor:
    """Return the mean features of the parts of each shot's background, shot after shot, (B, K * parts, C).

    Args:
        features: (B, K, C, h, w).
        labels: (B, K, h, w): 0 for background.
        parts: Number of parts of a background.
        draws: For each episode what chooses the first sites of its shots.
    """
    return torch.stack(
        [
            torch.cat([local_means(one, label == 0, parts, draw) for one, label in zip(maps, shots, strict=True)])
            for maps, shots, draw in zip(features, labels, draws, strict=True)
        ]
    )


def local_means(features: Tensor, background: Tensor, parts: int, draw: Draw) -> Tensor:
    """Return the mean feature of each part of the background, (parts, C).

    Args:
        features: (C, h, w), of `parts` positions or more.
        background: bool (h, w).
        parts: Number of parts.
        draw: Chooses the first site.
    """
    part = partition(background, parts, draw)
    member = F.one_hot(part[part >= 0], parts).to(features.dtype)
    inside = features.permute(1, 2, 0)[part >= 0]
    return member.T @ inside / member.sum(dim=0)[:, None]


def partition(background: Tensor, parts: int, draw: Draw) -> Tensor:
    """Return the number of the part in which each position is, int64 (h, w); -1 where there is no background.

    Zhang et al., "Feature-Proxy Transformer for Few-Shot Segmentation", NeurIPS 2022, local background: the parts are
    the cells of a Voronoi diagram whose sites are chosen by `far_apart`.

    Args:
        background: bool (h, w), of `parts` positions or more.
        parts: Number of parts; none is empty.
        draw: Chooses the first site.
    """
    if int(background.sum()) < parts:
        # Quirk: the first positions of the map then belong to it, whatever they show.
        background = background.clone()
        background.view(-1)[:parts] = True
    places = torch.nonzero(background)
    sites = places[far_apart(places, parts, draw)]
    part = torch.full(background.shape, -1, device=background.device)
    part[background] = _squared_distances(places, sites).argmin(dim=1)
    return part


def far_apart(places: Tensor, count: int, draw: Draw) -> Tensor:
    """Return the numbers of places that lie far apart, int64 (count,).

    The first is drawn; each further one is the place whose nearest chosen place is the farthest.

    Args:
        places: int64 (n, 2), all different; n is `count` or more.
        count: How many are chosen.
        draw: Chooses the first.
    """
    chosen = [draw(len(places))]
    nearest = _squared_distances(places, places[chosen])[:, 0]
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, _squared_distances(places, places[chosen[-1:]])[:, 0])
    return torch.tensor(chosen, device=places.device)


def _squared_distances(places: Tensor, sites: Tensor) -> Tensor:
    """Return the squared distances (n, m) of places (n, 2) and sites (m, 2), exact."""
    return ((places[:, None] - sites[None]) ** 2).sum(dim=-1)
