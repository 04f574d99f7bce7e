"""MIANet: Yang et al., "MIANet: Aggregating Unbiased Instance and General Information for [...]", CVPR 2023.

Facts from Aldrich2y/MIANet at 98ebefd, model/mianet.py, model/PSPNet.py and train.py. The modules have the paper's
names: general information module (GIM: its generator GIG, the local feature generator LFG, and a triplet loss),
hierarchical prior module (HPM), and information fusion module (IFM), which is PFENet's feature enrichment.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import staged
from fssbench.errors import CheckpointError, UsageError
from fssbench.layers.enrichment import Bins, FeatureEnrichment, default_bins, grids, reduction, resize
from fssbench.layers.losses import segmentation_loss
from fssbench.layers.masks import foreground, masked_average, resize_mask
from fssbench.layers.prior import cosines, normalized
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import StagedMethod, StageMaps, decide_each
from fssbench.methods.base.word_vectors import LENGTH, Vectors, check_vectors, vector_of
from fssbench.methods.pfenet import PFENetQuery

_AUXILIARY_WEIGHT = 1.0
_MARGIN = 0.5


@dataclass(frozen=True, eq=False)
class MIANetSupport:
    """What is kept of B support images.

    Attributes:
        prototype: The instance prototype: masked average of the reduced middle-level maps, (B, width, 1, 1).
        layer4: layer4 of the whole image, (B, C, h, w).
        mask: (B, 1, h, w) in [0, 1], at the size of layer3.
        general: The general prototype, (B, width, 1, 1); None until the class has its name.
    """

    prototype: Tensor
    layer4: Tensor
    mask: Tensor
    general: Tensor | None = None


class MIANet(StagedMethod[PFENetQuery, MIANetSupport]):
    """Multi-information aggregation network.

    Quirk: with K supports only the first is looked at; the release has no rule for more. It is the one that the
    release's loader drew last, as later ones are put before earlier ones.

    Args:
        backbone: Name of the frozen backbone. In the release it is that of BAM's PSPNet, trained on the base classes.
        way: 1.
        shot: K.
        width: Channels of the head.
        bins: Sides of the pyramid in positions, finest first, or "fractions" of the query's map. Default
            (60, 30, 15, 8) as released, with the small backbone fractions.
        vectors: The word vectors of class names: "pascal5i" and "coco20i" are the release's files, each for the classes
            of one data set; "characters" are made by a rule for any name, and mean nothing to weights trained with
            others. A file is read when the first name is.
        unnamed: The name of the class of a support that comes without one; None: that is an error.
        moving_statistics: Whether in training the frozen backbone's batch norm sees the batch and moves its running
            statistics. Default as released: it does (train.py calls `model.train()` and freezes parameters alone); with
            the small backbone, which was not released, it does not.

    Raises:
        UsageError: If `bins` are no sides, or there are no such vectors.
    """

    reads_class_names: ClassVar[bool] = True
    order_of_shots_matters: ClassVar[bool] = True
    shots_read: ClassVar[int | None] = 1

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        width: int = 256,
        bins: Bins | None = None,
        vectors: Vectors = "pascal5i",
        unnamed: str | None = None,
        moving_statistics: bool | None = None,
    ) -> None:
        super().__init__(staged(backbone), moving_statistics=moving_statistics)
        self.task, self.way, self.shot = "fss", way, shot
        self.vectors, self.unnamed = check_vectors(vectors), unnamed
        layer2, layer3, _ = self.stages.channels
        # Query and support share it, unlike PFENet's.
        self.down_features = reduction(layer2 + layer3, width)
        if bins is None:
            bins = default_bins(backbone)
        self._enrichment = self.adopt(FeatureEnrichment(2 * width + 1, width, bins))
        self.GIG = nn.Sequential(OrderedDict(model=_generator(LENGTH + width, width // 2, width)))
        self.LFG = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, bias=False),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    # Weights of the release.

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a checkpoint without the further names of its backbone, and its unused PSPNet head.

        Quirk: the release holds the backbone three times, as layer0, pspnet.layer0 and pspnet.encoder.0.

        Raises:
            CheckpointError: If the backbone differs under these names.
        """
        named: dict[str, Tensor] = {}
        first: dict[str, str] = {}
        for key, value in state.items():
            if (name := _name_here(key)) is None:
                continue
            if name in named and not torch.equal(named[name], value):
                raise CheckpointError(
                    f"{first[name]} and {key} are one parameter of the release, and differ here",
                    "use the checkpoint as its training wrote it",
                )
            named.setdefault(name, value)
            first.setdefault(name, key)
        return named

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's file, of ImageNet or of a PSPNet, under their names in the method."""
        if not any(key.startswith(("layer0.", "encoder.0.")) for key in state):
            return super().from_imagenet(state)
        renamed = self.from_release({f"pspnet.{key}": value for key, value in state.items()})
        return {key: value for key, value in renamed.items() if key.startswith("layer")}

    # One image.

    def condition(self, features: StageMaps, mask: Tensor) -> MIANetSupport:
        """Return what is kept of supports; 255 counts as background."""
        return self._support(self.prototype_of(self.down_features, features, mask), features, mask)

    def _support(self, prototype: Tensor, maps: StageMaps, mask: Tensor) -> MIANetSupport:
        # Unlike PFENet's, layer4 is that of the whole image: its mask comes later (`hierarchical_prior`).
        layer4 = self.layer4_of(maps)
        support = MIANetSupport(prototype, layer4, resize_mask(foreground(mask), maps.layer3).to(layer4.dtype))
        return support if self.unnamed is None else self.with_names(support, [self.unnamed] * len(mask))

    def with_names(self, support: MIANetSupport, names: Sequence[str]) -> MIANetSupport:
        """Return supports with their general prototype: the generator's, of name and instance prototype."""
        vectors = torch.stack([torch.from_numpy(vector_of(name, self.vectors)) for name in names])
        words = vectors.to(support.prototype)
        general = self.GIG(torch.cat([words, support.prototype.flatten(1)], dim=1))
        return replace(support, general=general[..., None, None])

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse names without a vector; see `vector_of`."""
        for name in names:
            vector_of(name, self.vectors)

    def read_query(self, maps: StageMaps) -> PFENetQuery:
        """Return what the head reads of queries."""
        return PFENetQuery(self.down_features(maps.middle), self.layer4_of(maps), maps.size)

    # One episode.

    def prior_of(self, layer4: Tensor, support: MIANetSupport, cells: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Return the prior of each scale, (B, 1, *cells) in [0, 1); see `hierarchical_prior`."""
        return hierarchical_prior(layer4, support.layer4, support.mask, cells)

    def predict_batch(
        self, query: PFENetQuery, supports: Sequence[Sequence[MIANetSupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes, raw logits; see `decide`.

        Raises:
            UsageError: If the class of an episode has no name.
        """
        maps, size = self._enriched(query, supports[0][0])
        return decide_each(self._enrichment[0].classify(maps, size), query.size, sizes)

    def _enriched(self, query: PFENetQuery, support: MIANetSupport) -> tuple[list[Tensor], tuple[int, int]]:
        """Return the enriched map of each scale, and the size of the query's map."""
        if support.general is None:
            raise UsageError(
                "MIANet reads the name of the class, and an episode has none",
                "method.segment(..., class_names=['dog']), or unnamed='dog' in build",
            )
        size = (query.reduced.shape[-2], query.reduced.shape[-1])
        enrichment = self._enrichment[0]
        priors = self.prior_of(query.layer4, support, grids(enrichment.bins, size))
        return enrichment.enrich(query.reduced, [support.general], at_scales=priors), size

    # Training.

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "main", "auxiliary" and "triplet".

        Main is the cross entropy of the prediction, auxiliary the mean cross entropy of the scales, both at the size of
        the query image; see `triplet_loss`. The order of the steps is that of the release, because the moving
        statistics and the dropout depend on it.

        Raises:
            UsageError: If the classes have no names.
        """
        query = self.read_query(self.encode(batch.query))
        maps, mask = self.encode(batch.supports[:, 0, 0]), batch.support_masks[:, 0, 0]
        reduced = self.down_features(maps.middle)
        inside = resize_mask(foreground(mask), reduced)
        support = self._support(masked_average(reduced, inside), maps, mask)
        if batch.class_names:
            support = self.with_names(support, [names[0] for names in batch.class_names])
        enriched, size = self._enriched(query, support)
        enrichment = self._enrichment[0]
        inner = enrichment.inner_logits(enriched)
        every = (enrichment.classify(enriched, size), *inner)
        weight = batch.foreground_weight
        main, *auxiliary = (segmentation_loss(logits, batch.query_masks[:, 0], weight) for logits in every)
        assert support.general is not None  # noqa: S101 - `_enriched` refuses a support without it
        # Quirk: the release runs the local features in evaluation, too, where nothing reads them.
        triplet = triplet_loss(support.general[..., 0, 0], self.LFG(reduced), support.mask)
        return {
            "main": main,
            "auxiliary": _AUXILIARY_WEIGHT * torch.stack(auxiliary).mean(),
            "triplet": triplet,
        }


def mean_cosine(query: Tensor, support: Tensor) -> Tensor:
    """Return each query position's mean cosine with all support positions, (B, h * w).

    Masked-out positions take part with a cosine of 0.

    Args:
        query: (B, C, h, w).
        support: (B, C, h', w'), zero where it is masked out.
    """
    return cosines(query, support).mean(dim=2)


def hierarchical_prior(
    query: Tensor,
    support: Tensor,
    mask: Tensor,
    cells: Sequence[tuple[int, int]],
    likeness: Callable[[Tensor, Tensor], Tensor] = mean_cosine,
) -> list[Tensor]:
    """Return how alike each query position and the support's object are, at each scale: (B, 1, *cells) in [0, 1).

    From scale to scale the query is multiplied by the prior and pooled. The support is resized from its own size.

    Args:
        query: layer4 of the query, (B, C, h, w).
        support: layer4 of the whole support, (B, C, h', w').
        mask: (B, 1, h'', w'') in [0, 1].
        cells: The (height, width) of each scale, finest first.
        likeness: Another form of `mean_cosine`.
    """
    priors = []
    if query.shape[-2:] != cells[0]:
        # Quirk: where layer4 is coarser than the finest scale (VGG), that scale's prior takes no part in the chain.
        resized = resize(support, cells[0]) * resize(mask, cells[0])
        priors.append(normalized(likeness(resize(query, cells[0]), resized), cells[0], cells[0]))
        cells = cells[1:]
    for size in cells:
        query = F.adaptive_avg_pool2d(query, size)
        mask = resize(mask, size)  # quirk: of the mask of the scale before, not of the first
        prior = normalized(likeness(query, resize(support, size) * mask), size, size)
        priors.append(prior)
        query = query * prior
    return priors


def triplet_loss(anchors: Tensor, local: Tensor, mask: Tensor) -> Tensor:
    """Return the mean triplet loss of B supports, a scalar: 0.5 + the farthest positive's distance - the negatives'.

    All features have unit length first; the negative is the mean of the background's, whose length is left as it is. A
    support without object or without background at this size is left out of the mean.

    Args:
        anchors: The general prototypes, (B, C).
        local: Local features of the supports, (B, C, h, w).
        mask: (B, 1, h', w') in [0, 1].
    """
    nearest = F.interpolate(mask, local.shape[-2:], mode="nearest").flatten(1)
    inside = nearest >= 1  # quirk: a position of the rim, between 0 and 1, is background
    losses = []
    for anchor, features, object_ in zip(
        F.normalize(anchors, dim=1), F.normalize(local.flatten(2).transpose(1, 2), dim=2), inside, strict=True
    ):
        if object_.any() and not object_.all():
            farthest = F.pairwise_distance(anchor, features[object_]).amax()
            negative = F.pairwise_distance(anchor, features[~object_].mean(dim=0))
            losses.append((_MARGIN + farthest - negative).clamp(min=0))
    return torch.stack(losses).mean() if losses else local.sum() * 0.0


def _generator(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return the general information generator, initialised as in the release."""
    layers = nn.Sequential(
        nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(hidden, outputs), nn.Dropout(0.3)
    )
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, 0.01)
    return layers


def _name_here(key: str) -> str | None:
    """Return the name that a weight of the release has in the method; None for one that nothing reads."""
    if key.startswith("pspnet.encoder."):
        return f"layer{key.removeprefix('pspnet.encoder.')}"
    if key.startswith("pspnet.layer"):
        return key.removeprefix("pspnet.")
    return None if key.startswith(("pspnet.ppm.", "pspnet.cls.")) else key
