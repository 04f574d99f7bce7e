"""HSNet's fast form: positions outside the support mask are left out, and a pair is squeezed row by row."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from fssbench.backbones import Pyramid
from fssbench.fast.correlation import (
    KeptPositions,
    UnitMaps,
    dense_hypercorrelation,
    each_image,
    each_support,
    in_precision_of,
    keep_positions,
)
from fssbench.fast.pairwise import FastPairwise, with_fast_decoder
from fssbench.fast.squeeze import add_coarser, grid_of, mix, squeeze
from fssbench.layers.decoding import decode
from fssbench.layers.devices import serial_on
from fssbench.layers.hypercorrelation import bounds
from fssbench.layers.masks import foreground
from fssbench.methods.hsnet import HPNLearner, HSNet, check_grids


class FastHSNet(FastPairwise, HSNet):
    """HSNet whose queries are `UnitMaps` and whose supports are `KeptPositions`."""

    peak: ClassVar[int] = 4
    fixed_shapes: ClassVar[tuple[str, ...]] = ("hpn.forward",)

    def prepare(self) -> None:
        """Fold backbone and decoder."""
        super().prepare()
        self._modules[self._learner_name] = with_fast_decoder(self.hpn)

    def condition(self, features: Pyramid, mask: Tensor) -> KeptPositions:  # type: ignore[override] # read here alone
        """Return the support maps at the positions that the mask keeps."""
        return keep_positions(features, foreground(mask))

    def score(self, query: UnitMaps, support: KeptPositions) -> Tensor:  # type: ignore[override] # from `condition`
        """Return the result of `HSNet.score`."""
        learner = self.hpn
        if not isinstance(learner, HPNLearner):
            raise TypeError(f"HSNet's learner is an HPNLearner, not {type(learner).__name__}")
        query, support = in_precision_of(query, learner), in_precision_of(support, learner)
        device = query.units[0].device
        # Products are written in place, which autocast does not support.
        with torch.autocast(device.type, enabled=False):
            if serial_on(device):
                pairs = zip(each_image(query), each_support(support), strict=True)
                return torch.cat([score_pair(learner, *pair) for pair in pairs])
            # `score_pair` computes less than half of the sums, but in hundreds of small products per pair, which the
            # host chooses level by level from the kept positions. A graphics card finishes each product before the
            # next one is launched, so it would wait for the host. `forward` has about forty steps for all pairs and
            # does not wait.
            logits: Tensor = learner(dense_hypercorrelation(query, support, self.backbone.levels))
            return logits.contiguous()


def score_pair(learner: HPNLearner, query: UnitMaps, support: KeptPositions) -> Tensor:
    """Return the learner's logits (1, 2, 2w, 2w) for one pair; see `HPNLearner.forward`."""
    squeezed = []
    blocks = (learner.encoder_layer2, learner.encoder_layer3, learner.encoder_layer4)
    for block, (start, stop) in zip(blocks, bounds(learner.levels), strict=True):
        maps = [units[0] for units in query.units[start:stop]]
        kept = [units[0] for units in support.units[start:stop]]
        squeezed.append(squeeze(block, maps, kept, grid_of(support.places[start][0], support.sizes[start])))
    shallow, middle, deep = squeezed
    check_grids([(len(level.grid), len(level.grid[0])) for level in (deep, middle, shallow)])
    mixed = mix(learner.encoder_layer4to3, add_coarser(middle, deep))
    mixed = mix(learner.encoder_layer3to2, add_coarser(shallow, mixed))
    image = mixed.images.mean(dim=0)[None].permute(0, 3, 1, 2)
    return decode(learner.decoder1, learner.decoder2, image).contiguous()
