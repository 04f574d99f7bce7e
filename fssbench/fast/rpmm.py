"""RPMM's fast form: its convolutions are folded once, and tiled prototypes are not convolved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.methods.rpmm import RPMM


class FastRPMM(FastJoint, RPMM):
    """See `RPMM`."""

    def prepare(self) -> None:
        """Fold the network, and part the convolution that takes a query and a tiled prototype side by side."""
        fold_form(self, None)
        convolution = cast("nn.Conv2d", self.layer55[0])
        self.whole = convolution
        of_query, self.of_prototype = convolution.weight.chunk(2, dim=1)
        self.of_query = of_query.contiguous(memory_format=torch.channels_last)

    def matches(self, query: Tensor, prototypes: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield for each mixture the query (B, C, h, w) activated by its foreground prototypes, summed.

        Convolutions are linear: the query's half is the same for all prototypes. A tiled prototype is constant, so its
        half differs only in which taps of the kernel lie in the map.
        """
        reach, bias = self.whole.padding, self.whole.bias
        half = F.conv2d(query, self.of_query, bias, padding=reach, dilation=self.whole.dilation)
        dilations = self.whole.dilation
        down, across = (_inside(length, step, query) for length, step in zip(query.shape[-2:], dilations, strict=True))
        for mixture in prototypes:
            taps = torch.einsum("bkc,octu->bkotu", mixture, self.of_prototype)
            tiled = torch.einsum("bkotu,th,uw->bkohw", taps, down, across)
            yield tiled.add_(half[:, None]).relu_().sum(dim=1)


def _inside(length: int, step: int, like: Tensor) -> Tensor:
    """Return for the 3 taps of a kernel whether each lies in a row, (3, length), for each place of its middle."""
    places = torch.arange(length, device=like.device) + step * torch.arange(-1, 2, device=like.device)[:, None]
    return ((places >= 0) & (places < length)).to(like.dtype)
