"""Comparison tables like those in papers: printed and measured results, in several output formats."""

from __future__ import annotations

from fssbench.tables.compare import FORMATS, Comparison, compare, render

__all__ = ["FORMATS", "Comparison", "compare", "render"]
