"""Merges frozen batch norms into the convolutions before them, in copies of networks that only predict.

Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1: with frozen statistics the normalisation is linear, so
it can be part of the weights of the convolution before it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import UnusedLinear
from fssbench.backbones.efficientnet_lite import InvertedBottleneck
from fssbench.backbones.frozen import FrozenBatchNorm2d
from fssbench.backbones.resnet import Bottleneck, Bottlenecks
from fssbench.backbones.vgg import TAKEN, VGG

Network = TypeVar("Network", bound=nn.Module)

_FOLDED: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()
"""The latest folded copy of each encoder. It does not keep the encoder alive."""


class FoldedBottleneck(Bottleneck):
    """A bottleneck whose norms are folded; intermediate maps are overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the result of `Bottleneck.forward`; `x` is not changed."""
        out = self.conv2(self.conv1(x).relu_()).relu_()
        total: Tensor = self.conv3(out).add_(x if self.downsample is None else self.downsample(x))
        return total


class FoldedBottlenecks(Bottlenecks):
    """A sequence of folded bottlenecks."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the result of `Bottlenecks.forward`; `x` is not changed."""
        for block in self:
            x = block(x).relu_()
        return x


class FoldedInvertedBottleneck(InvertedBottleneck):
    """An inverted bottleneck whose norms are folded; intermediate maps are overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the result of `InvertedBottleneck.forward`; `x` is not changed."""
        out = F.relu6(self._expand_conv(x), inplace=True) if self.expands else x
        out = F.relu6(self._depthwise_conv(out), inplace=True)
        projected: Tensor = self._project_conv(out)
        return projected.add_(x) if self.has_shortcut else projected


def folded(network: Network) -> Network:
    """Return a copy of a network in eval mode whose batch norms are folded into the convolutions before them.

    Later changes of the network's weights do not reach the copy. Only layers that never run are shared.

    Raises:
        TypeError: If a batch norm has no running statistics.
    """
    copied = copy.deepcopy(network, {id(part): part for part in network.modules() if isinstance(part, UnusedLinear)})
    fold(copied)
    return copied


def folded_encoder(encoder: Network) -> Network:
    """Return a folded copy of an encoder: the same copy at each call, as long as the encoder's weights are the same.

    Raises:
        TypeError: If a batch norm has no running statistics.
    """
    fresh = folded(encoder)
    known = _FOLDED.get(encoder)
    if isinstance(known, type(fresh)) and _same_weights(known, fresh):
        return known
    _FOLDED[encoder] = fresh
    return fresh


def fold_form(form: nn.Module, encoder: nn.Module | None) -> None:
    """Replace all modules of a fast form by folded copies.

    Args:
        form: Made by `fssbench.fast.form.fast_form`; the plain method is not changed.
        encoder: The part that other methods may share; all of them get the same copy.

    Raises:
        TypeError: If a batch norm has no running statistics.
    """
    copies: dict[int, nn.Module] = {}
    if encoder is not None:
        # Both have the same tree of modules, so every reference to a part of one can be replaced.
        copies = dict(zip(map(id, encoder.modules()), folded_encoder(encoder).modules(), strict=True))
    shared = list(copies.values())
    vars(form).update(copy.deepcopy(vars(form), dict(copies)))
    fold(form, shared)


@torch.no_grad()
def fold(network: nn.Module, without: Iterable[nn.Module] = ()) -> None:
    """Fold a network in place.

    A batch norm belongs to a convolution if it is the next child of the same module, as in all networks of
    `fssbench.backbones` and `fssbench.layers`; an identity replaces it.

    Args:
        network: In eval mode; its modules are not shared with other networks.
        without: Modules of it that are not folded.

    Raises:
        TypeError: If a batch norm has no running statistics.
    """
    excluded = set(map(id, without))
    parts = [part for part in network.modules() if id(part) not in excluded]
    for part in parts:
        _fold_children(part)
    for part in parts:
        if isinstance(part, nn.Conv2d):
            _use_channels_last(part)
        elif isinstance(part, Bottleneck):
            part.__class__ = FoldedBottleneck
        elif isinstance(part, Bottlenecks):
            part.__class__ = FoldedBottlenecks
        elif isinstance(part, InvertedBottleneck):
            part.__class__ = FoldedInvertedBottleneck
        elif isinstance(part, VGG):
            # Maps of the pyramid are taken before the ReLU.
            for place, layer in enumerate(part.features):
                if place - 1 in TAKEN and isinstance(layer, nn.ReLU):
                    layer.inplace = False


def _fold_children(part: nn.Module) -> None:
    before: nn.Module | None = None
    for name, child in list(part.named_children()):
        if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d) and isinstance(before, nn.Conv2d):
            _fold_norm(before, child)
            setattr(part, name, nn.Identity())
            continue
        if isinstance(child, nn.ReLU) and isinstance(part, nn.Sequential):
            child.inplace = isinstance(before, nn.Conv2d)
        before = child


def _fold_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d | FrozenBatchNorm2d) -> None:
    """Fold a batch norm into the convolution before it."""
    mean, variance, bias = norm.running_mean, norm.running_var, convolution.bias
    if mean is None or variance is None:
        raise TypeError("a batch norm without running statistics can't be folded")
    scale = (variance + norm.eps).rsqrt() if norm.weight is None else norm.weight * (variance + norm.eps).rsqrt()
    shift = -mean * scale if bias is None else (bias - mean) * scale
    convolution.weight = nn.Parameter(convolution.weight * scale[:, None, None, None], requires_grad=False)
    convolution.bias = nn.Parameter(shift if norm.bias is None else shift + norm.bias, requires_grad=False)


def _use_channels_last(convolution: nn.Conv2d) -> None:
    """Store the weights with channels innermost, with which convolutions are fastest."""
    weight = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    if convolution.bias is not None:
        convolution.bias.requires_grad = False
    if convolution.kernel_size == (1, 1):
        # With one thread torch uses other code for 1 x 1 kernels, with other last digits, unless they are dilated;
        # dilation does not change a kernel with a single tap. So one process with two threads predicts the same as
        # two processes with one thread each.
        convolution.dilation = (2, 2)


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(
        mine.device == theirs.device and mine.dtype == theirs.dtype and torch.equal(mine, theirs)
        for mine, theirs in zip(one.parameters(), other.parameters(), strict=True)
    )
