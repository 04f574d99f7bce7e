"""Convolution, frozen batch norm and ReLU as one step, for answers; training keeps the three as they are.

Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1: with frozen statistics the normalisation is linear, so
it goes into the weights of the convolution before it. In inference mode only: whoever wants a gradient, or moves
statistics, has the modules themselves, to the last bit.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Not an attribute of the convolution: it must neither enter a state dict nor be copied or pickled with the module.
_FOLDED: WeakKeyDictionary[nn.Conv2d, tuple[object, Tensor, Tensor | None]] = WeakKeyDictionary()


def answering() -> bool:
    """Return whether only the answer is wanted, so that steps may be joined and memory used again."""
    return torch.is_inference_mode_enabled()


def convolve(
    x: Tensor,
    convolution: nn.Conv2d,
    norm: nn.BatchNorm2d | None = None,
    *,
    relu: bool = False,
    padding: int | None = None,
) -> Tensor:
    """Return a convolution of maps (B, C, h, w), followed by batch norm and ReLU where asked.

    Args:
        x: The maps; they stay as they are.
        convolution: Of zero padding.
        norm: The batch norm behind it.
        relu: Whether a ReLU follows.
        padding: Another padding than the convolution's own, when answering.
    """
    if not answering() or (norm is not None and norm.training):
        out: Tensor = convolution(x) if norm is None else norm(convolution(x))
        return F.relu(out) if relu else out
    weight, bias = folded(convolution, norm)
    around = convolution.padding if padding is None else padding
    # One thread alone takes other code for 1 x 1 kernels, with other last digits, unless they are dilated: which says
    # nothing of a single tap. So one process of two threads and two processes of one answer the same.
    dilation = (2, 2) if convolution.kernel_size == (1, 1) else convolution.dilation
    out = F.conv2d(x, weight, bias, convolution.stride, around, dilation, convolution.groups)
    return out.relu_() if relu else out


def run(layers: nn.Module, x: Tensor) -> Tensor:
    """Return what layers one behind the other, the children of an `nn.Sequential`, make of maps (B, C, h, w)."""
    if not answering():
        out: Tensor = layers(x)
        return out
    waiting = list(layers.children())
    while waiting:
        layer = waiting.pop(0)
        if isinstance(layer, nn.Conv2d):
            norm = waiting.pop(0) if waiting and isinstance(waiting[0], nn.BatchNorm2d) else None
            relu = bool(waiting) and isinstance(waiting[0], nn.ReLU)
            if relu:
                waiting.pop(0)
            x = convolve(x, layer, norm if isinstance(norm, nn.BatchNorm2d) else None, relu=relu)
        else:
            x = layer(x)
    return x


def channels_last(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) laid out as convolutions are fastest, with channels innermost, when answering."""
    return x.contiguous(memory_format=torch.channels_last) if answering() else x


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor | None]:
    """Return weight and bias of the convolution that does both; computed again when a parameter has changed."""
    parts = [convolution.weight, convolution.bias]
    if norm is not None:
        # The counter of batches stands for the statistics: moving them does not count as a change of theirs.
        parts += [norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked]
    state = tuple(None if part is None else _version(part) for part in parts)
    known = _FOLDED.get(convolution)
    if known is None or known[0] != state:
        known = (state, *_fold(convolution, norm))
        _FOLDED[convolution] = known
    return known[1], known[2]


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor | None]:
    weight, bias = convolution.weight, convolution.bias
    if norm is not None:
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            raise TypeError("a batch norm without running statistics can't be folded")
        scale = (variance + norm.eps).rsqrt() if norm.weight is None else norm.weight * (variance + norm.eps).rsqrt()
        shift = -mean * scale if bias is None else (bias - mean) * scale
        bias = shift if norm.bias is None else shift + norm.bias
        weight = weight * scale[:, None, None, None]
    return weight.detach().contiguous(memory_format=torch.channels_last), None if bias is None else bias.detach()


def _version(tensor: Tensor) -> tuple[int, int, torch.dtype, torch.device]:
    # Tensors made in inference mode count no versions, and can be changed there alone.
    version = -1 if tensor.is_inference() else tensor._version
    return tensor.data_ptr(), version, tensor.dtype, tensor.device
