"""CANet: Zhang et al., "Class-Agnostic Segmentation Networks with Iterative Refinement ...", CVPR 2019.

Facts from icoz69/CaNet at fdce946, which holds the network for 1 shot, its training and its validation at 321 x 321.
The evaluation at several scales is described in the paper; how it is computed is taken from zbf1991/SCL at 872233a,
SCL_CANet/pascal_val_1shot.py, whose authors built on CANet's code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.errors import UsageError
from fssbench.layers.aspp import ASPP
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each

SCALES = (0.7, 1.0, 1.3)
"""Of the query, in the evaluation at several scales."""
PASSES = 5
"""How often a query is predicted: once from nothing, and four times from what was predicted before."""


@dataclass(frozen=True, eq=False)
class PhotoMaps(StageMaps):
    """The maps of B images, and the images, of which a query is encoded at other scales too.

    Attributes:
        image: float32 (B, 3, H, W).
    """

    image: Tensor


@dataclass(frozen=True, eq=False)
class CANetQuery:
    """What is compared of B queries.

    Attributes:
        features: At each scale, (B, width, h, w).
        size: (height, width) of the images.
    """

    features: tuple[Tensor, ...]
    size: tuple[int, int]


class IterativeOptimization(nn.Module):
    """The iterative optimisation module (section 4.3): a prediction from comparison features and an earlier one.

    Args:
        width: Channels of the features; the release has 256.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residule1 = residual_block(width + 2, width)
        self.residule2 = residual_block(width, width)
        self.residule3 = residual_block(width, width)
        aspp = ASPP(width, dropout=0.5)
        # In a tuple, so that its children are registered under the release's names alone.
        self._aspp = (aspp,)
        for name, child in aspp.named_children():
            self.add_module(name, child)
        self.layer7 = dense(nn.Conv2d(5 * width, width, 1))
        self.layer9 = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """Return logits (B, 2, h, w), raw, background first.

        Args:
            x: Comparison features, (B, width, h, w).
            before: y_{t-1}, the probabilities of the prediction before, (B, 2, ., .) of any size; zeros at first.
        """
        # M_t = x + F(x, y_{t-1})
        before = F.interpolate(before, x.shape[-2:], mode="bilinear", align_corners=True)
        return self.classify(x + self.residule1(torch.cat([x, before], dim=1)))

    def classify(self, x: Tensor) -> Tensor:
        """Return the logits of what the first residual block gives, (B, width, h, w)."""
        x = x + self.residule2(x)
        x = x + self.residule3(x)
        logits: Tensor = self.layer9(self.layer7(self._aspp[0](x)))
        return logits


