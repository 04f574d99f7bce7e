"""PATNet: Lei et al., "Cross-Domain Few-Shot Semantic Segmentation", ECCV 2022.

Facts from slei109/PATNet at 0155c5f, model/patnet.py. Features are brought into a space that does not depend on their
domain by the pyramid-anchor-based transformation (PATM); HSNet's correlations and learner follow. For a task of another
domain the anchors may be fine-tuned first (TFI).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Pyramid
from fssbench.backbones import backbone as build_backbone
from fssbench.layers.hypercorrelation import hypercorrelation
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.methods.base.method import Prediction
from fssbench.methods.base.pairwise import PairwiseMethod
from fssbench.methods.hsnet import Channels, HPNLearner

_EPS = 1e-6
_CUT = 1e-6
_LIMITS = (4, 10)
"""Places in the list of maps at which the second and the third anchor layer begin."""
_RATES = {"plain": 0.0, "tfi-1e-3": 1e-3, "tfi-5e-5": 5e-5}


@dataclass(frozen=True, eq=False)
class PATNetSupport:
    """What is kept of B support images.

    Attributes:
        masked: Their maps with the background zeroed, each (B, C, h, w).
        prototypes: Of each map those of background and foreground, (B, 2, C).
        references: R of each map, transposed: the anchors of background and foreground, (B, 2, C), of any length.
    """

    masked: Pyramid
    prototypes: tuple[Tensor, ...]
    references: tuple[Tensor, ...]


class PATNet(PairwiseMethod[PATNetSupport]):
    """Pyramid-anchor-transformation network.

    Args:
        backbone: Name of the frozen backbone.
        variant: "plain", without fine-tuning as the release's test script, or "tfi-1e-3" or "tfi-5e-5", with the
            learning rate of its fine-tuning: of the paper that on DeepGlobe and ISIC, and that on chest X-rays and
            FSS-1000 (section 6.3).
        way: 1.
        shot: K.
        channels: Widths of the squeezing blocks; the release has (16, 64, 128).
        steps: Of the fine-tuning; the authors say "around 50" (issue 32 of their repository).
    """

    def __init__(
        self, backbone: str, variant: str, way: int, shot: int, channels: Channels = (16, 64, 128), steps: int = 50
    ) -> None:
        super().__init__(build_backbone(backbone), "fss", way, shot)
        self.rate, self.steps = _RATES[variant], steps
        widths = self.backbone.channels
        # Quirk: anchors belong to places in the list of maps, those of ResNet-50's levels, so that on VGG-16 the first
        # map of conv5 has those of conv4 and the third layer has no map. On the small backbone they are its own levels.
        first, second = self.backbone.levels[:2]
        starts = (first, first + second) if backbone == "small" else _LIMITS
        self._anchor_of = [1 + sum(place >= start for start in starts) for place in range(len(widths))]
        for number in (1, 2, 3):
            own = [width for width, anchor in zip(widths, self._anchor_of, strict=True) if anchor == number]
            self.add_module(f"reference_layer{number}", _anchors(own[0] if own else widths[-1]))
        self.hpn_learner = HPNLearner(self.backbone.levels, channels)

    def condition(self, features: Pyramid, mask: Tensor) -> PATNetSupport:
        """Return masked maps, prototypes (Eq. 1) and anchors; 255 counts as background."""
        inside = foreground(mask)
        weights = [resize_mask(inside, feature) for feature in features]
        masked = tuple(feature * weight for feature, weight in zip(features, weights, strict=True))
        found = tuple(prototypes(*both) for both in zip(features, weights, strict=True))
        return PATNetSupport(masked, found, self.references(len(mask)))

    def references(self, count: int) -> tuple[Tensor, ...]:
        """Return R of each map, transposed: the anchors of background and foreground, for B = `count` images."""
        weights = [self.get_parameter(f"reference_layer{anchor}.weight") for anchor in self._anchor_of]
        return tuple(weight[None].expand(count, -1, -1) for weight in weights)

    def score(self, query: Pyramid, support: PATNetSupport) -> Tensor:
        """Return raw logits (B, 2, h, w) of B pairs: transform both, correlate, squeeze, mix, decode."""
        queries, supports = [], []
        for maps in zip(query, support.masked, support.prototypes, support.references, strict=True):
            of_query, of_support, prototypes, reference = maps
            queries.append(transform(of_query, prototypes, reference))
            supports.append(transform(of_support, prototypes, reference))
        logits: Tensor = self.hpn_learner(hypercorrelation(queries, supports, self.backbone.levels))
        return logits

    def predict(self, query: Pyramid, supports: Sequence[Sequence[PATNetSupport]], size: tuple[int, int]) -> Prediction:
        """Return the prediction of one episode; with fine-tuning that after it."""
        coarse = super().predict(query, supports, size)
        if self.rate == 0:
            return coarse
        return super().predict(query, [self.fine_tuned(query, supports[0], coarse.labels)], size)

    def fine_tuned(self, query: Pyramid, shots: Sequence[PATNetSupport], labels: Tensor) -> list[PATNetSupport]:
        """Return the supports with anchors that are fine-tuned to the episode: task-adaptive fine-tuning inference.

        The anchors of the first layer are moved so that the query's foreground prototype, under the coarse prediction,
        comes near the supports', by the Kullback-Leibler divergence of their softmax over the channels. Each episode
        starts from the trained anchors.

        The release has the divergence of the prototypes before their transformation (`finetune_reference`, which no
        script calls). That one does not depend on the anchors; here they are transformed first.

        Args:
            query: Maps of the query, each (1, C, h, w).
            shots: The K supports.
            labels: The coarse prediction, (H, W) in {0, 1}.
        """
        places = [place for place, anchor in enumerate(self._anchor_of) if anchor == 1]
        with torch.inference_mode(mode=False), torch.enable_grad(), torch.autocast(labels.device.type, enabled=False):
            anchors = self.get_parameter("reference_layer1.weight").detach().clone().requires_grad_()
            mask = labels[None].clone()
            own = {n: prototypes(query[n].clone(), resize_mask(mask, query[n])) for n in places}
            both = [(own[n], shot.prototypes[n].clone()) for n in places for shot in shots]
            # The query's foreground and the support's, times the support's C+, which stays as it is.
            pairs = [in_pairs(torch.stack([ours[:, 1], theirs[:, 1]], dim=2), theirs) for ours, theirs in both]
            optimiser = torch.optim.Adam([anchors], lr=self.rate)
            for _ in range(self.steps):
                of_query, of_support = (unit(anchors).T @ torch.cat(pairs)).unbind(dim=2)
                loss = F.kl_div(of_query.log_softmax(dim=1), of_support.softmax(dim=1), reduction="sum") / len(shots)
                (anchors.grad,) = torch.autograd.grad(loss, [anchors])
                optimiser.step()
        tuned = anchors.detach()[None]
        return [
            replace(shot, references=tuple(tuned if n in places else its for n, its in enumerate(shot.references)))
            for shot in shots
        ]


def transform(features: Tensor, prototypes: Tensor, reference: Tensor) -> Tensor:
    """Return maps (B, C, h, w) times P, which takes a support's prototypes to the anchors: P C = R (Eq. 2 and 3).

    Prototypes and anchors have length 1 in C and R. Both have two columns, so that P = R C+ is applied as C+, then R.

    Args:
        features: (B, C, h, w).
        prototypes: C, transposed: (B, 2, C).
        reference: R, transposed: (B, 2, C).
    """
    transformed: Tensor = unit(reference).mT @ in_pairs(features.flatten(2), prototypes)
    return transformed.view_as(features)


def in_pairs(features: Tensor, prototypes: Tensor) -> Tensor:
    """Return C+ f of features (B, C, n): a pair of numbers each, (B, 2, n); prototypes as in `transform`."""
    inverse: Tensor = inverse_of(prototypes).mT
    return inverse @ features


def inverse_of(prototypes: Tensor) -> Tensor:
    """Return C+, transposed, (B, C, 2), for prototypes (B, 2, C) of any length.

    The release cuts singular values at 1e-15 of the largest, below what float32 can tell from zero. If a side has no
    pixel, so that its prototype is zero, it may divide by rounding errors; here this side is left out.
    """
    inverse: Tensor = torch.linalg.pinv(unit(prototypes), rtol=_CUT)
    return inverse


def prototypes(feature: Tensor, weight: Tensor) -> Tensor:
    """Return the mean features (B, 2, C) of background and foreground (Eq. 1).

    Args:
        feature: (B, C, h, w).
        weight: The foreground, (B, 1, h, w) in [0, 1].
    """
    return torch.stack([masked_average(feature, side, _EPS).flatten(1) for side in (1 - weight, weight)], dim=1)


def unit(vectors: Tensor) -> Tensor:
    """Return vectors (..., C) of length 1."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / (length + _EPS)


def _anchors(width: int) -> nn.Linear:
    # A layer whose weight alone is used, as in the release.
    layer = nn.Linear(width, 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    nn.init.zeros_(layer.bias)
    return layer
