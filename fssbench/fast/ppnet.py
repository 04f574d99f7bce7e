"""PPNet's fast form: its convolutions are folded once, and cosines are products of unit vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.methods.panet import _SCALE
from fssbench.methods.ppnet import PPNet

_EPS = 1e-8
"""As in `torch.nn.functional.cosine_similarity`: a vector of zeros is at a right angle to all others."""


class FastPPNet(FastJoint, PPNet):
    """See `PPNet`."""

    def prepare(self) -> None:
        """Fold the encoder."""
        fold_form(self, None)

    def scores(self, features: Tensor, prototypes: Sequence[Tensor]) -> Tensor:
        """Return 20 times the cosine of each position with the nearest part of each class, (B, N + 1, h, w)."""
        parts = F.normalize(torch.cat(list(prototypes)), dim=1, eps=_EPS)
        cosines = torch.einsum("pc,bchw->bphw", parts, F.normalize(features, dim=1, eps=_EPS)) * _SCALE
        of_classes = torch.split(cosines, [len(each) for each in prototypes], dim=1)
        return torch.stack([each.amax(dim=1) for each in of_classes], dim=1)
