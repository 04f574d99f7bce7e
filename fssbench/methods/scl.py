"""SCL: Zhang et al., "Self-Guided and Cross-Guided Learning for Few-Shot Segmentation", CVPR 2021.

Facts from zbf1991/SCL at 872233a: SCL_PFENet/model/PFENet_SCL_1shot.py and PFENet_SCL_5shot.py for variant "pfenet",
SCL_CANet/SCL_1shot.py, SCL_5shot.py, pascal_val_1shot.py and pascal_myval_5shot.py for variant "canet".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.staged import staged
from fssbench.errors import UsageError
from fssbench.label_values import IGNORE
from fssbench.layers.enrichment import Bins, default_bins
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each
from fssbench.methods.canet import PASSES, SCALES, PhotoMaps, at_scales, earlier, initialise, nothing, refine
from fssbench.methods.scl_decoders import Guided, OnCANet, OnPFENet, size_of


@dataclass(frozen=True, eq=False)
class SCLQuery:
    """What is segmented of B queries.

    Attributes:
        features: F_q at each scale, (B, width, h, w).
        layer4: Layer4, (B, C, h', w'), from which PFENet's prior is read; None with CANet.
        size: (height, width) of the images.
    """

    features: tuple[Tensor, ...]
    layer4: Tensor | None
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SCLSupport:
    """What is kept of B supports.

    Attributes:
        primary: v_pri, the mean feature of that part of the object that the first prediction covers, (B, width, 1, 1).
        auxiliary: v_aux, that of the part it misses; zeros where it misses nothing.
        features: F_s, (B, width, h, w).
        maps: PFENet's enriched maps in the first prediction.
        mask: uint8 (B, H, W) in {0, 1, 255}; with several shots their predictions are held against it.
        layer4: Layer4 of the masked maps, masked again; None with CANet.
    """

    primary: Tensor
    auxiliary: Tensor
    features: Tensor
    maps: tuple[Tensor, ...]
    mask: Tensor
    layer4: Tensor | None


class SCL(StagedMethod[SCLQuery, SCLSupport]):
    """Self-guided and cross-guided learning, on PFENet or on CANet.

    One shot gives the raw logits of the query. Of K shots each segments the query by its own vectors, and the logits
    are summed with the shot's score as weight and divided by K. The release has K = 5 alone, and divides by a written
    5 with PFENet; that other K are divided by K is chosen here. With PFENet a score takes a class that is neither in a
    support nor predicted there as right, where the release divides 0 by 0. In training with several shots, which the
    release does not have, losses are averaged over the shots.

    Args:
        backbone: Name of the frozen backbone.
        variant: The baseline, "pfenet" or "canet".
        way: 1.
        shot: K.
        width: Channels of the head.
        bins: With PFENet: sides of the pyramid in positions, or "fractions" as in the release's COCO configuration (its
            file for 1 shot breaks down with these, the one for 5 shots does not). Default its PASCAL's (60, 30, 15, 8),
            with the small backbone fractions.
        scales: With CANet: sizes at which the query is predicted. Default those of the release's evaluation, 0.7, 1
            and 1.3.
        passes: With CANet: how often a query is predicted, the first time from nothing.
        reset: With CANet: in training, how probable it is that an episode starts from no earlier prediction; see
            `fssbench.methods.canet.CANet`.
        moving_statistics: Whether in training the frozen backbone's batch norm sees the batch and moves its running
            statistics. Default as released: it does; with the small backbone, which was not released, it does not.
            With CANet the release lets layer2 and layer3 have gradients, but its optimiser is not given them.

    Raises:
        UsageError: If an argument does not fit the variant.
    """

    def __init__(
        self,
        backbone: str,
        variant: Literal["pfenet", "canet"],
        way: int,
        shot: int,
        width: int = 256,
        bins: Bins | None = None,
        scales: Sequence[float] = SCALES,
        passes: int = PASSES,
        reset: float = 0.9,
        moving_statistics: bool | None = None,
    ) -> None:
        on_canet = variant == "canet"
        if on_canet and bins is not None:
            raise UsageError("bins are of PFENet's pyramid; variant canet has none", "leave bins out")
        if passes < 1:
            raise UsageError(f"a query is predicted 1 or more times, not {passes}")
        super().__init__(
            staged(backbone, stem="caffe" if on_canet else "deep"),
            moving_statistics=moving_statistics,
        )
        self.task, self.way, self.shot = "fss", way, shot
        self.passes, self.reset = passes, reset
        layer2, layer3, _ = self.stages.channels
        self._pfenet: tuple[OnPFENet] | None = None
        self._canet: tuple[OnCANet] | None = None
        if on_canet:
            self.scales = tuple(scales)
            self._canet = self.adopt(OnCANet(layer2 + layer3, width))
            initialise(self, self.stages, width)
        else:
            self.scales = (1.0,)
            if bins is None:
                bins = default_bins(backbone)
            self._pfenet = self.adopt(OnPFENet(layer2 + layer3, width, bins))

    def encode(self, image: Tensor) -> PhotoMaps:
        """Return layer2 and layer3 of images float32 (B, 3, H, W), and the images; no gradient."""
        maps = super().encode(image)
        return PhotoMaps(maps.layer2, maps.layer3, maps.size, image)

    def read_query(self, maps: StageMaps) -> SCLQuery:
        """Return F_q of queries at each scale, and layer4 with PFENet."""
        if not isinstance(maps, PhotoMaps):
            raise TypeError("SCL reads the maps of its own encode")
        return self._query_of(at_scales(self.encode, maps, self.scales), maps.size)

    def _query_of(self, maps: Sequence[StageMaps], size: tuple[int, int]) -> SCLQuery:
        layer4 = None if self._pfenet is None else self.layer4_of(maps[0])
        return SCLQuery(tuple(self._features(scaled, support=False) for scaled in maps), layer4, size)

    def condition(self, features: PhotoMaps, mask: Tensor) -> SCLSupport:
        """Return what is kept of supports; 255 counts as background."""
        return self.self_guided(features, mask)[0]

    def self_guided(self, features: PhotoMaps, mask: Tensor, *, inner: bool = False) -> tuple[SCLSupport, Guided]:
        """Return what the self-guided module makes of supports, and its first prediction of them.

        Args:
            features: Maps of the supports.
            mask: uint8 (B, H, W) in {0, 1, 255}.
            inner: Whether the prediction's `inner` is wanted.
        """
        layer4 = None if self._pfenet is None else self.masked_layer4(features, mask)
        inside = resize_mask(foreground(mask), features.layer3)
        mapped = self._features(features, support=True)
        # v_s, the initial vector, is given twice: the decoder reads two.
        initial = masked_average(mapped, inside)
        first = self.guide(mapped, (initial, initial), inner=inner)
        primary, auxiliary = covered_and_missed(mapped, inside, first.logits, cut=self._canet is not None)
        return SCLSupport(primary, auxiliary, mapped, first.maps, mask, layer4), first

    def guide(
        self, features: Tensor, vectors: Sequence[Tensor], first: Sequence[Tensor] = (), *, inner: bool = False
    ) -> Guided:
        """Return what the baseline says of supports with F_s by two vectors; see `OnPFENet.guide`."""
        if self._pfenet is not None:
            return self._pfenet[0].guide(features, vectors, first, inner=inner)
        return self._on_canet.guide(features, vectors)

    def predict_batch(
        self, query: SCLQuery, supports: Sequence[Sequence[SCLSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits; see `decide`."""
        shots = supports[0]
        scores = self.cross_guided(shots)
        if self._pfenet is not None:
            each = [self._segmented(query, shot).logits for shot in shots]
            return decide_each(_fused(each, scores), query.size, sizes)
        heads = [self._head(features, shots, scores) for features in query.features]
        return decide_each(refine(heads, nothing(query.features[0]), query.size, self.passes), query.size, sizes)

    def cross_guided(self, shots: Sequence[SCLSupport]) -> list[Tensor]:
        """Return the score of each of K shots, (B,): how well its vectors segment all supports; 1 of a single shot."""
        if len(shots) == 1:
            features = shots[0].features
            return [features.new_ones(len(features))]
        return [
            torch.stack([self._agreement(shot, other) for other in shots]).mean(dim=0)  # with itself, too
            for shot in shots
        ]

    def _agreement(self, shot: SCLSupport, other: SCLSupport) -> Tensor:
        """Return the IoU (B,) of other supports, segmented by the vectors of a shot, with their masks."""
        logits = self.guide(other.features, (shot.primary, shot.auxiliary), other.maps).logits
        # Quirk: with CANet aligned corners are left out here, and 255 is background.
        on_pfenet = self._pfenet is not None
        logits = F.interpolate(logits, other.mask.shape[-2:], mode="bilinear", align_corners=on_pfenet)
        predicted, truth = logits[:, 1] > logits[:, 0], other.mask == 1
        if not on_pfenet:
            return _iou(predicted, truth, logits, empty=0.0)
        counted = other.mask != IGNORE
        inside = _iou(predicted & counted, truth, logits, empty=1.0)
        return (inside + _iou(~predicted & counted, ~truth & counted, logits, empty=1.0)) / 2

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main", the sum of the cross entropies of the query and of both predictions of the support.

        With PFENet "auxiliary" too: the same sum of the means over the scales of its pyramid.
        """
        shots = list(zip(batch.supports[:, 0].unbind(1), batch.support_masks[:, 0].unbind(1), strict=True))
        maps = self.encode(batch.query)
        query = self._query_of([maps], maps.size)
        found = [self._losses_of(query, images, masks, batch) for images, masks in shots]
        return {name: torch.stack([losses[name] for losses in found]).mean() for name in found[0]}

    def _losses_of(self, query: SCLQuery, images: Tensor, masks: Tensor, batch: TrainingBatch) -> dict[str, Tensor]:
        support, first = self.self_guided(self.encode(images), masks, inner=True)
        vectors = (support.primary, support.auxiliary)

        def refined() -> Guided:
            return self.guide(support.features, vectors, support.maps, inner=True)

        # The order of the releases, which dropout depends on.
        if self._pfenet is not None:
            again, segmented = refined(), self._segmented(query, support, inner=True)
        else:
            head = self._head(query.features[0], [support], self.cross_guided([support]))
            segmented = Guided(head(earlier(head, nothing(support.features), self.reset)))
            again = refined()
        weight = batch.foreground_weight
        truths = ((segmented, batch.query_masks[:, 0]), (first, masks), (again, masks))
        main = torch.stack([segmentation_loss(guided.logits, truth, weight) for guided, truth in truths]).sum()
        if self._pfenet is None:
            return {"main": main}
        inner = [torch.stack([segmentation_loss(scale, truth, weight) for scale in one.inner]) for one, truth in truths]
        return {"main": main, "auxiliary": torch.stack([scales.mean() for scales in inner]).sum()}

    @property
    def _on_canet(self) -> OnCANet:
        if self._canet is None:
            raise TypeError("this is SCL on PFENet")
        return self._canet[0]

    def _features(self, maps: StageMaps, *, support: bool) -> Tensor:
        if self._pfenet is None:
            return self._on_canet.features(maps)
        baseline = self._pfenet[0]
        return baseline.support_features(maps) if support else baseline.query_features(maps)

    def _segmented(self, query: SCLQuery, shot: SCLSupport, *, inner: bool = False) -> Guided:
        """Return what PFENet says of queries by the vectors and the prior of a shot."""
        if self._pfenet is None or query.layer4 is None or shot.layer4 is None:
            raise TypeError("this is SCL on CANet")
        features = query.features[0]
        prior = self.prior(query.layer4, shot.layer4, size_of(features))
        return self._pfenet[0].segment(features, (shot.primary, shot.auxiliary), prior, inner=inner)

    def _head(
        self, features: Tensor, shots: Sequence[SCLSupport], scores: Sequence[Tensor]
    ) -> Callable[[Tensor], Tensor]:
        """Return what gives CANet's logits of queries, by all shots, for the prediction before."""
        decoder = self._on_canet.FPM_Decoder
        compared = [decoder.compare(features, (shot.primary, shot.auxiliary)) for shot in shots]
        return lambda before: _fused([decoder(x, before) for x in compared], scores)


