"""Fast forms of methods on a staged backbone.

Convolutions are folded once. Of a masked support only the kept positions are computed: layer4 in their bounding box,
and its columns at these positions. Results that methods with the same backbone share are computed once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.resnet import Bottleneck, Bottlenecks
from fssbench.backbones.staged import DeepStemResNet, DilatedResNet, StagedBackbone
from fssbench.fast.cycle_consistency import attend_in_place
from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.fast.prior import Box, KeptColumns, kept_columns, prior_of_kept
from fssbench.fast.self_calibrated import TiledTransformer
from fssbench.layers.devices import serial_on
from fssbench.layers.masks import foreground, resize_mask
from fssbench.layers.prior import EPS, normalized
from fssbench.methods.asgnet import ASGNet
from fssbench.methods.base.staged import StagedMethod, StageMaps
from fssbench.methods.cyctr import CyCTR, resize_soft
from fssbench.methods.mmnet import MMNet
from fssbench.methods.mmt import MMT
from fssbench.methods.ntrenet import NTRENet
from fssbench.methods.pfenet import PFENet, PFENetSupport
from fssbench.methods.sccan import SCCAN, SCCANSupport

if TYPE_CHECKING:
    from collections.abc import Sequence

_WHOLE = b""
_ROWS = 512
"""Positions of a query whose similarities are computed at once: 8 MiB with 4,096 of the support."""


@dataclass(frozen=True, eq=False)
class SharedMaps(StageMaps):
    """The maps of B images, and results computed from them.

    Attributes:
        deep: layer4, (B, C, h', w') or at its kept positions, by the digest of the mask that was applied before it;
            `_WHOLE` without a mask. Copies share this dictionary, so methods with the same backbone share its values.
    """

    deep: dict[bytes, Tensor | KeptColumns] = field(default_factory=dict)


class FastStaged(FastJoint, StagedMethod[Any, Any]):
    """Mixed into a method on a staged backbone."""

    def prepare(self) -> None:
        """Fold the backbone, for all methods that share it, and the head."""
        fold_form(self, self.stages)

    def encode(self, image: Tensor) -> SharedMaps:
        """Return the maps of images, and a dictionary for results computed from them."""
        maps = super().encode(image)
        return SharedMaps(maps.layer2, maps.layer3, maps.size)

    def layer4_of(self, maps: StageMaps) -> Tensor:
        """Return layer4 of the unmasked maps, computed once."""
        known = maps.deep.get(_WHOLE) if isinstance(maps, SharedMaps) else None
        if isinstance(known, Tensor):
            return known
        layer4 = super().layer4_of(maps)
        if isinstance(maps, SharedMaps):
            maps.deep[_WHOLE] = layer4
        return layer4

    def masked_layer4(self, maps: StageMaps, mask: Tensor) -> Any:  # noqa: ANN401 - only `prior` reads it
        """Return layer4 of supports at the positions that the mask keeps, computed once for each mask."""
        digest = sha256(mask.cpu().numpy().tobytes()).digest()
        known = maps.deep if isinstance(maps, SharedMaps) else {}
        if digest not in known:
            known[digest] = self._kept_layer4(maps, foreground(mask))
        return known[digest]

    def prototype_of(self, reduction: nn.Sequential, maps: StageMaps, mask: Tensor) -> Tensor:
        """Return the masked average of reduced middle-level maps; only positions inside the mask's box are reduced."""
        inside = resize_mask(foreground(mask), maps.layer3)
        top, bottom, left, right = bounding_box(inside)
        layer2, layer3, inside = (part[:, :, top:bottom, left:right] for part in (maps.layer2, maps.layer3, inside))
        return averaged(reduction(StageMaps(layer2, layer3, maps.size).middle), inside)

    def prior(self, query: Tensor, support: Any, size: tuple[int, int]) -> Tensor:  # noqa: ANN401 - from `masked_layer4`
        """Return the prior mask (B, 1, *size) from the kept positions of a support, or from a whole map."""
        if isinstance(support, KeptColumns):
            return prior_of_kept(query, support, size)
        return super().prior(query, support, size)

    def _kept_layer4(self, maps: StageMaps, inside: Tensor) -> KeptColumns:
        before = resize_mask(inside, maps.layer3)
        box = bounding_box(before)
        layer4 = layer4_in_box(self.stages, maps.layer3, before, box)
        if layer4 is not None:
            return kept_columns(layer4, before, box)
        layer4 = self.stages.deep(maps.layer3 * before)
        return kept_columns(layer4, resize_mask(inside, layer4))


class FastPFENet(FastStaged, PFENet):
    """See `PFENet`."""

    fixed_shapes: ClassVar[tuple[str, ...]] = ("_enrichment.enrich", "_enrichment.classify")

    def prior_of_ways(
        self, layer4: Tensor, supports: Sequence[Sequence[PFENetSupport]], size: tuple[int, int]
    ) -> Tensor:
        """Return the prior of each way; if all ways share one prior, it is computed from whole maps."""
        if len(supports) > 1 and not self.per_way_prior:
            supports = [[_whole(support) for support in shots] for shots in supports]
        return super().prior_of_ways(layer4, supports, size)


class FastNTRENet(FastStaged, NTRENet):
    """See `NTRENet`."""


class FastASGNet(FastStaged, ASGNet):
    """See `ASGNet`."""


class FastMMNet(FastStaged, MMNet):
    """See `MMNet`."""


class FastMMT(FastStaged, MMT):
    """See `MMT`."""


