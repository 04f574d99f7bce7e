"""What methods on a backbone in stages share: the maps of an image, layer4 on demand, a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Generic, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.folding import answering, run
from fssbench.backbones.staged import Stages
from fssbench.layers.masks import bounding_box, foreground, masked_average, resize_mask
from fssbench.layers.prior import KeptColumns, kept_columns
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction

Support = TypeVar("Support")
Taken = TypeVar("Taken", bound=nn.Module)
WHOLE = b""


@dataclass(eq=False)
class StageMaps:
    """The maps of B images.

    Attributes:
        layer2: (B, C, h, w), brought to the size of layer3 (which moves VGG's only).
        layer3: (B, C, h, w).
        size: (height, width) of the images.
        deep: Layer4, (B, C, h', w') or what is left of it, by the digest of the mask that was laid on the maps before
            it, `WHOLE` without one, as far as it was asked for: a query needs one, a support the other. Copies share
            it, so methods on one backbone do, too.
        base: What a base learner says of layer4, once it was asked (BAM).
    """

    layer2: Tensor
    layer3: Tensor
    size: tuple[int, int]
    deep: dict[bytes, Tensor | KeptColumns] = field(default_factory=dict)
    base: Tensor | None = None


@dataclass(frozen=True, eq=False)
class QueryMaps:
    """What an answer reads of B queries; which of them, the method says.

    Attributes:
        reduced: The reduced middle-level map, (B, width, h, w).
        size: (height, width) of the images.
        layer4: (B, C, h', w').
        background: Where a learnt prototype finds background, (B, 2, h, w) (NTRENet).
        base: What a base learner says of layer4, (B, base classes + 1, h', w') (BAM).
        gram: Gram matrix of layer2, (B, C, C) (BAM).
    """

    reduced: Tensor
    size: tuple[int, int]
    layer4: Tensor | None = None
    background: Tensor | None = None
    base: Tensor | None = None
    gram: Tensor | None = None


class StagedMethod(JointMethod[Any, Support], Generic[Support]):
    """A method that has taken over the stages of a frozen backbone as its own children.

    Features are `StageMaps` to `condition`, and to `predict` these or `QueryMaps`.

    Args:
        stages: The backbone; its children become the method's, under their names.
        moving_statistics: Whether in training its batch norm sees the batch and moves its running statistics, though
            its parameters are frozen.
    """

    def __init__(self, stages: Stages, *, moving_statistics: bool = False) -> None:
        super().__init__()
        self.moving_statistics = moving_statistics
        self._stages = self.adopt(stages.requires_grad_(requires_grad=False))

    def adopt(self, module: Taken) -> tuple[Taken]:
        """Make the children of a module the method's own, under their names, as the releases have them.

        Returns:
            The module in a tuple, so that keeping it does not register its parameters a second time.
        """
        for name, child in module.named_children():
            self.add_module(name, child)
        return (module,)

    @property
    def stages(self) -> Stages:
        """The backbone."""
        return self._stages[0]

    @property
    def shared_encoder(self) -> nn.Module:
        """The frozen backbone; layer4, which belongs to it, is run later."""
        return self.stages

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the backbone's batch norm keeps its statistics unless they are `moving_statistics`."""
        super().train(mode)
        if not self.moving_statistics:
            self.stages.eval()
        return self

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's own file under their names in the method."""
        return self.stages.from_imagenet(state)

    def encode(self, image: Tensor) -> StageMaps:
        """Return layer2 and layer3 of images float32 (B, 3, H, W); no gradient."""
        with torch.no_grad():
            layer2, layer3 = self.stages.shallow(image)
            if layer2.shape[-2:] != layer3.shape[-2:]:
                layer2 = F.interpolate(layer2, layer3.shape[-2:], mode="bilinear", align_corners=True)
        height, width = image.shape[-2:]
        return StageMaps(layer2, layer3, (height, width))

    def layer4_of(self, maps: StageMaps) -> Tensor:
        """Return layer4 of the unmasked maps, computed once; no gradient."""
        layer4 = maps.deep.get(WHOLE)
        if not isinstance(layer4, Tensor):
            with torch.no_grad():
                layer4 = maps.deep[WHOLE] = self.stages.deep(maps.layer3)
        return layer4

    def prototype_of(self, reduction: nn.Sequential, maps: StageMaps, mask: Tensor) -> Tensor:
        """Return the masked average of reduced middle-level maps of supports, (B, width, 1, 1).

        Args:
            reduction: 1x1 convolution, ReLU and dropout.
            maps: Maps of the supports.
            mask: uint8 (B, H, W) in {0, 1, 255}; 255 counts as background.
        """
        inside = resize_mask(foreground(mask), maps.layer3)
        layer3, layer2 = maps.layer3, maps.layer2
        if answering():
            # Outside the mask a reduced map does not count.
            top, bottom, left, right = bounding_box(inside)
            layer3, layer2, inside = (its[:, :, top:bottom, left:right] for its in (layer3, layer2, inside))
        return masked_average(run(reduction, torch.cat([layer3, layer2], dim=1)), inside)

    def masked_layer4(self, maps: StageMaps, mask: Tensor) -> Tensor | KeptColumns:
        """Return layer4 of a support whose background is zeroed before layer4 and again after it, computed once.

        No gradient flows to it.

        Args:
            maps: Maps of the supports.
            mask: uint8 (B, H, W) in {0, 1, 255}; 255 counts as background.

        Returns:
            The map (B, C, h, w); where only the answer is wanted, what the mask leaves of it.
        """
        if not answering() or self.training:
            inside = foreground(mask)
            with torch.no_grad():
                layer4 = self.stages.deep(maps.layer3 * resize_mask(inside, maps.layer3))
                return layer4 * resize_mask(inside, layer4)
        digest = sha256(mask.cpu().numpy().tobytes()).digest()
        if digest not in maps.deep:
            maps.deep[digest] = self._kept_layer4(maps, foreground(mask))
        return maps.deep[digest]

    def _kept_layer4(self, maps: StageMaps, inside: Tensor) -> KeptColumns:
        before = resize_mask(inside, maps.layer3)
        box = bounding_box(before)
        layer4 = self.stages.deep_within(maps.layer3, before, box)
        if layer4 is not None:
            return kept_columns(layer4, before, box)
        layer4 = self.stages.deep(maps.layer3 * before)
        return kept_columns(layer4, resize_mask(inside, layer4))


def layer4_in(query: QueryMaps) -> Tensor:
    """Return layer4 of queries that were made ready with it."""
    if query.layer4 is None:
        raise TypeError("these queries were made ready without layer4")
    return query.layer4


def decide_each(logits: Tensor, image_size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[Prediction]:
    """Return the answers to B episodes, each at its own size, for logits (B, 2, h, w); see `decide`."""
    return [decide(its, image_size, size) for its, size in zip(torch.split(logits, 1), sizes, strict=True)]


def decide(logits: Tensor, image_size: tuple[int, int], size: tuple[int, int]) -> Prediction:
    """Return the answer of a 1-way method that upsamples inside, as PFENet and those after it do.

    Args:
        logits: float32 (1, 2, h, w), background first.
        image_size: (height, width) of the query image, to which they are brought first.
        size: (height, width) of the answer, to which they are brought from there; labels are decided here.
    """
    for its in (image_size, size):
        logits = F.interpolate(logits, its, mode="bilinear", align_corners=True)
    labels = logits[0, 1] > logits[0, 0]
    return Prediction(logits[0], labels.to(torch.uint8), labels.any().view(1))
