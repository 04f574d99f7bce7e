"""Methods that score one query against one support at a time, and the merging of ways and shots."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Backbone, Pyramid
from fssbench.layers.losses import ifsl_losses, segmentation_loss
from fssbench.methods.base.method import Method, Prediction, Task, TrainingBatch

Support = TypeVar("Support")


class PairwiseMethod(Method[Pyramid, Support]):
    """A method on a frozen backbone whose network takes one query and one support of one class.

    Subclasses define `condition` and `score`; ways and shots are merged here by the rule of the task.

    Attributes:
        backbone: The frozen backbone.
        weak: Whether it learns from image-level labels (FS-CS). That changes the loss. Whether support masks are used
            depends on the subclass, as in iFSL's release.
    """

    backbone: Backbone
    weak: bool = False

    def __init__(self, backbone: Backbone, task: Task, way: int, shot: int) -> None:
        super().__init__()
        self.backbone = backbone.as_pyramid().requires_grad_(requires_grad=False)
        self.task, self.way, self.shot = task, way, shot

    @property
    def shared_encoder(self) -> nn.Module:
        """The frozen backbone."""
        return self.backbone

    @abstractmethod
    def score(self, query: Pyramid, support: Support) -> Tensor:
        """Return raw logits (B, 2, h, w), background first, of B pairs of a query and a support."""

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the backbone's batch norm keeps its ImageNet statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's maps of images float32 (B, 3, H, W), shallow level first; no gradient."""
        with torch.no_grad():
            # Under autocast only the backbone computes in low precision.
            return tuple(feature.to(image.dtype) for feature in self.backbone(image))

    def as_way(self, support: Support, n: int) -> Support:
        """Return a support as one of the n-th class, from 1; most methods treat all classes in the same way."""
        return support

    def predict(self, query: Pyramid, supports: Sequence[Sequence[Support]], size: tuple[int, int]) -> Prediction:
        """Return the prediction of one episode: every support is scored separately, and the scores are merged."""
        shots = [[self.as_way(support, n) for n, support in enumerate(shot, 1)] for shot in zip(*supports, strict=True)]
        with torch.autocast(query[0].device.type, enabled=False):
            logits = torch.stack([torch.cat([self.score(query, support) for support in ways]) for ways in shots])
        return self.merge(logits, size)

    def merge(self, logits: Tensor, size: tuple[int, int]) -> Prediction:
        """Return the prediction for the logits (K, N, 2, h, w) of K shots of N ways; see `vote` and `merge_ways`."""
        return vote(logits[:, 0], size) if self.task == "fss" else merge_ways(logits, size)

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation" or, with image-level labels, "classification".

        For "fss" HSNet's cross entropy (section 4.3), for "fscs" iFSL's losses; see `ifsl_losses`. Both releases train
        with one way and one shot. With more shots each is scored separately, as in the evaluation, and the losses are
        averaged.
        """
        pairs, ways, shots = batch.supports.shape[:3]
        images = batch.supports.flatten(0, 2)
        # One pass is enough: the backbone and its batch norm are frozen.
        maps = self.encode(torch.cat([batch.query, images]))
        masks = batch.support_masks.flatten(0, 2)
        support = self.condition(tuple(feature[pairs:] for feature in maps), masks)
        query = tuple(feature[:pairs].repeat_interleave(ways * shots, dim=0) for feature in maps)
        logits = self.score(query, support)
        if self.task == "fss":
            masks = batch.query_masks[:, 0].repeat_interleave(shots, dim=0)
            return {"segmentation": segmentation_loss(logits, masks, batch.foreground_weight)}
        by_shot = logits.view(pairs, ways, shots, *logits.shape[1:]).transpose(1, 2).flatten(0, 1)
        masks = batch.query_masks.repeat_interleave(shots, dim=0)
        return ifsl_losses(by_shot, masks, weak=self.weak, foreground_weight=batch.foreground_weight)


def vote(logits: Tensor, size: tuple[int, int]) -> Prediction:
    """Merge K shots as HSNet's release does (paper, section 4.3; model/hsnet.py at 6b1bc12).

    The logits of each shot are resized to `size` and give one vote per pixel. A pixel is foreground if it has at least
    half as many votes as the pixel with the most votes in this image. So fewer than K/2 votes may be enough; if no
    pixel has two votes, one vote is enough.

    Args:
        logits: float32 (K, 2, h, w), raw.
        size: (height, width) of the prediction.

    Returns:
        Labels in {0, 1}. The logits are the mean of the K resized logits; for K > 1 the labels are not their argmax.
    """
    resized = F.interpolate(logits, size, mode="bilinear", align_corners=True)
    votes = (resized[:, 1] > resized[:, 0]).sum(dim=0)
    # With one shot the largest vote is 1 (or 0) and this is the argmax itself.
    labels = votes.float() / votes.max().clamp(min=1) >= 0.5
    return Prediction(resized.mean(dim=0), labels.to(torch.uint8), labels.any().view(1))


def merge_ways(logits: Tensor, size: tuple[int, int]) -> Prediction:
    """Merge N ways and K shots as iFSL does (paper, Eq. 5 to 8; fs-cs/model/ifsl.py at d0b0c0d).

    Background is the mean over the classes of their background log-probabilities (quirk: not of the probabilities,
    and the N+1 maps are not normalised again). Shots are averaged after resizing. A class is present if any
    low-resolution position gives it a probability of at least one half, in at least half of the shots.

    Args:
        logits: float32 (K, N, 2, h, w), raw.
        size: (height, width) of the prediction.

    Returns:
        Log-probabilities (N+1, H, W) as logits, their argmax, and presence.
    """
    log_probabilities = torch.log_softmax(logits, dim=2)
    background = log_probabilities[:, :, 0].mean(dim=1, keepdim=True)
    merged = torch.cat([background, log_probabilities[:, :, 1]], dim=1)
    scores = F.interpolate(merged, size, mode="bilinear", align_corners=True).mean(dim=0)
    return Prediction(scores, scores.argmax(dim=0).to(torch.uint8), presence(log_probabilities[:, :, 1]))


def presence(log_probabilities: Tensor) -> Tensor:
    """Return bool (N,): the class is found in at least half of the shots (iFSL, Eq. 4).

    Args:
        log_probabilities: Of each shot and class the foreground's, (K, N, h, w), at low resolution.
    """
    found = log_probabilities.amax(dim=(-1, -2)) >= math.log(0.5)
    return found.float().mean(dim=0) >= 0.5
