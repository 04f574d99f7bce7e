"""Comparison tables like those in papers: printed and measured results, in several output formats."""

from __future__ import annotations

from fssbench.tables.compare import FORMATS, compare, render
from fssbench.tables.request import Comparison
from fssbench.tables.style import Style

__all__ = ["FORMATS", "Comparison", "Style", "compare", "render"]
