"""Networks of the transformers library by name (transformers_networks.toml), built with random weights."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.errors import unknown_name
from fssbench.extras import imported_extra

if TYPE_CHECKING:
    from types import ModuleType

Statistics = tuple[float, float, float]
"""One number for each of red, green and blue."""


@dataclass(frozen=True)
class Network:
    """A network of transformers.

    Attributes:
        name: e.g. "dinov3-vits16".
        family: e.g. "dinov3".
        model: transformers' class of the network.
        config_class: transformers' class of its configuration.
        config: The arguments of the configuration class.
        licence: Of its weights.
        mean: Mean of the images that it was trained on, for pixels in 0..1.
        std: Their standard deviation.
        hub: The repository of its weights on the Hugging Face hub; empty for a network of the tests.
        gated: Whether the hub asks for an account and the acceptance of the licence.
    """

    name: str
    family: str
    model: str
    config_class: str
    config: Mapping[str, Any]
    licence: str
    mean: Statistics
    std: Statistics
    hub: str = ""
    gated: bool = False


@cache
def networks() -> dict[str, Network]:
    """Return all networks by name, in the order of the file."""
    with Path(__file__).with_name("transformers_networks.toml").open("rb") as file:
        raw = tomllib.load(file)
    return {name: _read(name, fields, raw["families"]) for name, fields in raw["networks"].items()}


def _read(name: str, fields: Mapping[str, Any], families: Mapping[str, Mapping[str, Any]]) -> Network:
    family = families[fields["family"]]
    return Network(
        name=name,
        family=fields["family"],
        model=family["model"],
        config_class=family["config"],
        config=dict(family["common"]) | fields["config"],
        licence=family["licence"],
        mean=tuple(family["mean"]),
        std=tuple(family["std"]),
        hub=fields.get("hub", ""),
        gated=fields.get("gated", False),
    )


def network(name: str) -> Network:
    """Return a network by name.

    Raises:
        UsageError: If there is none, with the nearest names.
    """
    if name not in networks():
        raise unknown_name("network", name, networks())
    return networks()[name]


def transformers_library() -> ModuleType:
    """Import transformers.

    Raises:
        MissingError: If it is not installed, with the command that installs it.
    """
    return imported_extra("transformers", "this backbone is built by transformers, which can't be imported", "hub")


def built(chosen: Network) -> nn.Module:
    """Return transformers' network with random weights, in eval mode; nothing is downloaded.

    Raises:
        MissingError: If transformers is not installed.
    """
    library = transformers_library()
    config = getattr(library, chosen.config_class)(**chosen.config)
    made: nn.Module = getattr(library, chosen.model)(config)
    return made.eval()


def renamed(key: str, rules: Sequence[tuple[str, str]]) -> str:
    """Return the name of a weight under which transformers has it.

    Args:
        key: The name in a file.
        rules: Regular expressions, and what replaces them; in this order.
    """
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """Return images (B, C, H, W) in another size: bilinear, not antialiased; at that size they stay as they are."""
    if (height, width) == tuple(image.shape[-2:]):
        return image
    return F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
