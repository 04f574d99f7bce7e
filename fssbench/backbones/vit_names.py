"""The weights of ViT's own release, arrays under the names of Flax, as those of its PyTorch form.

google-research/vision_transformer; the shapes of its arrays as FPTrans reads them (Jarvis73/FPTrans at 4a52926,
networks/vit.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from fssbench.backbones.networks import renamed

_PREFIX = "opt/target/"
_ATTENTION = "attn.qkv."
_RENAMED = (
    (r"^embedding/", "patch_embed.proj."),
    (r"^cls$", "cls_token"),
    (r"^Transformer/posembed_input/pos_embedding$", "pos_embed"),
    (r"^Transformer/encoder_norm/", "norm."),
    (r"^Transformer/encoderblock_(\d+)/", r"blocks.\1."),
    (r"LayerNorm_0/", "norm1."),
    (r"LayerNorm_2/", "norm2."),
    (r"MultiHeadDotProductAttention_1/out/", "attn.proj."),
    (r"MultiHeadDotProductAttention_1/(query|key|value)/", r"attn.\1."),
    (r"MlpBlock_3/Dense_0/", "mlp.fc1."),
    (r"MlpBlock_3/Dense_1/", "mlp.fc2."),
    (r"/", "."),
    (r"\.(kernel|scale)$", ".weight"),
)
_PART = re.compile(r"attn\.(query|key|value)\.")


def is_flax(state: Mapping[str, Tensor]) -> bool:
    """Return whether weights have the names of Flax."""
    return any(key.removeprefix(_PREFIX).startswith("Transformer/encoderblock_") for key in state)


def from_flax(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of ViT's release under the names, and in the shapes, of its PyTorch form.

    Args:
        state: Kernels are (inputs, outputs); of attention they have an axis of heads; convolutions (h, w, in, out).
    """
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        name = renamed(key.removeprefix(_PREFIX), _RENAMED)
        found[name] = _turned(value, name)
    for name in [name for name in found if _PART.search(name) and ".query." in name]:
        parts = [found.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        found[_PART.sub(_ATTENTION, name)] = torch.cat(parts)
    return found


def _turned(value: Tensor, name: str) -> Tensor:
    if _PART.search(name):
        return value.flatten() if name.endswith(".bias") else value.flatten(1).T
    if not name.endswith(".weight"):
        return value
    if value.ndim == 4:
        return value.permute(3, 2, 0, 1)
    if value.ndim == 3:
        return value.flatten(0, 1).T
    return value.T if value.ndim == 2 else value
