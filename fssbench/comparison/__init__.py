"""Two methods or more on the same questions: how far they differ, and how sure that is."""

from __future__ import annotations

from fssbench.comparison.paired import Comparison, Difference, Duel, Episodes, compare
from fssbench.comparison.pairing import Pairing, pair
from fssbench.comparison.permutation import holm

__all__ = ["Comparison", "Difference", "Duel", "Episodes", "Pairing", "compare", "holm", "pair"]
