"""Matcher.

Liu, Zhu, Li, Chen, Wang and Shen, "Matcher: Segment Anything with One Shot Using All-Purpose Feature Matching", ICLR
2024; release aim-uofa/Matcher at d59b6c7, matcher/Matcher.py, matcher/k_means.py and scripts/.

DINOv2 gives a correspondence matrix of reference and target. Patches that match in both directions are points; subsets
of them, drawn at random, prompt SAM for masks. Instance-level matching scores the masks, and the best are merged.
Nothing is learned; the settings differ between data sets.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.sam import Frame, Prompts
from fssbench.extras import imported_extra
from fssbench.layers.mask_proposals import Filter, Proposals, SeveralMasks, grid, joined, proposals, without_repeats
from fssbench.layers.masks import foreground
from fssbench.layers.pictures import normalised, pictures, squashed
from fssbench.methods.base.dino_sam import SIDE, DinoSam, Pictures, central_square
from fssbench.methods.matcher_settings import Settings

FEW_POINTS, MANY_MATCHES = 8, 40
"""Of at most 8 points all subsets are taken; of more than 40 matches the better half is."""


@dataclass(frozen=True)
class Support:
    """What Matcher keeps of supports.

    Attributes:
        tokens: float32 (B, N, C), of unit length.
        patches: bool (B, N): those with any pixel of the mask.
    """

    tokens: Tensor
    patches: Tensor


@dataclass(frozen=True)
class Matching:
    """The result of patch-level matching.

    Attributes:
        points: int64 (P, 2), (x, y) in pixels of the picture: the centres of the matched patches.
        costs: float32 (R, N): distance in [0, 1] of each reference patch of the object and each target patch.
    """

    points: Tensor
    costs: Tensor


@dataclass(frozen=True)
class Metrics:
    """Instance-level matching: how well each of M masks fits the reference.

    Attributes:
        emd: float32 (M,): 1 - the earth mover's distance of the patches of reference object and mask.
        purity: float32 (M,): matched points in the mask, per patch of the mask.
        coverage: float32 (M,): the share of the matched points that lie in the mask.
    """

    emd: Tensor
    purity: Tensor
    coverage: Tensor


class Matcher(DinoSam[Support]):
    """Matcher with DINOv2 and SAM.

    Args:
        backbone: Two names joined by "+", e.g. "dinov2-vitl14+sam-vith".
        way: 1.
        shot: K.
        seed: Of the random subsets and centres of every episode.
        **options: The fields of `Settings`.
    """

    def __init__(self, backbone: str, way: int, shot: int, seed: int = 0, **options: Any) -> None:  # noqa: ANN401
        super().__init__(backbone, way, shot)
        self.seed = seed
        self.settings = Settings(**options)
        self.merged = self.settings.num_merging_mask
        if shot > 1 and ("num_merging_mask" not in options or "num_merging_mask_5shot" in options):
            self.merged = self.settings.num_merging_mask_5shot

    def encode(self, image: Tensor) -> Pictures:
        """Return the tokens of images float32 (B, 3, H, W), and their pictures for SAM.

        All is computed at 518 x 518, as in the release: a picture of another size is resized first, as its loader does.
        """
        fitted = (
            image
            if image.shape[-2:] == (SIDE, SIDE)
            else normalised(squashed(pictures(image), (SIDE, SIDE))).to(image.dtype)
        )
        with torch.no_grad():
            tokens = F.normalize(self.encoder(fitted, normed=False), dim=1).flatten(2).transpose(1, 2)
        return Pictures(tokens, self.sam.fitted(pictures(fitted)), None, (SIDE, SIDE))

    def condition(self, features: Pictures, mask: Tensor) -> Support:
        """Return the tokens of supports and the patches of the object; 255 is background."""
        at_side = F.interpolate(foreground(mask)[:, None], (SIDE, SIDE), mode="nearest")
        return Support(features.tokens, self._patches(at_side[:, 0] > 0))

    def mask(self, target: Pictures, supports: Sequence[Support]) -> Tensor | None:
        """Return the union of the best masks; None if no mask passes SAM's filters.

        The release raises an error if none does. Its random numbers are one stream through all episodes; here every
        episode begins with the seed, so that it is the same alone and in any order.
        """
        matching = self.match(target, supports)
        points = matching.points
        if not self.settings.use_points_or_centers:
            points = centres(points, self.settings.num_centers, torch.Generator().manual_seed(self.seed))
        drawn = subsets(points, self.settings, random.Random(self.seed))  # noqa: S311 - not a secret
        found = self.proposals(target, drawn, matching.points)
        if not len(found.quality):
            return None
        chosen = merge(self.settings, self.measure(matching, found.masks), self.merged)
        return found.masks[chosen].any(dim=0)

    # Correspondence matrix extraction and patch-level matching

    def match(self, target: Pictures, supports: Sequence[Support]) -> Matching:
        """Return the matched points: bidirectional matching between the references' object and the target.

        A point stays if the way back from the target ends in the object of any reference; if none does, all stay.

        Args:
            target: A prepared query.
            supports: K supports, whose patches are matched as one pool.
        """
        matching = imported_extra("scipy.optimize", "matcher matches with SciPy, which can't be imported", "hub")
        references = torch.cat([shot.tokens[0] for shot in supports])
        similarities = references @ target.tokens[0].T
        inside = torch.cat([shot.patches[0] for shot in supports])
        if not inside.any():
            square = self._patches(central_square(target.size)[None] > 0)[0].to(inside.device)
            inside = square.repeat(len(supports))
        forward = similarities[inside]
        rows, found = (torch.from_numpy(one) for one in matching.linear_sum_assignment(forward.cpu(), maximize=True))
        _, back = matching.linear_sum_assignment(similarities.T[found].cpu(), maximize=True)
        stays = inside.cpu()[torch.from_numpy(back)]
        if stays.any():
            rows, found = rows[stays], found[stays]
        count = len(found) // 2 if len(found) > MANY_MATCHES else len(found)
        best = forward.cpu()[rows, found].sort(descending=True).indices[:count]
        # Quirk: the points come in the order of a Python set, from which subsets are drawn.
        places = torch.tensor(list(set(found[best].tolist())), device=inside.device)
        patch, side = self.encoder.patch, SIDE // self.encoder.patch
        points = torch.stack([places % side, places // side], dim=1) * patch + patch // 2
        return Matching(points, (1 - forward) / 2)

    def _patches(self, mask: Tensor) -> Tensor:
        """Return which patches hold any pixel of a mask, bool (B, N), of bool (B, 518, 518)."""
        return F.max_pool2d(mask[:, None].float(), self.encoder.patch).flatten(1) > 0

    # Robust prompt sampler

    def proposals(self, target: Pictures, drawn: Sequence[Tensor], matched: Tensor) -> Proposals:
        """Return the masks that the prompts give, from the best predicted IoU on.

        Args:
            target: A prepared query.
            drawn: The prompts, from `subsets`.
            matched: int64 (Q, 2): all matched points.
        """
        frame, chosen = self.sam.frame(target.size), self.settings
        embedding, box = target.embedded, _box_around(matched) if chosen.use_box else None
        prompts = [_prompts(group, frame, box) for group in drawn]
        several = SeveralMasks(chosen.output_layer) if chosen.multimask_output else None
        kept = Filter(chosen.iou_filter, chosen.sel_stability_score_thresh)
        parts = [proposals(self.sam, embedding, frame, prompts, kept, several)]
        if chosen.use_dense_mask:
            dense = [_prompts(grid(chosen.points_per_side, target.size).to(matched.device)[:, None], frame)]
            several = SeveralMasks(chosen.dense_multimask_output) if chosen.dense_multimask_output else None
            kept = Filter(chosen.pred_iou_thresh, chosen.stability_score_thresh)
            parts.insert(0, proposals(self.sam, embedding, frame, dense, kept, several))
        return without_repeats(joined(parts), chosen.box_nms_thresh)

    # Instance-level matching

    def measure(self, matching: Matching, masks: Tensor) -> Metrics:
        """Return the metrics of masks bool (M, 518, 518)."""
        patches = self._patches(masks)
        patches |= ~patches.any(dim=1, keepdim=True)  # quirk: an empty mask counts as the whole picture
        inside = masks[:, matching.points[:, 1], matching.points[:, 0]].sum(dim=1)
        emd = torch.tensor([1 - earth_movers_distance(matching.costs[:, held]) for held in patches])
        return Metrics(
            emd.to(masks.device),
            inside.float() / patches.sum(dim=1) + 1e-6,
            inside.float() / len(matching.points) + 1e-6,
        )


def centres(points: Tensor, count: int, draws: torch.Generator) -> Tensor:
    """Return the k-means centres of points, truncated to pixels, int64 (k, 2).

    They start as k-means++ does. If a centre is left without points, all is repeated with further draws.

    Args:
        points: int64 (P, 2).
        count: k, at most P.
        draws: On the CPU.
    """
    places, count = points.cpu().float(), min(count, len(points))
    while True:
        found, labels = _k_means(places, count, draws)
        if len(set(labels.tolist())) == count:
            return found.long().to(points.device)


def _k_means(points: Tensor, count: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    means = points[torch.randint(len(points), (1,), generator=draws)]
    for _ in range(count - 1):
        distances = torch.cdist(points, means).amin(dim=1) + 1e-6
        shares = distances**2 / (distances**2).sum()
        means = torch.cat([means, points[torch.multinomial(shares, 1, generator=draws)]])
    labels = torch.zeros(len(points), dtype=torch.int64)
    for _ in range(100):
        labels = torch.cdist(points, means).argmin(dim=1)
        moved = torch.stack(
            [points[labels == k].mean(dim=0) if (labels == k).any() else means[k] for k in range(count)]
        )
        if torch.equal(moved, means):
            break
        means = moved
    return means, labels


def subsets(points: Tensor, settings: Settings, draws: random.Random) -> list[Tensor]:
    """Return the prompts, one group (S, n, 2) for each number n of points.

    Args:
        points: int64 (P, 2).
        settings: Their sizes, and how many of each are drawn.
        draws: Draws them. Of at most 8 points all subsets are taken, and nothing is drawn.
    """
    smallest, largest = (min(bound, len(points)) for bound in settings.sample_range)
    groups = []
    for count in range(smallest, largest + 1):
        if len(points) > FEW_POINTS:
            drawn = [draws.sample(range(len(points)), count) for _ in range(settings.max_sample_iterations)]
        else:
            drawn = sorted((list(one) for one in combinations(range(len(points)), count)), key=lambda one: one[::-1])
        groups.append(points[torch.tensor(drawn, device=points.device)])
    return groups


def _box_around(points: Tensor) -> Tensor:
    return torch.cat([points.amin(dim=0), points.amax(dim=0)])


def _prompts(points: Tensor, frame: Frame, box: Tensor | None = None) -> Prompts:
    labels = torch.ones(points.shape[:2], dtype=torch.int, device=points.device)
    placed = frame.points(points).float()
    if box is None:
        return Prompts(placed, labels)
    corners = frame.points(box.view(2, 2)).float().flatten()
    return Prompts(placed, labels, boxes=corners.expand(len(points), 4))


def earth_movers_distance(costs: Tensor) -> float:
    """Return the earth mover's distance of two sets of equally heavy patches.

    Args:
        costs: (R, Q): the distance between each two.
    """
    import numpy as np

    ot = imported_extra("ot", "matcher measures distances with POT, which can't be imported", "hub")
    weights = [np.full(count, 1.0 / count) for count in costs.shape]
    return float(ot.emd2(*weights, costs.double().cpu().numpy()))


def merge(settings: Settings, metrics: Metrics, most: int) -> Tensor:
    """Return the indices int64 of the masks that are merged to the prediction.

    Args:
        settings: The filters.
        metrics: Of M masks, in the order of their predicted IoU.
        most: The largest number of masks.
    """
    scores = settings.alpha * metrics.emd + settings.beta * metrics.purity * metrics.coverage**settings.exp
    left = torch.arange(len(scores), device=scores.device)
    for values, least in (
        (metrics.coverage, settings.coverage_filter),
        (metrics.emd, settings.emd_filter),
        (metrics.purity, settings.purity_filter),
    ):
        if least > 0:
            left = left[values[left] >= min(least, float(values[left].max()))]
    if settings.use_score_filter:
        distances, ranks = (1 - scores[left]).sort()
        near = distances < settings.deep_score_filter
        near[0] = True
        near &= (distances - distances.min()) / (distances.max() + 1e-6) < settings.deep_score_norm_filter
        return left[ranks[near][:most]]
    best, ranks = scores[left].topk(min(most, len(left)))
    if settings.topk_scores_threshold > 0:
        best = best / best.max()
    return left[ranks[best > settings.topk_scores_threshold]]
