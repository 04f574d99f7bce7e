"""The page of a report: template, style and script, and what fills them in."""

from __future__ import annotations

from fssbench.reports.page.writing import render, write

__all__ = ["render", "write"]
