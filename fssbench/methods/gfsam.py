"""GF-SAM.

Zhang, Gao, Jiao, Liu and Wei, "Bridge the Points: Graph-based Few-shot Segment Anything Semantically", NeurIPS 2024;
release ANDYZAQ/GF-SAM at f227d1d, matcher/GFSAM.py.

DINOv2 compares the patches of reference and target. Points where the object's similarity is high and the background's
is not each prompt SAM for one mask (positive-negative alignment). Points and masks form a directed graph, in which a
point leads to the points that its mask covers; its weakly connected components are clusters (point-mask clustering).
Two gates decide which masks are united to the prediction (positive and overshooting gating). Nothing is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.sam import BATCH, Prompts
from fssbench.extras import imported_extra
from fssbench.layers.masks import foreground
from fssbench.layers.pictures import pictures
from fssbench.methods.base.dino_sam import SIDE, DinoSam, Pictures, central_square

MOST_POINTS = 128


@dataclass(frozen=True)
class Support:
    """What GF-SAM keeps of supports.

    Attributes:
        tokens: float32 (B, N, C).
        inside: float32 (B, 1, n, n) in [0, 1]: the mask at the grid of patches, N = n * n.
        outside: Of the background, the same.
        empty: bool (B,): whether the mask has no pixel.
        size: (height, width) of the mask.
    """

    tokens: Tensor
    inside: Tensor
    outside: Tensor
    empty: Tensor
    size: tuple[int, int]


@dataclass(frozen=True)
class Alignment:
    """The similarity of the target's patches with the references.

    Attributes:
        maximum: (n, n): largest similarity with a reference patch of the object, mean over shots.
        positive: (n, n): mean similarity with the object.
        negative: (n, n): mean similarity with the background.
    """

    maximum: Tensor
    positive: Tensor
    negative: Tensor


class GFSAM(DinoSam[Support]):
    """GF-SAM with DINOv2 and SAM."""

    def encode(self, image: Tensor) -> Pictures:
        """Return the tokens of images float32 (B, 3, H, W), and their pictures for SAM.

        The release resizes a tensor for DINOv2; its version of torchvision does not antialias.
        """
        with torch.no_grad():
            resized = F.interpolate(image, (SIDE, SIDE), mode="bilinear", align_corners=False)
            tokens = self.encoder(resized, normed=False).flatten(2).transpose(1, 2)
            # Quirk: each channel is divided by its norm over the tokens, not each token by its norm over the channels.
            scaled = F.normalize(tokens, dim=1)
        return Pictures(scaled, self.sam.fitted(pictures(image)), None, (image.shape[-2], image.shape[-1]))

    def condition(self, features: Pictures, mask: Tensor) -> Support:
        """Return the tokens of supports, with object and background at the grid of patches; 255 is background."""
        inside = foreground(mask)
        empty = ~inside.flatten(1).any(dim=1)
        tokens = features.tokens
        return Support(tokens, _at_patches(inside, tokens), _at_patches(1 - inside, tokens), empty, features.size)

    def mask(self, target: Pictures, supports: Sequence[Support]) -> Tensor | None:
        """Return the union of the masks that pass both gates; None if there is no point.

        The release means to return an empty mask if there is no point, and raises an error instead.
        """
        alignment = align(target.tokens, _with_square(supports))
        points = choose_points(point_map(alignment))
        if not len(points):
            return None
        masks = self.masks(target, points)
        clusters = cluster(masks, points, alignment.positive.shape[-1])
        grown, scores = positive_gate(masks, clusters, alignment)
        consistent = overshooting_gate(masks, clusters, points, target.tokens)
        return united(masks, grown, consistent, scores)

    def masks(self, target: Pictures, points: Tensor) -> Tensor:
        """Return SAM's mask of each point, bool (P, H, W).

        Args:
            target: A prepared query.
            points: int64 (P, 2), (x, y) on the grid of patches.
        """
        frame, side = self.sam.frame(target.size), SIDE // self.encoder.patch
        # Quirk: a point is the top left corner of its patch, truncated to whole pixels, and not the centre.
        corners = frame.points(points, of=(side, side)).int()
        found = []
        for start in range(0, len(corners), BATCH):
            prompts = corners[start : start + BATCH]
            labels = torch.ones(len(prompts), 1, dtype=torch.int, device=prompts.device)
            low, _ = self.sam.decode(target.embedded, Prompts(prompts[:, None], labels), several=False)
            found.append(self.sam.enlarged(low, frame)[:, 0] > 0)
        return torch.cat(found)


def _at_patches(mask: Tensor, tokens: Tensor) -> Tensor:
    side = round(tokens.shape[1] ** 0.5)
    return F.interpolate(mask[:, None], (side, side), mode="bilinear", align_corners=True)


def _with_square(shots: Sequence[Support]) -> list[Support]:
    """Return the supports of an episode; if the masks of all are empty, each with a small square in the centre."""
    if not all(bool(shot.empty) for shot in shots):
        return list(shots)
    replaced = []
    for shot in shots:
        square = central_square(shot.size)[None].to(shot.tokens.device)
        inside, outside = (_at_patches(mask, shot.tokens) for mask in (square, 1 - square))
        replaced.append(Support(shot.tokens, inside, outside, shot.empty, shot.size))
    return replaced


# Positive-negative alignment


def align(target: Tensor, supports: Sequence[Support]) -> Alignment:
    """Return the similarity maps of a target, means over the shots.

    Args:
        target: Tokens (1, N, C).
        supports: K supports.
    """
    shots = [(similarity(shot.tokens[0], target[0]), shot) for shot in supports]
    object_maps = [similarity_maps(values, shot.inside[0, 0]) for values, shot in shots]
    negative = torch.stack([similarity_maps(values, shot.outside[0, 0])[1] for values, shot in shots])
    maximum, positive = (torch.stack(maps) for maps in zip(*object_maps, strict=True))
    return Alignment(maximum.mean(dim=0), positive.mean(dim=0), negative.mean(dim=0))


def similarity(reference: Tensor, target: Tensor) -> Tensor:
    """Return the cosine similarity (N, N) of the tokens (N, C) of a reference and a target."""
    norms = reference.norm(dim=1)[:, None] * target.norm(dim=1)[None]
    cosine: Tensor = reference @ target.T / (norms + 1e-7)
    return cosine


def similarity_maps(similarities: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest and the mean similarity (n, n) of each target patch with a soft mask of the reference.

    Args:
        similarities: (N, N), reference by target.
        mask: (n, n) in [0, 1].
    """
    masked = similarities * mask.flatten()[:, None]
    mean = masked.mean(dim=0) / (mask.sum() / mask.numel() + 1e-7)
    return masked.amax(dim=0).view_as(mask), mean.view_as(mask)


