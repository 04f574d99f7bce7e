"""Whose weights these are, told by their names: what to say where they do not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_NETWORKS = (
    ("asnet", r"\.attn\.qhead\."),
    ("hsnet", r"^(hpn_)?learner\.encoder_layer4\.0\.conv1\."),
    ("bam", r"^learner_base\."),
    ("ntrenet", r"^bg_prototype$"),
    ("mmt", r"^memory\."),
    ("asgnet", r"^corr_conv\."),
    ("pfenet", r"^(learner\.)?init_merge\.0\.0\."),
)
"""A name that only the network's weights have, looked for in this order."""

_FSCS = {"hsnet": r"^learner\.", "pfenet": r"^learner\."}
"""Where the two forms of a network are named differently: a name that the FS-CS form has."""

_LAYER3 = re.compile(r"^(backbone\.layer3|layer3|backbone3)\.\d+\.conv1\.weight$")
"""The blocks of a ResNet's third stage, whose number tells its depth, in the methods' names for it."""


def why(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Say in words what differs between the weights a method has and those it was given; "" where it can't be told."""
    ours, theirs = _backbone(own), _backbone(given)
    if ours and theirs and ours != theirs:
        return f"they are for {theirs}, the method was built with {ours}"
    network, other = _network(own), _network(given)
    if not network or not other:
        return ""
    if network != other:
        return f"they are of {other}, not of {network}"
    variant, other_variant = _variant(own, network), _variant(given, network)
    if variant != other_variant:
        return f"they are of variant {other_variant}, the method was built as variant {variant}"
    return ""


def _backbone(state: Mapping[str, Tensor]) -> str:
    # VGG's convolutions have a bias; a ResNet's have none.
    if any(key.startswith("backbone.features.") for key in state) or "layer0.0.bias" in state:
        return "vgg16"
    if any(key.startswith("backbone.stem.") for key in state):
        return "small"
    depth = sum(_LAYER3.match(key) is not None for key in state)
    return {6: "resnet50", 23: "resnet101"}.get(depth, "")


def _network(state: Mapping[str, Tensor]) -> str:
    return next((name for name, marker in _NETWORKS if any(re.search(marker, key) for key in state)), "")


def _variant(state: Mapping[str, Tensor], network: str) -> str:
    if network not in _FSCS:
        return ""
    return "fscs" if any(re.search(_FSCS[network], key) for key in state) else "fss"
