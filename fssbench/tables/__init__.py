"""Comparison tables like the papers': printed and measured results, laid out once, drawn in several formats."""

from __future__ import annotations

from fssbench.tables.compare import FORMATS, Comparison, compare, render

__all__ = ["FORMATS", "Comparison", "compare", "render"]