def point_map(alignment: Alignment) -> Tensor:
    """Return (n, n) in [0, 1]: how much a patch is of the object; zero where the background's similarity is larger."""
    object_map = _stretched(alignment.positive * alignment.maximum)
    return object_map * ~(_stretched(alignment.negative) > object_map)


def _stretched(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min() + 1e-6)


def choose_points(values: Tensor) -> Tensor:
    """Return the points int64 (P, 2), (x, y) on the grid, column by column: as many as the sum of the map, at most 128.

    Args:
        values: From `point_map`.
    """
    total = values.sum()
    count = min(int(total), MOST_POINTS) or int(total > 0)
    chosen = torch.zeros_like(values, dtype=torch.bool)
    chosen.view(-1)[values.flatten().topk(count).indices] = True
    return chosen.T.nonzero()


# Point-mask clustering


def cluster(masks: Tensor, points: Tensor, side: int) -> Tensor:
    """Return the cluster int64 (P,) of each point: the weakly connected components of the graph of points and masks.

    Args:
        masks: bool (P, H, W), a mask of each point.
        points: (P, 2), (x, y) on the grid.
        side: Side of the grid.
    """
    csgraph = imported_extra("scipy.sparse.csgraph", "gfsam clusters with SciPy, which can't be imported", "hub")
    grid = F.interpolate(masks[:, None].float(), (side, side), mode="nearest")[:, 0]
    covers = grid[:, points[:, 1], points[:, 0]]
    _, labels = csgraph.connected_components(covers.cpu().numpy(), directed=True, connection="weak")
    return torch.from_numpy(labels).long().to(masks.device)


