"""INSID3: Cuttano et al., "INSID3: Training-Free In-Context Segmentation with DINOv3", CVPR 2026.

visinf/INSID3 at f1c9622: models/insid3.py and utils/. The sections below are those of that file, which are the stages
of the paper. The refinement of the mask by a CRF, which is off by default and needs a graphics card, is not here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.dino import Dino, dino, in_patches
from fssbench.backbones.networks import network
from fssbench.extras import imported_extra
from fssbench.layers.masks import foreground
from fssbench.methods.base.mask_only import mask_prediction
from fssbench.methods.base.method import Method, Prediction

_LOG = logging.getLogger(__name__)

_COMPONENTS = 500


@dataclass(frozen=True, eq=False)
class INSID3Maps:
    """Encoded images.

    Attributes:
        features: Of unit length at each patch, (B, C, h, w).
        debiased: The same without the positional subspace, of unit length again.
        size: (height, width) of the images.
    """

    features: Tensor
    debiased: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class INSID3Support:
    """What is kept of B references.

    Attributes:
        debiased: (B, C, h, w).
        mask: bool (B, h, w).
    """

    debiased: Tensor
    mask: Tensor


class INSID3(Method[INSID3Maps, INSID3Support]):
    """A reference's object is found in the target by its prototype, and its parts by clusters of the target's patches.

    Quirk: the positional subspace has 500 directions by default. DINOv3 ViT-S has 384 channels, so that nothing of its
    features is left but rounding noise: with `dinov3-vits16` the release compares noise, and so does this unless
    `svd_components` is smaller. 268 directions of ViT-B and 524 of ViT-L are left.

    The release fails on a reference whose mask is empty (IndexError). Here it is left out; if all are, nothing is
    foreground.

    Args:
        backbone: Name of the frozen transformer, e.g. "dinov3-vitl16".
        way: 1.
        shot: K.
        svd_components: Dimension of the positional subspace; at most the number of channels and of patches. Default
            500, and of a tiny network an eighth of its channels.
        tau: Cosine at which clusters are no longer merged.
        merge_threshold: Score above which a cluster belongs to the object.
    """

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        svd_components: int | None = None,
        tau: float = 0.6,
        merge_threshold: float = 0.2,
    ) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        encoder = dino(backbone)
        if svd_components is None:
            svd_components = _COMPONENTS if network(backbone).hub else encoder.channels // 8
        if svd_components >= encoder.channels:
            _LOG.warning(
                "insid3: the positional subspace has %d directions and %s %d channels: of images with as many patches "
                "nothing but rounding noise is compared, as in the release; svd_components=N takes fewer",
                svd_components,
                backbone,
                encoder.channels,
            )
        self.backbone = PositionFree(encoder, svd_components).requires_grad_(requires_grad=False)
        self.tau, self.merge_threshold = tau, merge_threshold

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the transformer's weights under their names here; the release has no others."""
        own = {key.removeprefix("backbone.").removeprefix("network."): value for key, value in state.items()}
        return {f"backbone.network.{key}": value for key, value in self.backbone.network.names_here(own).items()}

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the transformer's weights, of any file that has them, under their names here."""
        return self.from_release(state)

    # Feature extraction, positional debiasing.

    def encode(self, image: Tensor) -> INSID3Maps:
        """Return the patch tokens after the final norm, of unit length, with and without positions."""
        height, width = image.shape[-2:]
        features, debiased = self.backbone(image)
        return INSID3Maps(features, debiased, (height, width))

    def condition(self, features: INSID3Maps, mask: Tensor) -> INSID3Support:
        """Return the references with their masks at the size of the map; pixels labelled 255 are background."""
        size = (features.debiased.shape[-2], features.debiased.shape[-1])
        masks = [reference_mask(one, size) for one in foreground(mask)]
        return INSID3Support(features.debiased, torch.stack(masks))

    def prototype(self, references: Sequence[INSID3Support]) -> Tensor:
        """Return the prototype (C,) of K references: the mean of their means under the masks, of unit length."""
        means = [one.debiased[0][:, one.mask[0]].mean(dim=1) for one in references if one.mask.any()]
        return F.normalize(torch.stack(means).mean(dim=0), dim=0)

    # Candidate localization.

    def candidates(self, target: Tensor, references: Sequence[INSID3Support], prototype: Tensor) -> Tensor:
        """Return the patches of the target that may belong to the object, bool (h, w).

        They are similar to the prototype, and the reference's patch that is most similar to them is under its mask, for
        at least half of the references.

        Args:
            target: Debiased features (C, h, w).
            references: K references.
            prototype: Theirs, (C,).
        """
        forward = torch.einsum("chw,c->hw", target, prototype)
        similar = forward > 0
        if not similar.any():
            similar = forward > torch.quantile(forward, 0.9)
        votes = torch.zeros_like(forward, dtype=torch.int64)
        for one in references:
            similarity = one.debiased[0].flatten(1).T @ target.flatten(1)  # (reference's patches, target's patches)
            votes += one.mask[0].flatten()[similarity.argmax(dim=0)].view_as(votes)
        return similar & (votes >= math.ceil(len(references) / 2))

    # Fine-grained clustering.

    def clusters(self, target: Tensor) -> Tensor:
        """Return the cluster of each patch, int64 (h * w,): average linkage of the cosine of features (C, h, w)."""
        flat = target.flatten(1).T
        if len(flat) == 1:
            return torch.zeros(1, dtype=torch.int64, device=target.device)
        distances = (1.0 - (flat @ flat.T).clamp(-1, 1)).cpu().numpy()
        library = imported_extra("sklearn.cluster", "insid3 clusters with scikit-learn, which can't be imported", "hub")
        merging = library.AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1.0 - self.tau
        )
        return torch.from_numpy(merging.fit_predict(distances)).to(target.device, torch.int64)

    # Seed selection and cluster aggregation.

    def object_patches(self, target: INSID3Maps, clusters: Tensor, candidates: Tensor, prototype: Tensor) -> Tensor:
        """Return the patches of the object, bool (h, w).

        The seed is the cluster with candidates whose prototype is most similar to the reference's. The score of a
        cluster is the mean similarity of its patches to the reference's prototype, times the similarity of its own to
        the seed's (with positions), times the share of its patches that are candidates. The seed's share counts as 1,
        but it can still fail.

        Args:
            target: The target, batch 1.
            clusters: int64 (h * w,).
            candidates: bool (h, w).
            prototype: The reference's, (C,).
        """
        member = F.one_hot(clusters, int(clusters.max()) + 1).to(prototype.dtype)  # (patches, clusters)
        sizes = member.sum(dim=0)
        plain, debiased = target.features[0].flatten(1), target.debiased[0].flatten(1)
        inside = candidates.flatten().to(member.dtype) @ member
        own = F.normalize(debiased @ member / sizes, dim=0)
        seed = int((prototype @ own).masked_fill(inside == 0, -math.inf).argmax())
        with_positions = F.normalize(plain @ member / sizes, dim=0)
        share = inside / sizes
        share[seed] = 1.0
        score = (prototype @ debiased @ member / sizes) * (with_positions[:, seed] @ with_positions) * share
        return (score > self.merge_threshold)[clusters].view_as(candidates)

    def mask(self, query: INSID3Maps, references: Sequence[INSID3Support]) -> Tensor:
        """Return the object in the target, bool (h, w)."""
        nothing = torch.zeros_like(query.features[0, 0], dtype=torch.bool)
        if not any(bool(one.mask.any()) for one in references):
            return nothing
        prototype = self.prototype(references)
        candidates = self.candidates(query.debiased[0], references, prototype)
        if not candidates.any():
            return nothing
        return self.object_patches(query, self.clusters(query.features[0]), candidates, prototype)

    # Mask finalization.

    def predict(
        self, query: INSID3Maps, supports: Sequence[Sequence[INSID3Support]], size: tuple[int, int]
    ) -> Prediction:
        """Return the object's mask; the logits are 1 for a pixel's label and 0 for the other.

        The mask goes up to the image's size, and from there to another one, each time bilinearly as 0 and 1, foreground
        above one half.
        """
        # Under autocast only the transformer computes in low precision.
        with torch.autocast(query.features.device.type, enabled=False):
            mask = self.mask(query, supports[0])
        at_image = mask_prediction(mask, query.size)
        return at_image if size == query.size else mask_prediction(at_image.labels > 0, size)


