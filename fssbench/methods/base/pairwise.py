"""Methods that score one query against one support at a time: how ways and shots are merged afterwards."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import Any, ClassVar, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Backbone, Pyramid
from fssbench.backbones.folding import answering
from fssbench.layers.devices import serial_on
from fssbench.layers.hypercorrelation import Maps, UnitMaps, correlation_bytes, unit_maps
from fssbench.layers.losses import ifsl_losses, segmentation_loss
from fssbench.layers.trees import alike, joined
from fssbench.methods.base.joint import Call, answered_by_threads, device_of
from fssbench.methods.base.method import Method, Prediction, Task, TrainingBatch

Support = TypeVar("Support")

ROOM = 4 << 30
"""Bytes that pairs scored in one call may take at their peak."""


class PairwiseMethod(Method[Any, Support]):
    """A method on a frozen backbone whose network sees one query and one support of one class.

    Subclasses give `condition` and `score`; ways and shots are merged here by the rule of the task. On a processor
    `score` is asked by several threads at once, so it leaves the method as it is.

    Attributes:
        backbone: The frozen backbone.
        weak: Whether it learns from image-level labels (FS-CS). That changes the loss; whether support masks are
            looked at is the subclass's own business, as it is in iFSL's release.
        peak: How many times `correlation_bytes` it takes to score a pair beside others. Measured at 400 pixels on a
            processor: HSNet 3.2, ASNet 2.2, and 9.3 where attention is local. On a graphics card the weights of an
            attention with so few channels to a head are held whole, which brings ASNet to about 7.

    Features are a `Pyramid` to `condition`, and to `predict` that or `UnitMaps`.
    """

    backbone: Backbone
    weak: bool = False
    peak: ClassVar[int] = 10
    query_of_features_alone: ClassVar[bool] = True
    asked_by_threads: ClassVar[bool] = True

    def __init__(self, backbone: Backbone, task: Task, way: int, shot: int) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(requires_grad=False)
        self.task, self.way, self.shot = task, way, shot

    @property
    def shared_encoder(self) -> nn.Module:
        """The frozen backbone."""
        return self.backbone

    @abstractmethod
    def score(self, query: Maps, support: Support) -> Tensor:
        """Return raw logits (B, 2, h, w), background first, of B pairs of a query and a support."""

    def train(self, mode: bool = True) -> Self:
        """Set training mode; the backbone's batch norm keeps its ImageNet statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def encode(self, image: Tensor) -> Pyramid:
        """Return the backbone's maps of images float32 (B, 3, H, W), shallow level first; no gradient."""
        with torch.no_grad():
            return self.backbone(image)

    def as_query(self, features: Maps) -> Maps:
        """Return the maps made ready to be correlated, where only the answer is wanted; see `Method.as_query`."""
        return features if isinstance(features, UnitMaps) or not answering() else unit_maps(features)

    def predict(self, query: Maps, supports: Sequence[Sequence[Support]], size: tuple[int, int]) -> Prediction:
        """Return the answer to one episode; see `answers`."""
        return self.answers([query], [supports], [size])[0]

    def predict_many(
        self,
        queries: Sequence[Maps],
        supports: Sequence[Sequence[Sequence[Support]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        """Return the answers to several episodes; see `Method.predict_many` and `serial_on`."""
        if serial_on(device_of(queries)):
            return answered_by_threads(Call(self, queries, supports, sizes).episodes)
        return self.answers(queries, supports, sizes)

    def answers(
        self,
        queries: Sequence[Maps],
        supports: Sequence[Sequence[Sequence[Support]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        """Return the answers to several episodes; see `vote` and `merge_ways`, `serial_on` and `pairs_at_once`."""
        pairs = [
            (query, support)
            for query, ways in zip(map(self.as_query, queries), supports, strict=True)
            for shot in zip(*ways, strict=True)
            for support in shot
        ]
        logits = iter(self._score_pairs(pairs))
        answers = []
        for ways, size in zip(supports, sizes, strict=True):
            scored = torch.cat(list(islice(logits, sum(map(len, ways)))))  # of K shots of N ways
            if self.task == "fss":
                answers.append(vote(scored, size))
            else:
                answers.append(merge_ways(scored.view(-1, len(ways), *scored.shape[1:]), size))
        return answers

    def _score_pairs(self, pairs: Sequence[tuple[Maps, Support]]) -> list[Tensor]:
        """Return the logits (1, 2, h, w) of each pair; on a graphics card as many are scored in a call as have room."""
        if serial_on(device_of(pairs)):
            return [self.score(*pair) for pair in pairs]
        found: dict[int, Tensor] = {}
        for group in alike(pairs):
            together = pairs_at_once(self.peak * correlation_bytes(pairs[group[0]][0]))
            for start in range(0, len(group), together):
                places = group[start : start + together]
                logits = self.score(*joined([pairs[place] for place in places]))
                found |= zip(places, torch.split(logits, 1), strict=True)
        return [found[place] for place in range(len(pairs))]

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation" or, with weak labels, "classification".

        For "fss" HSNet's cross entropy (section 4.3), for "fscs" iFSL's losses; see `ifsl_losses`. Both releases train
        with one way and one shot. Of more shots every one is scored alone, as in the evaluation, and the losses are
        averaged.
        """
        pairs, ways, shots = batch.supports.shape[:3]
        images = batch.supports.flatten(0, 2)
        # In one pass: the backbone is frozen, and its batch norm with it.
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


def pairs_at_once(each: int) -> int:
    """Return how many pairs are scored in one call where each takes so many bytes: at least one."""
    return max(1, ROOM // max(1, each))


def vote(logits: Tensor, size: tuple[int, int]) -> Prediction:
    """Merge K shots as HSNet's release does (paper, section 4.3; model/hsnet.py at 6b1bc12).

    Each shot is brought to `size` and decided alone; a pixel is foreground with at least half as many votes as the
    pixel of this image that has most. So K/2 votes are not needed, and if no pixel has two votes, one is enough.

    Args:
        logits: float32 (K, 2, h, w), raw.
        size: (height, width) of the answer.

    Returns:
        Labels in {0, 1}; the logits are the mean of the K resized ones, and with K > 1 the labels are not their argmax.
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
        size: (height, width) of the answer.

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
