"""The rules of evaluation protocols: rules.py reads protocols.toml, transforms.py and label_maps.py apply them."""

from __future__ import annotations

from fssbench.protocols.rules import BaseRule, Protocol, ResizeRule, list_protocols, protocol

__all__ = ["BaseRule", "Protocol", "ResizeRule", "list_protocols", "protocol"]
