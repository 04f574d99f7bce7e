"""Networks of the transformers library by name (transformers_networks.toml), built with random weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.errors import MissingError, unknown_name

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

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
    try:
        import transformers
    except ImportError as error:
        raise MissingError(
            f"this backbone is built by transformers, which can't be imported: {error}", "pip install 'fssbench[hub]'"
        ) from error
    return transformers


def built(chosen: Network) -> nn.Module:
    """Return transformers' network with random weights, in eval mode; nothing is downloaded.

    Raises:
        MissingError: If transformers is not installed.
    """
    library = transformers_library()
    config = getattr(library, chosen.config_class)(**chosen.config)
    made: nn.Module = getattr(library, chosen.model)(config)
    return made.eval()
