"""The methods by name. Their code, and torch, are imported only when one is built."""

from __future__ import annotations

from fssbench.methods.base.built import BuiltAs
from fssbench.methods.build_arguments import check_build, check_weak
from fssbench.methods.building import build
from fssbench.methods.catalogue import REGISTRY, MethodInfo, list_methods, method_info

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
