"""Methods as narrow as they can be, whose random weights label some pixels and not others."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

import fssbench
from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import method_info
from fssbench.methods.oslsm import OSLSM
from fssbench.methods.seggpt import SegGPT

SIDE = 144
"""Side of the images at which they are narrow and quick."""
OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"width": 8} for name in ("pfenet", "ntrenet", "bam", "asgnet", "mmnet", "mmt", "canet", "rpmm", "scl")},
    "cyctr": {"width": 16},  # 8 heads; of one channel each, tokens tie for the nearest
    "sccan": {"width": 16, "side": 16, "blocks": 2},
    **{name: {"channels": (4, 8, 8)} for name in ("hsnet", "dcama")},
    "patnet": {"channels": (4, 8, 8), "steps": 2},
    **{name: {"channels": (16, 16)} for name in ("asnet", "asnet-hm")},
    "hdmnet": {"width": 8, "base_width": 8, "token_width": 8},
    "oslsm": {"codes": 40},
    **{name: dict(method_info(name).tried_with) for name in fssbench.list_methods() if method_info(name).tried_with},
    "mianet": {"width": 8, **method_info("mianet").tried_with},
}
_LAST = re.compile(
    r"(.*\.)?((?<!mix_transformer\.)cls\.3|mix_transformer\.cls\.4|cls_meta\.3|decoder2\.2|decoder\.2|mixer3\.2|layer9)"
)


def narrow(name: str, variant: str, way: int, shot: int) -> Method[Any, Any]:
    """Build a method on the small backbone, the bias of its last layer such that half of an image is foreground."""
    with torch.inference_mode(mode=False):
        torch.manual_seed(0)
        backbone = method_info(name).small_backbone_for(variant)
        method = fssbench.build(name, backbone, variant, way, shot, **OPTIONS.get(name, {}))
        images = torch.randn(1 + way * shot, 3, SIDE, SIDE)
        masks = torch.zeros(way, shot, SIDE, SIDE, dtype=torch.uint8)
        masks[:, :, 30:90, 40:110] = 1
        if (name in OPTIONS and method_info(name).trainable) or name == "seggpt":
            # SCL weights its shots by masks that the bias changes, too: one shot has the weight 1.
            used = 1 if name == "scl" else shot
            supports = images[1:].view(way, shot, 3, SIDE, SIDE)[:, :used]
            centre(method, name, method.segment(images[0], supports, masks[:, :used]).logits)
        return method


@torch.no_grad()
def centre(method: Method[Any, Any], name: str, logits: Tensor) -> None:
    """Move the bias of a method's last layer such that half of the pixels of these logits would be foreground."""
    if isinstance(method, OSLSM):
        # No layer ends in a bias: it is made of a code, which here nothing else is made of.
        place, sign = method.hashing.places[-1], method.hashing.signs[-1]
        assert not (method.hashing.places[:-1] == place).any()
        method.conditioning.fc8.bias[place] -= sign * logits[1].median()
        return
    if isinstance(method, SegGPT):
        # Its logits are a constant and the brightness of a colour.
        head = method.backbone.get_parameter("decoder.decoder_pred.head.bias")
        head -= (logits[1] - logits[0]).median() / (sum(method.std) / 3)
        return
    for bias in _last_biases(method):
        # BAM's and HDMNet's are probabilities, of which the difference is half as large; RPMM's of K shots are three
        # fifths of them.
        share = {"bam": 2.0, "hdmnet": 2.0, "rpmm": 10 / 3 if method.shot > 1 else 1.0}.get(name, 1.0)
        # CANet's may be sums over scales.
        bias[1] -= (logits[1] - logits[0]).median() * share / len(getattr(method, "scales", (1,)))


@torch.no_grad()
def without_offset(method: Method[Any, Any], logits: Tensor) -> None:
    """Take what these logits have in common off the bias of a method's last layer."""
    for bias in _last_biases(method):
        bias -= logits.mean()


def _last_biases(method: Method[Any, Any]) -> list[Tensor]:
    last = [part for path, part in method.named_modules() if _LAST.fullmatch(path)]
    assert last
    biases = []
    for layer in last:
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        biases.append(layer.bias)
    return biases
