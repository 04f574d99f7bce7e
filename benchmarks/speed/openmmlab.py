"""What HDMNet's release imports of mmcv 1.6 and mmseg 0.27, in plain torch: so it runs without either."""

from __future__ import annotations

import sys
import types
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS = {"GELU": nn.GELU, "ReLU": nn.ReLU}


def stand_in() -> None:
    """Put the modules where the release looks for them."""
    parts: dict[str, dict[str, object]] = {
        "mmcv": {},
        "mmcv.cnn": {
            "Conv2d": nn.Conv2d,
            "ConvModule": _ConvModule,
            "build_activation_layer": lambda chosen: ACTIVATIONS[chosen["type"]](),
            "build_norm_layer": _norm,
        },
        "mmcv.cnn.bricks": {},
        "mmcv.cnn.bricks.drop": {"build_dropout": lambda _chosen: nn.Identity()},
        "mmcv.cnn.bricks.transformer": {"MultiheadAttention": _Attention},
        "mmcv.cnn.utils": {},
        "mmcv.cnn.utils.weight_init": dict.fromkeys(("constant_init", "normal_init", "trunc_normal_init")),
        "mmcv.runner": {"BaseModule": _Module, "ModuleList": nn.ModuleList, "Sequential": nn.Sequential},
        "mmseg": {},
        "mmseg.models": {},
        "mmseg.models.utils": {"PatchEmbed": _PatchEmbed, "nchw_to_nlc": _tokens, "nlc_to_nchw": _map},
        "mmseg.ops": {"resize": _resize},
    }
    for name, members in parts.items():
        made = sys.modules[name] = types.ModuleType(name)
        made.__dict__.update(members)


class _Module(nn.Module):
    def __init__(self, init_cfg: object = None) -> None:
        super().__init__()
        self.init_cfg = init_cfg


class _Attention(nn.Module):
    """What MultiheadAttention leaves to its subclass in the release: the dropouts after it."""

    def __init__(self, *_arguments: object, proj_drop: float = 0.0, **_options: object) -> None:
        super().__init__()
        self.proj_drop, self.dropout_layer = nn.Dropout(proj_drop), nn.Identity()


class _ConvModule(nn.Module):
    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        norm_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, stride, padding, bias=False)
        self.bn = _norm(norm_cfg or {"type": "BN"}, outputs)[1]
        self.activate = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.bn(self.conv(x)))


class _PatchEmbed(nn.Module):
    def __init__(
        self, in_channels: int, embed_dims: int, kernel_size: int, stride: int, padding: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, embed_dims, kernel_size, stride, padding)
        self.norm = _norm(norm_cfg, embed_dims)[1]

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        x = self.projection(x)
        return self.norm(_tokens(x)), (x.shape[2], x.shape[3])


def _norm(chosen: dict[str, Any], width: int) -> tuple[str, nn.Module]:
    eps = chosen.get("eps", 1e-5)
    return ("ln", nn.LayerNorm(width, eps)) if chosen["type"] == "LN" else ("bn", nn.BatchNorm2d(width, eps))


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2).contiguous()


def _map(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x.transpose(1, 2).reshape(len(x), -1, *size).contiguous()


def _resize(
    input: Tensor,  # noqa: A002 - the name of the release's calls
    size: tuple[int, int] | None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    **_options: object,
) -> Tensor:
    return F.interpolate(input, size, scale_factor, mode, align_corners)