# Positive and overshooting gating


def positive_gate(masks: Tensor, clusters: Tensor, alignment: Alignment) -> tuple[Tensor, Tensor]:
    """Return which masks are accepted, bool (P,), and a score of each cluster at its points, float32 (P,).

    In each cluster masks are tried from the best on: a mask is accepted if what it adds lies on more positive than
    negative patches.

    Args:
        masks: bool (P, H, W).
        clusters: int64 (P,).
        alignment: From `align`.
    """
    middle = (alignment.positive.max() + alignment.positive.min()) / 2
    gain, loss = alignment.positive * alignment.positive, alignment.negative * middle
    on_object = (gain > loss).float()
    accepted = torch.zeros_like(clusters, dtype=torch.bool)
    scores = torch.zeros_like(clusters, dtype=torch.float32)
    for members in _members(clusters):
        patches = _shares(masks[members], on_object.shape[-1])
        quality = (patches * (gain - loss)).sum(dim=(1, 2)) / (patches.sum(dim=(1, 2)) + 1e-6)
        covered = torch.zeros_like(on_object)
        surplus = covered.sum()
        for index in quality.argsort(descending=True).tolist():
            added = patches[index] * (1 - covered)
            surplus = (on_object * added).sum() - ((1 - on_object) * added).sum()
            if surplus > 0:
                covered += added
                accepted[members[index]] = True
        # Quirk: the score of a cluster is that of the mask that was tried last, whether or not it was accepted.
        scores[members] = surplus.float()
    return accepted, scores


def overshooting_gate(masks: Tensor, clusters: Tensor, points: Tensor, target: Tensor) -> Tensor:
    """Return which points resemble their own cluster most, bool (P,).

    The similarity of a point with a cluster is divided by its distance from the cluster's nearest point. A cluster in
    which fewer than half of the points are so loses all.

    Args:
        masks: bool (P, H, W).
        clusters: int64 (P,).
        points: int64 (P, 2), (x, y) on the grid.
        target: Tokens (1, N, C).
    """
    among_patches = similarity(target[0], target[0])
    side = round(target.shape[1] ** 0.5)
    distances = torch.cdist(points.float(), points.float())
    resemblance = []
    for members in _members(clusters):
        union = _shares(masks[members].any(dim=0, keepdim=True), side)[0]
        _, mean = similarity_maps(among_patches, union.to(among_patches.dtype))
        nearest = distances[:, members].amin(dim=1)
        nearest[nearest == 0] = 1
        resemblance.append(mean[points[:, 1], points[:, 0]] / nearest)
    consistent = torch.stack(resemblance).argmax(dim=0) == clusters
    for members in _members(clusters):
        agree = int(consistent[members].sum())
        if agree < len(members) - agree:
            consistent[members] = False
    return consistent


def united(masks: Tensor, grown: Tensor, consistent: Tensor, scores: Tensor) -> Tensor:
    """Return the prediction, bool (H, W): the union of the masks that passed both gates.

    If it is empty, the release takes the mask with the largest score among those that passed one gate; all others have
    the score 0 (quirk: so a mask that passed none may be taken, or the first).

    Args:
        masks: bool (P, H, W).
        grown: From `positive_gate`, as `scores`.
        consistent: From `overshooting_gate`.
        scores: float32 (P,).
    """
    union = masks[grown & consistent].any(dim=0)
    if union.any():
        return union
    waiting = torch.where(grown ^ consistent, scores, 0.0)
    return masks[int(waiting.max(dim=0).indices)]


def _members(clusters: Tensor) -> list[Tensor]:
    return [torch.where(clusters == label)[0] for label in range(int(clusters.max()) + 1)]


def _shares(masks: Tensor, side: int) -> Tensor:
    """Return masks bool (P, H, W) on the grid of patches, float32 (P, n, n)."""
    return F.interpolate(masks[:, None].float(), (side, side), mode="bilinear", align_corners=False)[:, 0]
