"""MM-Net: Wu et al., "Learning Meta-class Memory for Few-Shot Semantic Segmentation", ICCV 2021.

Facts from wu-zhonghua/MM-Net at 5efecfb, model/PartNet.py and train.py. The modules have the paper's names: meta-class
memory (MMM), activation propagation (APM), image quality measurement, foreground confidence (FCM), and PFENet's feature
enrichment (FEM) as the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import UnusedLinear
from fssbench.backbones.staged import staged
from fssbench.layers.enrichment import Bins, FeatureEnrichment, default_bins, grids, reduction, resize
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, resize_mask
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

_EPS = 1e-7
_OUTSIDE = -1e9
_AUXILIARY_WEIGHT = 1.0
_RECONSTRUCTION_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class MMNetQuery:
    """What the head reads of B queries.

    Attributes:
        similarity: Dot products of the reduced map with the M memories, (B, M, h, w).
        layer4: layer4, (B, C, h', w').
        size: (height, width) of the images.
    """

    similarity: Tensor
    layer4: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class MMNetSupport:
    """What is kept of B support images.

    Attributes:
        similarity: Dot products of the reduced map, which is not masked, with the M memories, (B, M, h, w).
        inside: The mask at the size of that map, (B, 1, h, w) in [0, 1].
        layer4: layer4 of the masked maps, masked again, (B, C, h, w); the confidence map is read from it.
    """

    similarity: Tensor
    inside: Tensor
    layer4: Tensor


class MMNet(StagedMethod[MMNetQuery, MMNetSupport]):
    """Meta-class memory based network.

    Maps of 60 x 60 are written into the release's forward pass, so that it runs on images of 473 x 473 with a ResNet
    alone. Here a map has the size that its image and backbone give it, so that the same steps serve 641 x 641, which
    the configurations for COCO ask for, VGG-16, whose maps are half as wide, and any other size. The scales of the
    decoder stay those of the configuration.

    The release trains on episodes of 2 or more shots alone: for 1 shot it returns a loss that it has not assigned.
    Here 1 shot is trained with the loss of more, which reconstructs the first support in any case.

    Args:
        backbone: Name of the frozen backbone.
        way: 1.
        shot: K.
        width: Channels of the head.
        memories: Number of memory embeddings M.
        bins: Sides of the decoder's scales in positions, finest first, or "fractions" of the query's map (1, 1/2, 1/4,
            1/8) as in the release's COCO configuration. Default its PASCAL's (60, 30, 15, 8), with the small backbone
            fractions.
        moving_statistics: Whether in training the frozen backbone's batch norm sees the batch and moves its running
            statistics. Default as released: it does (train.py calls `model.train()` and freezes parameters alone); with
            the small backbone, which was not released, it does not.

    Raises:
        UsageError: If `bins` are no sides.
    """

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        width: int = 256,
        memories: int = 50,
        bins: Bins | None = None,
        moving_statistics: bool | None = None,
    ) -> None:
        super().__init__(staged(backbone), moving_statistics=moving_statistics)
        self.task, self.way, self.shot = "fss", way, shot
        layer2, layer3, _ = self.stages.channels
        self.down_query_level_2 = reduction(layer2 + layer3, width)
        self.down_supp_level_2 = reduction(layer2 + layer3, width)
        self.part_emb_2_level = nn.Parameter(torch.randn(1, width, memories))
        if bins is None:
            bins = default_bins(backbone)
        self._decoder = self.adopt(FeatureEnrichment(memories + 1, width, bins))
        # Quirk: two layers that its checkpoints hold and its network never runs.
        self.alpha = UnusedLinear(width, width).requires_grad_(requires_grad=False)
        self.beta = UnusedLinear(width, width).requires_grad_(requires_grad=False)

    def condition(self, features: StageMaps, mask: Tensor) -> MMNetSupport:
        """Return what is kept of supports; 255 counts as background."""
        return self.support_of(self.down_supp_level_2(features.middle), features, mask)

    def support_of(self, reduced: Tensor, maps: StageMaps, mask: Tensor) -> MMNetSupport:
        """Return what is kept of supports from their reduced maps (B, width, h, w) and masks (B, H, W)."""
        layer4 = self.masked_layer4(maps, mask)
        return MMNetSupport(self.remembered(reduced), resize_mask(foreground(mask), maps.layer3), layer4)

    def read_query(self, maps: StageMaps) -> MMNetQuery:
        """Return what the head reads of queries."""
        layer4 = self.layer4_of(maps)
        return MMNetQuery(self.remembered(self.down_query_level_2(maps.middle)), layer4, maps.size)

    def remembered(self, reduced: Tensor) -> Tensor:
        """MMM: return how each position resembles each memory, (B, M, h, w); its sigmoid is the activation map.

        Args:
            reduced: Middle-level maps, (B, width, h, w).
        """
        # Plain dot products: neither side is normalised, nothing is scaled.
        return torch.einsum("cm,bchw->bmhw", self.part_emb_2_level[0], reduced)

    def predict_batch(
        self, query: MMNetQuery, supports: Sequence[Sequence[MMNetSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits; see `decide`."""
        maps, size = self._decoded(query, supports[0])
        return decide_each(self._decoder[0].classify(maps, size), query.size, sizes)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main", "auxiliary" and "reconstruction".

        Main is the cross entropy of the prediction, auxiliary the mean of that of each scale, both at the size of the
        query image; for the third see `reconstruction_loss`. The order of the steps is the release's, which the moving
        statistics and the dropout depend on.
        """
        query = self.read_query(self.encode(batch.query))
        maps = [self.encode(images) for images in batch.supports[:, 0].unbind(1)]
        reduced = [self.down_supp_level_2(support.middle) for support in maps]
        masks = batch.support_masks[:, 0].unbind(1)
        supports = [self.support_of(*one) for one in zip(reduced, maps, masks, strict=True)]
        enriched, size = self._decoded(query, supports)
        decoder = self._decoder[0]
        inner = decoder.inner_logits(enriched)
        main, *of_scales = [
            segmentation_loss(logits, batch.query_masks[:, 0], batch.foreground_weight)
            for logits in (decoder.classify(enriched, size), *inner)
        ]
        return {
            "main": main,
            "auxiliary": _AUXILIARY_WEIGHT * torch.stack(of_scales).mean(),
            # Quirk: of K supports the first alone is reconstructed.
            "reconstruction": _RECONSTRUCTION_WEIGHT * self.reconstruction_loss(reduced[0]),
        }

    def reconstruction_loss(self, reduced: Tensor) -> Tensor:
        """Return how badly the memories tell the positions of B maps apart, a scalar.

        Each position is written as a sum of the memories, weighted by a softmax over them. Of all positions written so,
        its own is to have the largest dot product with a position.

        Args:
            reduced: Middle-level maps of supports, (B, width, h, w).
        """
        features, weights = reduced.flatten(2), torch.softmax(self.remembered(reduced).flatten(2), dim=1)
        written = self.part_emb_2_level @ weights
        target = torch.arange(features.shape[2], device=features.device).expand(len(features), -1)
        return F.cross_entropy(written.transpose(1, 2) @ features, target)

    def _decoded(self, query: MMNetQuery, supports: Sequence[MMNetSupport]) -> tuple[list[Tensor], tuple[int, int]]:
        """Return the enriched map of each scale of B queries, and the size of the query's map."""
        size = (query.similarity.shape[-2], query.similarity.shape[-1])
        activation = torch.sigmoid(query.similarity) * propagated(query.similarity, supports)
        # FCM: PFENet's prior.
        confidence = torch.stack([self.prior(query.layer4, support.layer4, size) for support in supports]).mean(dim=0)
        # FEM without the query's features or a prototype. Quirk: activation maps are resized, where PFENet pools.
        decoder, maps = self._decoder[0], list[Tensor]()
        for scale, cells in enumerate(grids(decoder.bins, size)):
            sources = torch.cat([resize(activation, cells), resize(confidence, cells)], dim=1)
            merged = decoder.get_submodule(f"init_merge.{scale}")(sources)
            maps.append(decoder.interact(scale, merged, maps[-1] if maps else None, size))
        return maps, size


