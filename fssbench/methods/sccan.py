"""SCCAN: Xu et al., "Self-Calibrated Cross Attention Network for Few-Shot Segmentation", ICCV 2023.

Facts from Sam1224/SCCAN at c4e7b40, model/SCCAN.py and model/swin_sccan.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fssbench.backbones.frozen import frozen
from fssbench.errors import UsageError
from fssbench.layers.aspp import ASPP
from fssbench.layers.enrichment import classifier, conv1x1, conv3x3_pair, reduction, resize
from fssbench.layers.losses import dice_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.layers.prior import EPS, normalized
from fssbench.layers.self_calibrated import WINDOW, SelfCalibratedTransformer
from fssbench.methods.base.joint import by_shot
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

_BRANCHES = 5


@dataclass(frozen=True, eq=False)
class SCCANQuery:
    """What the head reads of B queries.

    Attributes:
        reduced: The reduced middle-level map, (B, width, side, side).
        layer4: layer4, (B, C, h, w).
        size: (height, width) of the images.
    """

    reduced: Tensor
    layer4: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SCCANSupport:
    """What is kept of B support images.

    Attributes:
        masked: The reduced middle-level map times the mask, (B, width, side, side).
        mask: (B, 1, side, side) in [0, 1].
        prototype: Masked average of the reduced map, (B, width, 1, 1).
        layer4: layer4 of the whole image, (B, C, side, side).
    """

    masked: Tensor
    mask: Tensor
    prototype: Tensor
    layer4: Tensor


class SCCAN(StagedMethod[SCCANQuery, SCCANSupport]):
    """Self-calibrated cross attention network.

    Args:
        backbone: Name of the frozen backbone.
        way: 1.
        shot: K.
        width: Channels of the head; a multiple of 8.
        side: All maps are resized to squares with this side, whatever the size of the image; a multiple of 8. Default
            64, and 24 for the small backbone, which was not released.
        blocks: Number of blocks of the transformer.

    Raises:
        UsageError: If `width` can't be divided into heads, or `side` into patches.
    """

    def __init__(
        self, backbone: str, way: int, shot: int, width: int = 256, side: int | None = None, blocks: int = 8
    ) -> None:
        # The frozen kind of batch norm has nothing to move, and the small backbone's is kept in eval mode.
        super().__init__(frozen(backbone), moving_statistics=False)
        side = side or (24 if backbone == "small" else 64)
        if side % WINDOW or side < WINDOW:
            raise UsageError(f"side {side} can't be divided into patches", f"choose a multiple of {WINDOW}")
        self.task, self.way, self.shot, self.side = "fss", way, shot, side
        layer2, layer3, _ = self.stages.channels
        self.down_query = reduction(layer2 + layer3, width)
        self.down_supp = reduction(layer2 + layer3, width)
        self.init_merge_query = nn.Sequential(nn.Conv2d(2 * width + 1, width, 1, bias=False))
        self.init_merge_supp = nn.Sequential(nn.Conv2d(2 * width + 1, width, 1, bias=False))
        self.transformer = SelfCalibratedTransformer(width, blocks)
        self.ASPP_meta = ASPP(width)
        self.res1_meta = conv1x1(_BRANCHES * width, width)
        self.res2_meta = conv3x3_pair(width)
        self.cls_meta = classifier(width)

    def condition(self, features: StageMaps, mask: Tensor) -> SCCANSupport:
        """Return what is kept of supports; 255 counts as background."""
        reduced = self._resized(self.down_supp(_middle(features)))
        inside = resize_mask(foreground(mask), reduced).to(reduced.dtype)
        prototype = masked_average(reduced, inside)
        return SCCANSupport(reduced * inside, inside, prototype, self._resized(self.layer4_of(features)))

    def read_query(self, maps: StageMaps) -> SCCANQuery:
        """Return what the head reads of queries."""
        return SCCANQuery(self._resized(self.down_query(_middle(maps))), self.layer4_of(maps), maps.size)

    def predict_batch(
        self, query: SCCANQuery, supports: Sequence[Sequence[SCCANSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits; see `decide`."""
        return decide_each(self.logits(query, supports[0]), query.size, sizes)

    def logits(self, query: SCCANQuery, supports: Sequence[SCCANSupport]) -> Tensor:
        """Return the logits of B episodes, (B, 2, side, side) raw, for K supports of each."""
        # K shots: means of masked maps, of masks, of prototypes and of priors, then one pass.
        masked, mask, prototype = (
            torch.stack(parts).mean(dim=0)
            for parts in zip(*((one.masked, one.mask, one.prototype) for one in supports), strict=True)
        )
        prior = torch.stack([self.similarity(query.layer4, one) for one in supports]).mean(dim=0)

        # Section 3.2: both maps with the prototype, the query's with the prior, the support's with the mask.
        vector = prototype.expand_as(query.reduced)
        q = self.init_merge_query(torch.cat([query.reduced, vector, prior], dim=1))
        s = self.init_merge_supp(torch.cat([masked, vector, mask], dim=1))

        # Sections 3.3 and 3.4: patch alignment and scaled-cosine attention.
        calibrated = torch.relu(self.transformer(q, s, mask))
        context = self.res1_meta(self.ASPP_meta(calibrated))
        logits: Tensor = self.cls_meta(self.res2_meta(context) + context)
        return logits

    def similarity(self, query: Tensor, support: SCCANSupport) -> Tensor:
        """Return the pseudo mask of B queries, (B, 1, side, side) in [0, 1]: the mask where the query is like it.

        Each query position takes the mean of the mask weighted by the softmax of its cosines with all positions of the
        support, background included; unlike PFENet's prior, the support is not masked.

        Args:
            query: layer4 of the query, (B, C, h, w).
            support: A support of each.
        """
        rows, columns = query.flatten(2).transpose(1, 2), support.layer4.flatten(2)
        lengths = rows.norm(dim=2, keepdim=True) @ columns.norm(dim=1, keepdim=True)
        weights = ((rows @ columns) / (lengths + EPS)).softmax(dim=2)
        # The mean is taken off first, which the normalisation cancels: otherwise a support that is all object would
        # give what rounding leaves of a sum of weights, as in the release.
        mask = support.mask.flatten(2)
        taken = weights @ (mask - mask.mean(dim=2, keepdim=True)).transpose(1, 2)
        return normalized(taken[..., 0], (query.shape[-2], query.shape[-1]), (self.side, self.side))

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main": the Dice loss of the query."""
        query = self.read_query(self.encode(batch.query))
        together = self.condition(
            self.encode(batch.supports[:, 0].flatten(0, 1)), batch.support_masks[:, 0].flatten(0, 1)
        )
        supports = by_shot(together, batch.supports.shape[2])
        return {"main": dice_loss(self.logits(query, supports), batch.query_masks[:, 0], batch.foreground_weight)}

    def _resized(self, x: Tensor) -> Tensor:
        return resize(x, (self.side, self.side))


def _middle(maps: StageMaps) -> Tensor:
    # layer2 first, unlike PFENet.
    return torch.cat([maps.layer2, maps.layer3], dim=1)
