"""Two or more methods on the same episodes: the differences of their metrics, with intervals and significance tests."""

from __future__ import annotations

from fssbench.comparison.differences import Difference
from fssbench.comparison.paired import Comparison, Duel, Episodes, compare
from fssbench.comparison.pairing import Pairing, pair
from fssbench.comparison.permutation import holm
from fssbench.comparison.planned import SamplePlan
from fssbench.comparison.sample_size import plan

__all__ = ["Comparison", "Difference", "Duel", "Episodes", "Pairing", "SamplePlan", "compare", "holm", "pair", "plan"]