class FastCyCTR(FastStaged, CyCTR):
    """See `CyCTR`."""

    def prepare(self) -> None:
        """Fold the convolutions; attention's weights take the place of its scores."""
        super().prepare()
        attend_in_place(self.transformer)  # a copy

    def object_layer4(self, maps: StageMaps, inside: Tensor) -> Any:  # noqa: ANN401 - only `prior` reads it
        """Return layer4 of whole images at the positions that the mask keeps."""
        layer4 = self.layer4_of(maps)
        return kept_columns(layer4, resize_soft(inside, layer4))


class FastSCCAN(FastStaged, SCCAN):
    """See `SCCAN`."""

    def prepare(self) -> None:
        """Fold backbone and head, and compute the transformer a few patches at a time."""
        super().prepare()
        self.transformer = TiledTransformer(self.transformer)  # type: ignore[assignment]

    def similarity(self, query: Tensor, support: SCCANSupport) -> Tensor:
        """Return the pseudo mask; the similarities of a few positions of the query are in memory at once."""
        if not serial_on(query.device):
            return super().similarity(query, support)
        rows, columns = query.flatten(2).transpose(1, 2), support.layer4.flatten(2)
        mask = support.mask.flatten(2).transpose(1, 2)
        mask = mask - mask.mean(dim=1, keepdim=True)
        lengths, found = columns.norm(dim=1, keepdim=True), []
        for part in torch.split(rows, _ROWS, dim=1):
            cosines = (part @ columns).div_((part.norm(dim=2, keepdim=True) * lengths).add_(EPS))
            found.append(cosines.softmax(dim=2) @ mask)
        taken = torch.cat(found, dim=1)
        return normalized(taken[..., 0], (query.shape[-2], query.shape[-1]), (self.side, self.side))


def layer4_in_box(stages: StagedBackbone, layer3: Tensor, weights: Tensor, box: Box) -> Tensor | None:
    """Return a box of layer4 of masked maps; None if the whole map has to be computed.

    Args:
        stages: The folded backbone.
        layer3: (B, C, h, w).
        weights: The mask that layer3 is multiplied by, (B, 1, h, w), zero outside the box.
        box: The box of the result.
    """
    if isinstance(stages, DeepStemResNet):
        return _run_in_box(stages.layer4, layer3, weights, box)
    if isinstance(stages, DilatedResNet):
        return _run_in_box(stages.backbone4, layer3, weights, box)
    return None


def bounding_box(weights: Tensor) -> Box:
    """Return the bounding box of the non-zero positions of B weights (B, 1, h, w); one position if all are 0.

    On a GPU this waits for it.
    """
    nonzero = weights.amax(dim=(0, 1)) != 0
    rows, columns = (nonzero.any(dim=axis).nonzero()[:, 0].tolist() or [0] for axis in (1, 0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def averaged(features: Tensor, mask: Tensor, eps: float = 0.0005) -> Tensor:
    """Return the result of `fssbench.layers.masks.masked_average`, (B, C, 1, 1), by a matrix product."""
    rows = features.permute(0, 2, 3, 1).flatten(1, 2)
    summed = torch.bmm(mask.flatten(2).to(rows.dtype), rows).transpose(1, 2)[..., None]
    return summed / (mask.sum(dim=(2, 3), keepdim=True) + eps)


def _run_in_box(layer: Bottlenecks, x: Tensor, weights: Tensor, box: Box) -> Tensor:
    """Return a box of the output of bottlenecks of stride 1 for masked maps.

    Each bottleneck needs its output's box plus a margin for its 3x3 convolution, so the first one computes the largest
    part of the map. Positions outside the map are zero for every convolution, as in the computation of the whole map.
    """
    size = (x.shape[-2], x.shape[-1])
    blocks = [block for block in layer if isinstance(block, Bottleneck)]
    boxes = [box]
    for block in reversed(blocks):
        boxes.append(_grown(boxes[-1], block.conv2.dilation[0], size))
    boxes.reverse()
    top, bottom, left, right = boxes[0]
    x = x[:, :, top:bottom, left:right] * weights[:, :, top:bottom, left:right]
    for block, inputs, outputs in zip(blocks, boxes, boxes[1:], strict=False):
        x = _block_in_box(block, x, inputs, outputs).relu_()
    return x


def _block_in_box(block: Bottleneck, x: Tensor, inputs: Box, outputs: Box) -> Tensor:
    """Return a box of the output of a folded bottleneck of stride 1, before its ReLU.

    Args:
        block: The bottleneck.
        x: The input in the box `inputs`.
        inputs: The box `outputs` plus the margin that the 3x3 convolution needs, inside the map.
        outputs: The box of the output.
    """
    reach, middle = block.conv2.dilation[0], block.conv2
    out = block.conv1(x).relu_()
    # Outside the map the convolution sees zeros.
    inset = (outputs[0] - inputs[0], inputs[1] - outputs[1], outputs[2] - inputs[2], inputs[3] - outputs[3])
    top, bottom, left, right = (reach - side for side in inset)
    out = F.pad(out, (left, right, top, bottom))
    out = F.conv2d(out, middle.weight, middle.bias, middle.stride, 0, middle.dilation, middle.groups).relu_()
    inner = x[:, :, inset[0] : x.shape[-2] - inset[1], inset[2] : x.shape[-1] - inset[3]]
    total: Tensor = block.conv3(out).add_(inner if block.downsample is None else block.downsample(inner))
    return total


def _grown(box: Box, reach: int, size: tuple[int, int]) -> Box:
    top, bottom, left, right = box
    return max(top - reach, 0), min(bottom + reach, size[0]), max(left - reach, 0), min(right + reach, size[1])


def _whole(support: PFENetSupport) -> PFENetSupport:
    layer4: object = support.layer4
    return replace(support, layer4=layer4.spread()) if isinstance(layer4, KeptColumns) else support