class CANet(StagedMethod[CANetQuery, Tensor]):
    """Class-agnostic segmentation network. A support is its prototype, (B, width, 1, 1).

    K shots (section 4.4): the paper weighs the comparison features of the shots by an attention branch that is trained
    with K shots. It was not released, nor weights of it. Without `attention` the features are averaged, which the
    paper compares it with; a network trained with 1 shot can do no other. Of the branch the paper leaves open how it
    pads and where its ReLU is: here both convolutions keep the size, and the first one alone has a ReLU.

    How often a query is refined: as the paper says, four times. The release's validation goes through all episodes
    again as long as their mean IoU grows, so that the labels decide how often, up to five times.

    Args:
        backbone: Name of the frozen backbone.
        variant: "fss" predicts the query at its own size, "multi-scale" besides at 0.7 and 1.3 of it.
        way: 1.
        shot: K.
        width: Channels of the head.
        passes: How often a query is predicted, the first time from nothing.
        reset: In training, how probable it is that an episode starts from no earlier prediction. Else it starts from
            what this step's weights predict from nothing. The release keeps for each training picture what it predicted
            of it an epoch before, with another support, and has none in the first epoch.
        attention: Whether shots are weighed by the paper's attention branch.
        moving_statistics: Whether in training the frozen backbone's batch norm sees the batch and moves its running
            statistics. Default as released: it does (train.py calls `model.train()` and freezes parameters alone); with
            the small backbone, which was not released, it does not.

    Raises:
        UsageError: If a query is to be predicted less than once.
    """

    def __init__(
        self,
        backbone: str,
        variant: Literal["fss", "multi-scale"],
        way: int,
        shot: int,
        width: int = 256,
        passes: int = PASSES,
        reset: float = 0.7,
        attention: bool = False,
        moving_statistics: bool | None = None,
    ) -> None:
        if passes < 1:
            raise UsageError(f"a query is predicted 1 or more times, not {passes}")
        super().__init__(
            staged(backbone, stem="caffe"),
            moving_statistics=moving_statistics,
        )
        self.task, self.way, self.shot = "fss", way, shot
        self.scales = SCALES if variant == "multi-scale" else (1.0,)
        self.passes, self.reset = passes, reset
        layer2, layer3, _ = self.stages.channels
        # Dense comparison module (section 4.2): one encoder for query and support, then the comparison.
        self.layer5 = dense(nn.Conv2d(layer2 + layer3, width, 3, padding=2, dilation=2))
        self.layer55 = dense(nn.Conv2d(2 * width, width, 3, padding=2, dilation=2))
        self.attention: nn.Sequential | None = None
        if attention:
            self.attention = nn.Sequential(
                nn.Conv2d(2 * width, width, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(3),
                nn.Conv2d(width, 1, 3, padding=1),
                nn.AdaptiveAvgPool2d(1),
            )
        self._optimization = self.adopt(IterativeOptimization(width))
        initialise(self, self.stages, width)

    def encode(self, image: Tensor) -> PhotoMaps:
        """Return layer2 and layer3 of images float32 (B, 3, H, W), and the images; no gradient."""
        maps = super().encode(image)
        return PhotoMaps(maps.layer2, maps.layer3, maps.size, image)

    def features_of(self, maps: StageMaps) -> Tensor:
        """Return the features that are compared, (B, width, h, w)."""
        features: Tensor = self.layer5(torch.cat([maps.layer2, maps.layer3], dim=1))
        return features

    def condition(self, features: PhotoMaps, mask: Tensor) -> Tensor:
        """Return the mean feature of the object of supports, (B, width, 1, 1); 255 counts as background."""
        return masked_average(self.features_of(features), resize_mask(foreground(mask), features.layer3))

    def read_query(self, maps: StageMaps) -> CANetQuery:
        """Return the features of queries at each scale."""
        if not isinstance(maps, PhotoMaps):
            raise TypeError("CANet reads the maps of its own encode")
        return CANetQuery(tuple(self.features_of(one) for one in at_scales(self.encode, maps, self.scales)), maps.size)

    def predict_batch(
        self, query: CANetQuery, supports: Sequence[Sequence[Tensor]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits; see `decide`."""
        compared = [self.compare(features, supports[0]) for features in query.features]
        heads = [lambda before, x=x: self._optimization[0](x, before) for x in compared]
        return decide_each(refine(heads, nothing(compared[0]), query.size, self.passes), query.size, sizes)

    def compare(self, query: Tensor, prototypes: Sequence[Tensor]) -> Tensor:
        """Return the comparison features x of queries and their K supports, (B, width, h, w).

        Args:
            query: Features of B queries, (B, width, h, w).
            prototypes: Of each of K shots, (B, width, 1, 1).
        """
        pairs = [torch.cat([query, one.expand_as(query)], dim=1) for one in prototypes]
        compared = torch.stack([self.layer55(pair) for pair in pairs])
        if self.attention is None:
            return compared.mean(dim=0)
        weights = torch.softmax(torch.stack([self.attention(pair) for pair in pairs]), dim=0)
        return (weights * compared).sum(dim=0)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation", the cross entropy of the prediction at the size of the query image."""
        query = self.features_of(self.encode(batch.query))
        shots = zip(batch.supports[:, 0].unbind(1), batch.support_masks[:, 0].unbind(1), strict=True)
        x = self.compare(query, [self.condition(self.encode(images), masks) for images, masks in shots])
        optimization = self._optimization[0]
        before = earlier(lambda start: optimization(x, start), nothing(x), self.reset)
        logits = optimization(x, before)
        return {"segmentation": segmentation_loss(logits, batch.query_masks[:, 0], batch.foreground_weight)}


def at_scales(encode: Callable[[Tensor], PhotoMaps], maps: PhotoMaps, scales: Sequence[float]) -> list[PhotoMaps]:
    """Return the maps of B images at each scale.

    Args:
        encode: Returns the maps of images.
        maps: Those of the images as they are.
        scales: Factors of both sides; the sides are rounded down.
    """
    return [maps if scale == 1 else encode(_rescaled(maps.image, scale)) for scale in scales]


def refine(heads: Sequence[Callable[[Tensor], Tensor]], start: Tensor, size: tuple[int, int], passes: int) -> Tensor:
    """Return the logits of the last pass, each of which starts from the probabilities of the one before.

    Args:
        heads: For each scale what gives logits (B, 2, h, w) for probabilities (B, 2, ., .).
        start: What the first pass starts from.
        size: (height, width) of the images.
        passes: How many.

    Returns:
        Raw logits of one scale, (B, 2, h, w); of several their sum at the size of the images, (B, 2, H, W).
    """
    logits = before = start
    for _ in range(passes):
        found = [head(before) for head in heads]
        # Quirk: several scales are brought together without aligned corners, and added up instead of averaged.
        logits = found[0] if len(found) == 1 else torch.stack([_resized(one, size) for one in found]).sum(dim=0)
        before = torch.softmax(logits, dim=1)
    return logits


@torch.no_grad()
def earlier(head: Callable[[Tensor], Tensor], start: Tensor, reset: float) -> Tensor:
    """Return what B training episodes start from, (B, 2, h, w): `start`, or the probabilities that it leads to.

    Args:
        head: Gives logits for probabilities.
        start: (B, 2, 1, 1).
        reset: How probable it is that an episode starts from `start`.
    """
    if reset >= 1:
        return start
    kept = torch.rand(len(start)) >= reset
    predicted = torch.softmax(head(start), dim=1)
    return torch.where(kept.to(start.device)[:, None, None, None], predicted, start)


def nothing(features: Tensor) -> Tensor:
    """Return the prediction before the first one: zeros (B, 2, 1, 1), neither background nor foreground."""
    return features.new_zeros(len(features), 2, 1, 1)


def dense(convolution: nn.Conv2d) -> nn.Sequential:
    """Return a convolution with ReLU and dropout of channels."""
    return nn.Sequential(convolution, nn.ReLU(), nn.Dropout2d(0.5))


def residual_block(inputs: int, width: int) -> nn.Sequential:
    """Return two 3x3 convolutions, each behind a ReLU; what they give is added by who calls them."""
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
    )


def initialise(method: nn.Module, stages: nn.Module, width: int) -> None:
    """Draw the weights of all convolutions but the backbone's as released: from a normal distribution of 0.01.

    In a head of fewer channels than the release's 256 the deviation is larger, so that its maps are not smaller.
    """
    frozen = set(stages.modules())
    for module in method.modules():
        if isinstance(module, nn.Conv2d) and module not in frozen:
            nn.init.normal_(module.weight, std=0.01 * (256 / width) ** 0.5)


def _rescaled(image: Tensor, scale: float) -> Tensor:
    return F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)


def _resized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)
