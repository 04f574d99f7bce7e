"""MIANet's fast form: the mean cosine with a support is the cosine with one mean direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from fssbench.fast.staged import FastStaged
from fssbench.layers.prior import EPS
from fssbench.methods.mianet import MIANet, MIANetSupport, hierarchical_prior, mean_cosine

if TYPE_CHECKING:
    from collections.abc import Sequence


_ALONE = 1e3
"""Positions are compared one by one below so many times the number that is added to products of lengths."""


class FastMIANet(FastStaged, MIANet):
    """See `MIANet`."""

    fixed_shapes: ClassVar[tuple[str, ...]] = ("_enrichment.classify",)

    def prior_of(self, layer4: Tensor, support: MIANetSupport, cells: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Return the prior of each scale; no position of the query is compared with those of the support one by one."""
        return hierarchical_prior(layer4, support.layer4, support.mask, cells, cosine_with_mean)


def cosine_with_mean(query: Tensor, support: Tensor) -> Tensor:
    """Return the result of `fssbench.methods.mianet.mean_cosine`, (B, h * w), from sums over the support's positions.

    With a small number e, the mean over s of q s / (|q| |s| + e) is q / |q| times the mean of s / (|s| + e / |q|). This
    mean depends on |q| a little: it is expanded to first order about the mean length of the query's positions, and what
    is left out is the square of e / (|q| |s|). Positions where that is not tiny are compared one by one; mostly there
    are none. Under autocast the sums stay in float32: they stand for all positions, and rounding them would show.
    """
    with torch.autocast(query.device.type, enabled=False):
        a, b = (one.flatten(2).to(torch.promote_types(one.dtype, torch.float32)) for one in (query, support))
        lengths, of_support = a.norm(dim=1), b.norm(dim=1)
        shortest = torch.where(lengths > 0, lengths, torch.inf).amin(dim=1, keepdim=True)
        alone = (of_support > 0) & (of_support * shortest < _ALONE * EPS)
        about = EPS / lengths.mean(dim=1, keepdim=True).clamp(min=EPS)
        weights = torch.where(alone, 0.0, 1.0 / (of_support + about))
        sums = torch.bmm(torch.stack([weights, weights**2], dim=1), b.transpose(1, 2)) / b.shape[2]
        along, change = torch.bmm(sums, a).unbind(dim=1)
        lengths = lengths.clamp(min=EPS)  # where the query is 0, so are both
        likeness: Tensor = (along - (EPS / lengths - about) * change) / lengths
        at = alone.any(dim=0).nonzero()[:, 0]
        if len(at):
            likeness = likeness + mean_cosine(a, (b * alone[:, None])[:, :, at]) * (len(at) / b.shape[2])
    return likeness
