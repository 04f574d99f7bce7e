"""The methods by name. Their code, and torch, are imported only when one is built."""

from __future__ import annotations

from fssbench.methods.base.built import BuiltAs
from fssbench.methods.building import build
from fssbench.methods.catalogue import REGISTRY, MethodInfo, check_build, check_weak, list_methods, method_info

__all__ = [
    "REGISTRY",
    "BuiltAs",
    "MethodInfo",
    "build",
    "check_build",
    "check_weak",
    "list_methods",
    "method_info",
]
