"""FSSDINO: prototypes of the last layer of a self-supervised transformer; nothing is trained.

hussni0997/fssdino at 2485898: fssdino/module.py, fssdino/utils.py, fss_eval.py. The release names no paper; the
sections below are its functions, in the order in which its evaluation calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones import Backbone
from fssbench.backbones import backbone as build_backbone
from fssbench.backbones.dino import Dino, dino
from fssbench.backbones.networks import networks
from fssbench.methods.base.method import Method, Prediction

_STOP = 1e-4
"""K-means ends when the square of the sum of its centres' shifts is below this."""
_ROUNDS = 1000
"""The release has no limit; it takes tens of rounds."""
_ABSENT = -2.0
"""Score of a class without support patches, which is never predicted; the release's is minus infinity."""
_NO_CLASS = 255


@dataclass(frozen=True, eq=False)
class FSSDinoMaps:
    """Encoded images: `features` (B, C, h, w), before the final norm, and the `size` (height, width) of the images."""

    features: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FSSDinoSupport:
    """What is kept of B support images.

    Attributes:
        patches: Features of the patches, (B, h * w, C).
        labels: uint8 (B, h * w): 1 for the class, 0 for background, 255 for neither.
    """

    patches: Tensor
    labels: Tensor


class FSSDino(Method[FSSDinoMaps, FSSDinoSupport]):
    """Each class, background included, is a few centres of its support patches and one Gram matrix.

    K-means starts from patches that are drawn at random. The release draws them from NumPy's global generator, so that
    an episode's result depends on all episodes before it (and in its cross-domain evaluation the episodes depend on the
    draws). Here each episode begins with the seed anew: it has the same result alone, in any order and in any process.
    The first episode of a run starts as in the release.

    Pixels of a support that are padding (255) or of another class of the episode (254) belong to no class. In the
    release a support's pixels of another class of the episode also belong to that class; here, where a support brings
    the mask of its own class alone, they do not.

    The release builds DINOv3 by transformers 4.57, whose periods are in float32; here they are in bfloat16, as in the
    authors' network. Features of up to 10 differ by 5e-4.

    Args:
        backbone: Name of the frozen transformer, e.g. "dinov3-vitb16"; or any network that gives a pyramid, of which
            the deepest map is taken.
        way: N.
        shot: K.
        n_clusters: Number of centres of a class; 1 for its mean.
        gram: Whether the Gram matrix is used; without it the method is prototypes alone.
        seed: Of the random start of k-means.
    """

    order_of_shots_matters = True  # the random start of k-means counts patches

    def __init__(
        self, backbone: str, way: int, shot: int, n_clusters: int = 5, gram: bool = True, seed: int = 0
    ) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.n_clusters, self.gram, self.seed = n_clusters, gram, seed
        chosen = dino(backbone) if backbone in networks() else build_backbone(backbone)
        self.backbone: Dino | Backbone = chosen.requires_grad_(requires_grad=False)

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the transformer's weights under their names here; the release has no others."""
        own = {key.removeprefix("backbone."): value for key, value in state.items()}
        if isinstance(self.backbone, Dino):
            own = self.backbone.names_here(own)
        return {f"backbone.{key}": value for key, value in own.items()}

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the transformer's weights, of any file that has them, under their names here."""
        return self.from_release(state)

    def encode(self, image: Tensor) -> FSSDinoMaps:
        """Return the patch tokens of the last block, without the final norm (quirk: `hidden_states[-1]`)."""
        height, width = image.shape[-2:]
        if isinstance(self.backbone, Dino):
            features: Tensor = self.backbone(image, normed=False)
        else:
            features = self.backbone(image)[-1]
            features = F.relu(features) if self.backbone.relu_follows else features
        return FSSDinoMaps(features, (height, width))

    # align_masks_to_features, extract_class_features

    def condition(self, features: FSSDinoMaps, mask: Tensor) -> FSSDinoSupport:
        """Return the patches and their labels; masks go down to the patches by nearest neighbour."""
        labels = mask.new_full(mask.shape, _NO_CLASS, dtype=torch.uint8)
        labels[mask == 0] = 0
        labels[(mask != 0) & (mask < 254)] = 1
        small = F.interpolate(labels[:, None].float(), features.features.shape[-2:], mode="nearest")
        return FSSDinoSupport(features.features.flatten(2).transpose(1, 2), small.flatten(1).to(torch.uint8))

    def class_patches(self, supports: Sequence[Sequence[FSSDinoSupport]]) -> list[Tensor]:
        """Return the support patches (n, C) of background, then of each class; n may be 0.

        Background are those of all supports together.
        """
        every = [shot for shots in supports for shot in shots]
        background = torch.cat([shot.patches[0][shot.labels[0] == 0] for shot in every])
        return [background, *(torch.cat([shot.patches[0][shot.labels[0] == 1] for shot in way]) for way in supports)]

    # cluster_support_image_features_external

    def prototypes(self, classes: Sequence[Tensor]) -> list[Tensor]:
        """Return the centres (k, C) of each class, of which a class with fewer patches than centres has its patches."""
        start = np.random.RandomState(self.seed)
        renewed = torch.Generator().manual_seed(self.seed)
        found = []
        for patches in classes:
            if len(patches) < self.n_clusters:
                found.append(patches)
                continue
            drawn = torch.from_numpy(start.choice(len(patches), self.n_clusters, replace=False)).to(patches.device)
            found.append(cosine_k_means(patches, patches[drawn], renewed))
        return found

    # calculate_sim_maps, add_gram_refinement

    def similarity_maps(self, query: Tensor, prototypes: Tensor, patches: Tensor) -> Tensor:
        """Return the maps of a class, (k, h, w) or with its Gram map (k + 1, h, w).

        Args:
            query: Features (C, h, w).
            prototypes: Of the class, (k, C).
            patches: Its support patches (n, C).
        """
        flat = query.flatten(1)
        maps = F.normalize(prototypes, dim=1) @ F.normalize(flat, dim=0)
        if self.gram:
            # The energy of each query feature, which is not normalised, in the directions of the class.
            energy = (flat * (gram_matrix(patches) @ flat)).sum(dim=0)
            low, high = energy.min(), energy.max()
            maps = torch.cat([maps, ((energy - low) / (high - low + 1e-8))[None]])
        return maps.view(-1, *query.shape[1:])

    # class_region_proposal

    def class_score(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the largest times the mean of a class's maps, after they are resized to the image: (height, width)."""
        resized = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        # Quirk: where both are negative, the score is positive.
        return resized.amax(dim=0) * resized.mean(dim=0)

    def predict(
        self, query: FSSDinoMaps, supports: Sequence[Sequence[FSSDinoSupport]], size: tuple[int, int]
    ) -> Prediction:
        """Return the class with the largest score; the logits are the scores.

        They are decided at the image's size. At another size the nearest pixel is taken (`nearest-exact`).
        """
        # Under autocast only the transformer computes in low precision.
        with torch.autocast(query.features.device.type, enabled=False):
            logits = self.scores(query, supports)
        if size != query.size:
            logits = F.interpolate(logits[None], size, mode="nearest-exact")[0]
        labels = logits.argmax(dim=0).to(torch.uint8)
        present = torch.stack([(labels == n).any() for n in range(1, len(logits))])
        return Prediction(logits.float(), labels, present)

    def scores(self, query: FSSDinoMaps, supports: Sequence[Sequence[FSSDinoSupport]]) -> Tensor:
        """Return the score of background and each class at the image's size, (N + 1, height, width)."""
        features = query.features[0]
        classes = self.class_patches(supports)
        scores = []
        for patches, prototypes in zip(classes, self.prototypes(classes), strict=True):
            if len(patches):
                scores.append(self.class_score(self.similarity_maps(features, prototypes, patches), query.size))
            else:
                scores.append(features.new_full(query.size, _ABSENT))
        return torch.stack(scores)


def gram_matrix(patches: Tensor) -> Tensor:
    """Return the mean outer product (C, C) of patches (n, C) of unit length."""
    unit = F.normalize(patches, dim=1)
    return unit.T @ unit / len(patches)


def cosine_k_means(points: Tensor, start: Tensor, renewed: torch.Generator) -> Tensor:
    """Return the centres (k, C) of k-means by cosine; the centres are plain means of points as they are.

    Args:
        points: (n, C).
        start: The first centres, (k, C).
        renewed: Draws the point that a centre without points moves to.
    """
    if len(start) == 1:
        return points.mean(dim=0, keepdim=True)
    unit, centres = F.normalize(points, dim=1), start
    for _ in range(_ROUNDS):
        nearest = (1.0 - unit @ F.normalize(centres, dim=1).T).argmin(dim=1)
        means = []
        for number in range(len(start)):
            members = points[nearest == number]
            if not len(members):
                members = points[int(torch.randint(len(points), (1,), generator=renewed))][None]
            means.append(members.mean(dim=0))
        before, centres = centres, torch.stack(means)
        if (centres - before).norm(dim=1).sum() ** 2 < _STOP:
            break
    return centres