def propagated(query: Tensor, supports: Sequence[MMNetSupport]) -> Tensor:
    """APM: return the supports' activation maps as each query position takes them over, (B, M, h, w).

    A query position attends to support positions by the cosine of their similarities to the memories. The quality of a
    support for a position is how much of it resembles that position; K supports are weighted by a softmax of it.

    Args:
        query: Similarities of queries to the memories, (B, M, h, w).
        supports: K supports of B episodes.
    """
    # Quirk: every support is read under the mask of the last one.
    inside = supports[-1].inside.flatten(2)
    rows = query.flatten(2).transpose(1, 2)
    taken, quality = [], []
    for support in supports:
        columns = support.similarity.flatten(2)
        norms = rows.norm(dim=2, keepdim=True) * columns.norm(dim=1, keepdim=True)
        cosine = rows @ columns / (norms + _EPS) * inside
        # Quirk: a similarity inside the mask that is exactly 0 is left out, too.
        cosine = cosine.masked_fill(cosine == 0, _OUTSIDE)
        taken.append(torch.softmax(cosine, dim=2) @ torch.sigmoid(columns).transpose(1, 2))
        quality.append(torch.sigmoid(cosine).sum(dim=2))
    weights = torch.softmax(torch.stack(quality), dim=0)
    every = (torch.stack(taken) * weights[..., None]).sum(dim=0)
    return every.transpose(1, 2).reshape(query.shape)
