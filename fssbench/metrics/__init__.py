"""From rows to metrics: counts -> fold_counts -> runs -> bootstrap and intervals -> summary."""

from __future__ import annotations

from fssbench.metrics.intervals import Interval
from fssbench.metrics.summary import COLUMNS, DRAWS, LEVEL, FoldSummary, Scores, Summary, summarise

__all__ = ["COLUMNS", "DRAWS", "LEVEL", "FoldSummary", "Interval", "Scores", "Summary", "summarise"]
