"""FPTrans: Zhang et al., "Feature-Proxy Transformer for Few-Shot Segmentation", NeurIPS 2022.

Facts from Jarvis73/FPTrans at 4a52926, networks/FPTrans.py and networks/vit.py. The order is the paper's: prompts from
the support, the feature extractor in which query and supports meet, feature proxies and prompt proxies, training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.vit import VisionTransformer, fitting, shape_of, whole_patches
from fssbench.backbones.vit_names import from_flax, is_flax
from fssbench.errors import UsageError
from fssbench.layers.boundary_loss import boundary_loss, pair_loss
from fssbench.layers.local_background import Draw, backgrounds, object_means
from fssbench.layers.masks import foreground
from fssbench.layers.prompted import PromptedTransformer
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import decide_each

S = 5
"""Local backgrounds of each support."""
G = 12
"""Tokens of a prompt."""
_TAU = 20.0
_HIDDEN = 256
_DROPOUT = 0.1
TOKEN_EPS, PROXY_EPS = 1e-6, 1e-5
_PROMPT_SEED, _SITE_SEED = 1234, 1289
_NEITHER = 255

Configuration = Literal["pascal", "coco"]
_SETS = {"pascal": 15, "coco": 60}
"""Sets of prompts in the bank: as many as there are base classes, though none belongs to a class."""
_PAIR_WEIGHT = {"pascal": 0.02, "coco": 0.0001}
_BLOCKS = {"vit-b16-384": (10, 10), "deit-b16-384": (11, 12), "deit-s16": (11, 12), "deit-t16": (11, 12)}
"""How many blocks are kept of a network, for PASCAL and for COCO. The release has configurations of the first two."""


@dataclass(frozen=True, eq=False)
class FPTransSupport:
    """What is kept of B support images.

    Attributes:
        image: (B, 3, H, W).
        features: The map of the frozen network, (B, C, h, w).
        labels: 1 for the object, 0 for background, 255 for what is neither, at the size of this map; uint8 (B, h, w).
        finer: The same at the size of the purified map, uint8 (B, 2h, 2w).
    """

    image: Tensor
    features: Tensor
    labels: Tensor
    finer: Tensor


@dataclass(frozen=True, eq=False)
class Extracted:
    """What the feature extractor makes of B episodes, purified.

    Attributes:
        query: (B, C, 2h, 2w).
        supports: (B, K, C, 2h, 2w).
        prompts: The mean tokens of the prompts after the last block: that of the object, then S, (B, 1 + S, C); not
            purified.
    """

    query: Tensor
    supports: Tensor
    prompts: Tensor


class FPTrans(JointMethod[Tensor, FPTransSupport]):
    """Feature-proxy transformer: a transformer of query, supports and prompts, and cosine similarities with proxies.

    Rows of the prompt bank and the first site of each partition of a background are drawn at random. In evaluation the
    draw begins anew for each episode, as it does for the first episode of the release, so that a prediction depends on
    its episode alone; in the release one stream runs through all episodes.

    The bank has a row for each prompt, so that each number of shots has weights of its own. Released checkpoints are
    without the frozen network: its weights are those of the backbone's file, which is given besides.

    Args:
        backbone: Name of the vision transformer; "small" is one of two narrow blocks, which starts from random weights.
        way: 1.
        shot: K.
        configuration: "pascal" or "coco": numbers of blocks and of prompts, and the weight of the pairwise loss.
        side: Side of the images for whose patches positions are learnt; default 480, and 96 for the small network.
    """

    order_of_shots_matters = True
    keeps_start = True

    def __init__(
        self, backbone: str, way: int, shot: int, configuration: Configuration = "pascal", side: int | None = None
    ) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        shape = shape_of(backbone)
        pascal, coco = _BLOCKS.get(backbone, (shape.blocks, shape.blocks))
        blocks = coco if configuration == "coco" else pascal
        side = side or (96 if backbone == "small" else 480)
        self.pair_weight = _PAIR_WEIGHT[configuration]
        bank = _SETS[configuration] * (1 + S * shot)
        self.encoder = Encoder(PromptedTransformer(shape, blocks, side, bank, G))
        self.purifier = Purifier(shape.width)
        # Quirk: the frozen network is cut to the same number of blocks.
        self.original_encoder = VisionTransformer(shape, blocks, side).requires_grad_(requires_grad=False)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a backbone's own weights under their names here: both networks begin with them."""
        start = fitting(from_flax(state) if is_flax(state) else state, self.original_encoder)
        both = ("encoder.backbone", "original_encoder")
        named = {f"{name}.{key}": value for name in both for key, value in start.items()}
        # The file has no prompts; they begin as they are.
        prompts = {"encoder.backbone.prompt_tokens": self.encoder.backbone.prompt_tokens.detach()}
        return named | prompts if named else named

    def encode(self, image: Tensor) -> Tensor:
        """Return the images float32 (B, 3, H, W): nothing of an image is computed without its episode."""
        return image

    # Prompts: class-aware tokens from a frozen network.

    def condition(self, features: Tensor, mask: Tensor) -> FPTransSupport:
        """Return supports; pixels labelled 255 are neither object nor background."""
        with torch.no_grad():
            frozen = self.original_encoder(features)
        labels = torch.where(mask == 0, 0, torch.where(foreground(mask) > 0, 1, _NEITHER)).to(torch.uint8)
        height, width = whole_patches(features)
        return FPTransSupport(
            features, frozen, _nearest(labels, (height, width)), _nearest(labels, (2 * height, 2 * width))
        )

    def prompts(self, features: Tensor, labels: Tensor, rows: Tensor, draws: Sequence[Draw]) -> Tensor:
        """Return the prompts of B episodes: that of the object, then S of each support's background.

        To the G learnt tokens of a prompt the mean feature of its region is added.

        Args:
            features: Maps of the frozen network, (B, K, C, h, w).
            labels: At their size, (B, K, h, w).
            rows: Of the prompt bank, (B, 1 + S * K).
            draws: Of each episode.

        Returns:
            (B, (1 + S * K) * G, C).
        """
        regions = torch.cat(
            [object_means(features, labels, TOKEN_EPS)[:, None], backgrounds(features, labels, S, draws)], dim=1
        )
        learnt: Tensor = self.encoder.backbone.prompt_tokens[rows.to(features.device)]
        return (learnt + regions[:, :, None]).flatten(1, 2)

    # Feature extractor: query, supports and prompts.

    def extract(
        self, query: Tensor, supports: Sequence[FPTransSupport], rows: Tensor, draws: Sequence[Draw]
    ) -> Extracted:
        """Return the purified maps and the prompts after the last block, of B queries with K supports each."""
        images = torch.stack([*(one.image for one in supports), query], dim=1)
        frozen = torch.stack([one.features for one in supports], dim=1)
        prompts = self.prompts(frozen, torch.stack([one.labels for one in supports], dim=1), rows, draws)
        maps, after = self.encoder.backbone.of_episodes(images, prompts)
        purified = self.purifier(maps.flatten(0, 1))
        purified = purified.view(*images.shape[:2], *purified.shape[1:])
        return Extracted(purified[:, -1], purified[:, :-1], _means_of_prompts(after))

    # Classification by proxies.

    def predict_batch(
        self, query: Tensor, supports: Sequence[Sequence[FPTransSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, 20 times cosines, resized once to the size of each."""
        rows, draws = self.drawn(len(query), len(supports[0]))
        logits = self.by_feature_proxies(self.extract(query, supports[0], rows, draws), supports[0], draws)
        return decide_each(logits, (logits.shape[-2], logits.shape[-1]), sizes)

    def drawn(self, count: int, shots: int) -> tuple[Tensor, list[Draw]]:
        """Return rows of the prompt bank, int64 (B, 1 + S * K), and what draws first sites: the same for B episodes."""
        bank = len(self.encoder.backbone.prompt_tokens)
        # NumPy's generators are the release's.
        rows = np.random.RandomState(_PROMPT_SEED).choice(bank, 1 + S * shots, replace=False)
        draws: list[Draw] = [np.random.RandomState(_SITE_SEED).choice for _ in range(count)]
        return torch.from_numpy(rows).expand(count, -1), draws

    def by_feature_proxies(
        self, extracted: Extracted, supports: Sequence[FPTransSupport], draws: Sequence[Draw]
    ) -> Tensor:
        """Return logits (B, 2, 2h, 2w): proxies are means of the supports' maps, backgrounds partitioned anew."""
        labels = torch.stack([one.finer for one in supports], dim=1)
        objects = object_means(extracted.supports, labels, PROXY_EPS)
        return similarities(extracted.query, objects, backgrounds(extracted.supports, labels, S, draws))

    def by_prompt_proxies(self, extracted: Extracted) -> Tensor:
        """Return logits (B, 2, 2h, 2w): proxies are the purified prompts."""
        objects, others = extracted.prompts[:, 0], extracted.prompts[:, 1:]
        return similarities(
            extracted.query, self._purified(objects), self._purified(others.flatten(0, 1)).view_as(others)
        )

    def _purified(self, tokens: Tensor) -> Tensor:
        """Return tokens (n, C), purified; quirk: of the four positions that the purifier makes the first is taken."""
        positions: Tensor = self.purifier(tokens[:, :, None, None])
        return positions[:, :, 0, 0]

    # Training.

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "feature" and "prompt", the losses of the two kinds of proxies, and "pair", of pairs of positions.

        Raises:
            UsageError: If there are more episodes than the bank has prompts for.
        """
        shots, masks = batch.supports.shape[2], batch.query_masks[:, 0]
        bank, count = len(self.encoder.backbone.prompt_tokens), 1 + S * shots
        if len(masks) * count > bank:
            raise UsageError(
                f"each of {len(masks)} episodes takes {count} prompts of a bank of {bank}, no prompt twice",
                f"a batch of {bank // count} or fewer",
            )
        rows = torch.randperm(bank)[: len(masks) * count].view(-1, count)
        draws: list[Draw] = [_drawn] * len(masks)
        supports = [
            self.condition(batch.supports[:, 0, shot], batch.support_masks[:, 0, shot]) for shot in range(shots)
        ]
        extracted = self.extract(batch.query, supports, rows, draws)
        by_feature, by_prompt = self.by_feature_proxies(extracted, supports, draws), self.by_prompt_proxies(extracted)
        pairs = pair_loss(
            extracted.supports.transpose(1, 2).flatten(2),
            torch.stack([one.finer for one in supports], dim=1).flatten(1),
            extracted.query.flatten(2),
            _nearest(masks, (extracted.query.shape[-2], extracted.query.shape[-1])).flatten(1),
        )
        return {
            "feature": boundary_loss(by_feature, masks, batch.foreground_weight),
            "prompt": boundary_loss(by_prompt, masks, batch.foreground_weight),
            "pair": self.pair_weight * pairs,
        }


class Encoder(nn.Module):
    """The feature extractor under its name in the release."""

    def __init__(self, backbone: PromptedTransformer) -> None:
        super().__init__()
        self.backbone = backbone


class Purifier(nn.Module):
    """A residual block that makes a map twice as large."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, _HIDDEN, 1),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.ConvTranspose2d(_HIDDEN, _HIDDEN, 2, stride=2),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Conv2d(_HIDDEN, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2h, 2w) of a map (B, C, h, w)."""
        larger = F.interpolate(x, (2 * x.shape[-2], 2 * x.shape[-1]), mode="bilinear", align_corners=True)
        out: Tensor = larger + self.layers(x)
        return out


def similarities(query: Tensor, objects: Tensor, others: Tensor) -> Tensor:
    """Return 20 times the cosines of B maps with proxies, (B, 2, h, w): the largest of the backgrounds', the object's.

    Args:
        query: (B, C, h, w).
        objects: (B, C).
        others: Those of backgrounds, (B, k, C).
    """
    proxies = torch.cat([others, objects[:, None]], dim=1)
    cosines = F.normalize(proxies, dim=2, eps=1e-8) @ F.normalize(query, dim=1, eps=1e-8).flatten(2) * _TAU
    largest = torch.stack([cosines[:, :-1].amax(dim=1), cosines[:, -1]], dim=1)
    return largest.view(len(query), 2, *query.shape[-2:])


def _means_of_prompts(tokens: Tensor) -> Tensor:
    """Return the mean tokens of the object's prompt, and of S equal parts of the others, (B, 1 + S, C).

    Quirk: with K shots a part is K prompts that follow each other, whichever supports they are of.
    """
    objects, others = tokens[:, :G], tokens[:, G:]
    parts = others.view(len(tokens), S, -1, tokens.shape[-1]).mean(dim=2)
    return torch.cat([objects.mean(dim=1, keepdim=True), parts], dim=1)


def _nearest(labels: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(labels[:, None], size, mode="nearest")[:, 0]


def _drawn(count: int) -> int:
    return int(torch.randint(count, ()))