def covered_and_missed(features: Tensor, inside: Tensor, logits: Tensor, *, cut: bool) -> tuple[Tensor, Tensor]:
    """Return the mean features (B, C, 1, 1) of the covered and of the missed part of an object; of no part zeros.

    Quirk: prediction and mask are added, and only sums of exactly 2 and 1 are looked at. So where the mask is between
    0 and 1 a position is in neither part, or with `cut` (CANet), which drops fractions first, a position that was
    predicted is in the missed one.

    Args:
        features: F_s, (B, C, h, w).
        inside: The mask at their size, (B, 1, h, w) in [0, 1].
        logits: The first prediction, (B, 2, h, w).
        cut: Whether fractions of the sum are dropped.
    """
    total = (logits[:, 1:] > logits[:, :1]).to(inside.dtype) + inside
    if cut:
        total = total.trunc()
    covered, missed = ((total == sought) & (inside != 0) for sought in (2, 1))
    return masked_average(features, covered.to(features.dtype)), masked_average(features, missed.to(features.dtype))


def _fused(logits: Sequence[Tensor], scores: Sequence[Tensor]) -> Tensor:
    """Return the mean of logits (B, 2, h, w) that are multiplied by scores (B,) first, which are not normalised."""
    return torch.stack([score[:, None, None, None] * one for one, score in zip(logits, scores, strict=True)]).mean(
        dim=0
    )


def _iou(predicted: Tensor, truth: Tensor, like: Tensor, *, empty: float) -> Tensor:
    """Return the IoU (B,) of bool masks (B, H, W), in the dtype of `like`; `empty` where both are."""
    union = (predicted | truth).sum(dim=(1, 2)).to(like.dtype)
    common = (predicted & truth).sum(dim=(1, 2)).to(like.dtype)
    return torch.where(union == 0, empty, common / union.clamp(min=1))