class PositionFree(nn.Module):
    """A transformer, and the subspace of its features that depends on the position alone.

    That subspace is estimated from a black image of the size at hand, once for each size and each set of weights.

    Args:
        network: The transformer.
        components: Dimension of the subspace; at most the number of channels and of patches.
    """

    def __init__(self, network: Dino, components: int) -> None:
        super().__init__()
        self.network, self.components = network, components
        self._projectors: dict[tuple[object, ...], Tensor] = {}

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of images (B, 3, H, W) with and without positions, (B, C, h, w) of unit length each."""
        fitted = in_patches(image, self.network.patch)
        features, projector = self.network(fitted), self.projector(fitted)
        with torch.autocast(image.device.type, enabled=False):
            features = F.normalize(features, dim=1)
            return features, F.normalize(torch.einsum("dc,bchw->bdhw", projector, features), dim=1)

    def projector(self, image: Tensor) -> Tensor:
        """Return I - U U^T, (C, C), for the size, dtype and device of images (B, 3, H, W)."""
        weights = next(self.network.parameters())
        # Loading weights changes the version; a tensor that was made in inference mode has none, and does not change.
        version = 0 if weights.is_inference() else weights._version
        key = (*image.shape[-2:], image.dtype, image.device, weights.data_ptr(), version)
        if key not in self._projectors:
            self._projectors = {key: self._estimated(image)}  # the one in use: images of a run have one size, as a rule
        return self._projectors[key]

    def _estimated(self, image: Tensor) -> Tensor:
        # Black before normalisation.
        mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (self.network.mean, self.network.std))
        black = (torch.zeros_like(image[:1]) - mean) / std
        features: Tensor = self.network(black)
        with torch.autocast(image.device.type, enabled=False):
            unit = F.normalize(features, dim=1)[0].flatten(1)
            basis: Tensor = torch.linalg.svd(unit - unit.mean(dim=1, keepdim=True), full_matrices=False).U
            basis = basis[:, : self.components]
            return torch.eye(len(basis), dtype=basis.dtype, device=basis.device) - basis @ basis.T


def reference_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a mask at the size of a map, bool (h, w): at least one patch, unless the mask is empty.

    Bilinear above one half; if nothing is left, by nearest neighbour; if still nothing, the patch of the centre of
    mass.

    Args:
        mask: Of a floating dtype, (H, W) in {0, 1}.
        size: (h, w).
    """
    for mode in ("bilinear", "nearest"):
        corners = False if mode == "bilinear" else None
        small = F.interpolate(mask[None, None], size, mode=mode, align_corners=corners)[0, 0] > 0.5
        if small.any() or not mask.any():
            return small
    centre = torch.argwhere(mask > 0).to(mask.dtype).mean(dim=0)
    row, column = (
        min(int(place // (side // patches)), patches - 1)
        for place, side, patches in zip(centre.tolist(), mask.shape, size, strict=True)
    )
    small[row, column] = True
    return small
