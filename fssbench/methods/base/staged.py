"""What methods on a staged backbone share: the maps of an image, layer4 of masked maps, a frozen backbone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import StagedBackbone, StagedSmall
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.layers.prior import prior_mask
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction

Query = TypeVar("Query")
Support = TypeVar("Support")
Adopted = TypeVar("Adopted", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class StageMaps:
    """The maps of B images.

    Attributes:
        layer2: (B, C, h, w), resized to layer3 (which only changes VGG's).
        layer3: (B, C, h, w).
        size: (height, width) of the images.
    """

    layer2: Tensor
    layer3: Tensor
    size: tuple[int, int]

    @property
    def middle(self) -> Tensor:
        """The middle-level map: layer3 and layer2 concatenated, (B, C, h, w)."""
        return torch.cat([self.layer3, self.layer2], dim=1)


class StagedMethod(JointMethod[Any, Support], Generic[Query, Support]):
    """A method whose children include the stages of a frozen backbone.

    Features are `StageMaps`; `predict` takes them, or the result of `read_query`.

    Args:
        stages: The backbone; its children become children of the method, with the same names.
        moving_statistics: Whether the backbone's batch norm updates its running statistics in training, although its
            parameters are frozen. None: yes, as in releases that call `model.train()` and freeze parameters alone; but
            not for the small backbone, which was not released.
    """

    def __init__(self, stages: StagedBackbone, *, moving_statistics: bool | None = False) -> None:
        super().__init__()
        is_small = isinstance(stages, StagedSmall)
        self.moving_statistics = not is_small if moving_statistics is None else moving_statistics
        self._stages = self.adopt(stages.requires_grad_(requires_grad=False))

    def adopt(self, module: Adopted) -> tuple[Adopted]:
        """Make the children of a module children of the method; see `adopt`."""
        return adopt(self, module)

    @property
    def stages(self) -> StagedBackbone:
        """The backbone."""
        return self._stages[0]

    @property
    def shared_encoder(self) -> nn.Module:
        """The frozen backbone. Its layer4 runs later than `encode`."""
        return self.stages

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the backbone's batch norm keeps its statistics unless `moving_statistics` is set."""
        super().train(mode)
        if not self.moving_statistics:
            self.stages.eval()
        return self

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's file under their names in the method."""
        return self.stages.from_imagenet(state)

    def encode(self, image: Tensor) -> StageMaps:
        """Return layer2 and layer3 of images float32 (B, 3, H, W); no gradient."""
        with torch.no_grad():
            layer2, layer3 = self.stages.shallow(image)
            if layer2.shape[-2:] != layer3.shape[-2:]:
                layer2 = F.interpolate(layer2, layer3.shape[-2:], mode="bilinear", align_corners=True)
        height, width = image.shape[-2:]
        return StageMaps(layer2, layer3, (height, width))

    @abstractmethod
    def read_query(self, maps: StageMaps) -> Query:
        """Return what the head needs of B queries."""

    def prepare_query(self, features: StageMaps | Query) -> Query:
        """Return what the head needs of B queries; see `read_query`."""
        return self.read_query(features) if isinstance(features, StageMaps) else features

    def layer4_of(self, maps: StageMaps) -> Tensor:
        """Return layer4 of the unmasked maps; no gradient."""
        with torch.no_grad():
            return self.stages.deep(maps.layer3)

    def masked_layer4(self, maps: StageMaps, mask: Tensor) -> Tensor:
        """Return layer4 (B, C, h, w) of supports whose background is zeroed before layer4 and again after it.

        No gradient flows to it.

        Args:
            maps: Maps of the supports.
            mask: uint8 (B, H, W) in {0, 1, 255}; 255 counts as background.
        """
        inside = foreground(mask)
        with torch.no_grad():
            layer4 = self.stages.deep(maps.layer3 * resize_mask(inside, maps.layer3))
            return layer4 * resize_mask(inside, layer4)

    def prototype_of(self, reduction: nn.Sequential, maps: StageMaps, mask: Tensor) -> Tensor:
        """Return the masked average of reduced middle-level maps of supports, (B, width, 1, 1).

        Args:
            reduction: 1x1 convolution, ReLU and dropout.
            maps: Maps of the supports.
            mask: uint8 (B, H, W) in {0, 1, 255}; 255 counts as background.
        """
        return masked_average(reduction(maps.middle), resize_mask(foreground(mask), maps.layer3))

    def prior(self, query: Tensor, support: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the prior mask (B, 1, *size); see `fssbench.layers.prior.prior_mask`.

        Args:
            query: From `layer4_of`.
            support: From `masked_layer4`.
            size: (height, width).
        """
        return prior_mask(query, support, size)


def adopt(method: nn.Module, module: Adopted) -> tuple[Adopted]:
    """Make the children of a module children of a method, with the same names, as the releases have them.

    Returns:
        The module in a tuple, which keeps torch from registering its parameters a second time.
    """
    for name, child in module.named_children():
        method.add_module(name, child)
    return (module,)


def decide_each(logits: Tensor, image_size: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> list[Prediction]:
    """Return the predictions of B episodes, each at its own size, for logits (B, 2, h, w); see `decide`."""
    return [decide(alone, image_size, size) for alone, size in zip(torch.split(logits, 1), sizes, strict=True)]


def decide(logits: Tensor, image_size: tuple[int, int], size: tuple[int, int]) -> Prediction:
    """Return the prediction of a 1-way method that upsamples its logits, as PFENet and later methods do.

    Args:
        logits: float32 (1, 2, h, w), background first.
        image_size: (height, width) of the query image, to which the logits are resized first.
        size: (height, width) of the prediction, to which they are then resized; labels are taken at this size.
    """
    for steps in (image_size, size):
        logits = F.interpolate(logits, steps, mode="bilinear", align_corners=True)
    labels = logits[0, 1] > logits[0, 0]
    return Prediction(logits[0], labels.to(torch.uint8), labels.any().view(1))
