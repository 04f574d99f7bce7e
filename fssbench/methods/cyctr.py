"""CyCTR: Zhang et al., "Few-Shot Segmentation via Cycle-Consistent Transformer", NeurIPS 2021.

Facts from YanFangCS/CyCTR-Pytorch at 1a06183, model/CyCTR.py, model/cyc_transformer.py and model/loss.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.frozen import frozen
from fssbench.label_values import IGNORE
from fssbench.layers.cycle_consistency import CycleConsistentTransformer, TokenBank, rows
from fssbench.layers.enrichment import conv1x1, conv3x3_pair, reduction
from fssbench.layers.losses import dice_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.methods.base.joint import by_shot
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

_AUXILIARY_WEIGHT = 1.0
_DROPOUT = 0.1


@dataclass(frozen=True, eq=False)
class CyCTRQuery:
    """What the head reads of B queries.

    Attributes:
        reduced: The reduced middle-level map, (B, width, h, w).
        layer4: layer4, (B, C, h, w).
        padded: bool (B, h, w): positions of the padding.
        size: (height, width) of the images.
    """

    reduced: Tensor
    layer4: Tensor
    padded: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class CyCTRSupport:
    """What is kept of B support images.

    Attributes:
        tokens: The map with the support's own prototype merged into it, (B, h * w, width).
        inside: bool (B, h * w): positions of the object.
        padded: bool (B, h * w): positions labelled 255.
        prototype: Masked average of the reduced map, (B, width, 1, 1).
        layer4: layer4 of the whole image, masked, (B, C, h, w); the prior is read from it.
    """

    tokens: Tensor
    inside: Tensor
    padded: Tensor
    prototype: Tensor
    layer4: Tensor


class CyCTR(StagedMethod[CyCTRQuery, CyCTRSupport]):
    """Cycle-consistent transformer.

    The release draws the support's tokens in evaluation, too, from torch's generator, which it seeds once before all
    episodes. Here each episode begins with the seed anew: it has the same result alone, in any order, in any process.

    Args:
        backbone: Name of the frozen backbone.
        way: 1.
        shot: K.
        width: Channels of the head; a multiple of 8, or of 12. Default that of the configurations.
        tokens: Number of object tokens, and of background tokens, that are drawn of each support.
        seed: Of the draw in evaluation; default that of the configurations for PASCAL. In training torch's generator
            draws.

    Raises:
        UsageError: If `width` can't be divided into heads.
    """

    def __init__(
        self, backbone: str, way: int, shot: int, width: int = 256, tokens: int = 300, seed: int = 123
    ) -> None:
        # The frozen kind of batch norm has nothing to move, and the small backbone's is kept in eval mode.
        super().__init__(frozen(backbone), moving_statistics=False)
        self.task, self.way, self.shot, self.seed = "fss", way, shot, seed
        layer2, layer3, _ = self.stages.channels
        self.adjust_feature_supp = reduction(layer2 + layer3, width)
        self.adjust_feature_qry = reduction(layer2 + layer3, width)
        self.qry_merge_feat = conv1x1(2 * width + 1, width)
        self.supp_merge_feat = conv1x1(2 * width, width)
        # Quirk: two convolutions that its checkpoints hold and its network never runs.
        self.addtional_proj = nn.Sequential(*conv1x1(width, width), nn.Conv2d(width, width, 1, bias=False))
        self.addtional_proj.requires_grad_(requires_grad=False)
        self.transformer = CycleConsistentTransformer(width, tokens * shot, wide=shot == 1)
        self.merge_multi_lvl_reduce = conv1x1(width, width)
        self.merge_multi_lvl_sum = conv3x3_pair(width)
        self.cls = _classifier(width)
        self.pred_supp_qry_proj = conv1x1(width, width)
        self.supp_init_merge = conv1x1(2 * width, width)
        self.supp_beta_conv = conv3x3_pair(width)
        self.supp_cls = _classifier(width)

    def condition(self, features: StageMaps, mask: Tensor) -> CyCTRSupport:
        """Return what is kept of supports; 255 is neither object nor background of the tokens."""
        return self.support_of(self.adjust_feature_supp(_middle(features)), features, mask)

    def support_of(self, reduced: Tensor, maps: StageMaps, mask: Tensor) -> CyCTRSupport:
        """Return what is kept of supports from their reduced maps (B, width, h, w) and masks (B, H, W)."""
        soft = resize_mask(foreground(mask), reduced)
        prototype = masked_average(reduced, soft)
        tokens = self.supp_merge_feat(torch.cat([reduced, prototype.expand_as(reduced)], dim=1))
        inside = torch.stack([_with_both(one) for one in _nearest(foreground(mask), reduced) == 1])
        padded = _nearest((mask == IGNORE).to(reduced.dtype), reduced) == 1
        layer4 = self.object_layer4(maps, soft)
        return CyCTRSupport(rows(tokens), inside.flatten(1), padded.flatten(1), prototype, layer4)

    def object_layer4(self, maps: StageMaps, inside: Tensor) -> Tensor:
        """Return layer4 of whole images, multiplied by the mask (B, 1, h, w) of the maps' size."""
        layer4 = self.layer4_of(maps)
        return layer4 * resize_soft(inside, layer4)

    def read_query(self, maps: StageMaps) -> CyCTRQuery:
        """Return what the head reads of queries without padding; see `leave_out`."""
        reduced = self.adjust_feature_qry(_middle(maps))
        nothing = torch.zeros(len(reduced), *reduced.shape[-2:], dtype=torch.bool, device=reduced.device)
        return CyCTRQuery(reduced, self.layer4_of(maps), nothing, maps.size)

    def leave_out(self, query: CyCTRQuery, ignored: Tensor) -> CyCTRQuery:
        """Return queries that know their padding: it has no value in self-attention and no place in the encoding."""
        return replace(query, padded=_nearest(ignored.to(query.reduced.dtype), query.reduced) == 1)

    def predict_batch(
        self, query: CyCTRQuery, supports: Sequence[Sequence[CyCTRSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits; see `decide`."""
        return decide_each(self.cls(self.fused(query, supports[0])), query.size, sizes)

    def fused(self, query: CyCTRQuery, supports: Sequence[CyCTRSupport]) -> Tensor:
        """Return the map of B queries that the classifier reads, (B, width, h, w).

        Args:
            query: Of B queries.
            supports: K supports of B episodes.
        """
        size = (query.reduced.shape[-2], query.reduced.shape[-1])
        # K shots: means of the prototypes and of the priors; all supports' tokens are attended to.
        prototype = torch.stack([support.prototype for support in supports]).mean(dim=0)
        prior = torch.stack([self.prior(query.layer4, support.layer4, size) for support in supports]).mean(dim=0)
        merged = self.qry_merge_feat(torch.cat([query.reduced, prototype.expand_as(query.reduced), prior], dim=1))
        bank = TokenBank(
            torch.cat([support.tokens for support in supports], dim=1),
            torch.cat([support.inside for support in supports], dim=1),
            torch.cat([support.padded for support in supports], dim=1),
        )
        fused = self.merge_multi_lvl_reduce(self.transformer(merged, query.padded, bank, self.seed))
        total: Tensor = self.merge_multi_lvl_sum(fused) + fused
        return total

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main" and "auxiliary": Dice losses of the query, and of the supports segmented by the query.

        The auxiliary head takes the query's own prototype under its label map and segments each support with it. The
        order of the steps is the release's, which the dropout depends on. Pixels of the query labelled 255 count as
        padding; the release knows the borders of objects apart.
        """
        count, shots = len(batch.query), batch.supports.shape[2]
        masks = batch.query_masks[:, 0]
        query = self.leave_out(self.read_query(self.encode(batch.query)), masks == IGNORE)
        maps = self.encode(batch.supports[:, 0].flatten(0, 1))
        reduced = self.adjust_feature_supp(_middle(maps))
        support_masks = batch.support_masks[:, 0]
        together = self.support_of(reduced, maps, support_masks.flatten(0, 1))
        fused = self.fused(query, by_shot(together, shots))
        main = dice_loss(self.cls(fused), masks, batch.foreground_weight)

        own = masked_average(self.pred_supp_qry_proj(fused) + query.reduced, resize_mask(foreground(masks), fused))
        auxiliary = []
        for shot, support in enumerate(reduced.unflatten(0, (count, shots)).unbind(1)):
            merged = self.supp_init_merge(torch.cat([support, own.expand_as(support)], dim=1))
            logits = self.supp_cls(self.supp_beta_conv(merged) + merged)
            auxiliary.append(dice_loss(logits, support_masks[:, shot], batch.foreground_weight))
        return {"main": main, "auxiliary": _AUXILIARY_WEIGHT * torch.stack(auxiliary).mean()}


def _classifier(width: int) -> nn.Sequential:
    first = nn.Conv2d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout2d(_DROPOUT), nn.Conv2d(width, 2, 1))


def _with_both(inside: Tensor) -> Tensor:
    """Return a mask bool (h, w) with object and background: its centre is object if none is, its corners background."""
    inside = inside.clone()
    height, width = inside.shape
    if not inside.any():
        inside[max(height // 2 - 1, 0) : height // 2 + 1, max(width // 2 - 1, 0) : width // 2 + 1] = True
    if inside.all():
        inside[:: max(height - 1, 1), :: max(width - 1, 1)] = False
    return inside


def resize_soft(inside: Tensor, like: Tensor) -> Tensor:
    """Return a mask (B, 1, h, w) at the size of a map; only layer4 of the small backbone has another."""
    if inside.shape[-2:] == like.shape[-2:]:
        return inside
    return F.interpolate(inside, like.shape[-2:], mode="bilinear", align_corners=True)


def _middle(maps: StageMaps) -> Tensor:
    # layer2 first, unlike PFENet.
    return torch.cat([maps.layer2, maps.layer3], dim=1)


def _nearest(mask: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(mask[:, None], like.shape[-2:], mode="nearest")[:, 0]
