"""The numbers that papers and official repositories printed, from benchmarks/published (its README explains them)."""

from __future__ import annotations

from fssbench.publications.load import publications, published, record_of
from fssbench.publications.rows import FRAME_COLUMNS, NUMBERS, Paper, PrintedRow, ProtocolNote, Publications, Source

__all__ = [
    "FRAME_COLUMNS",
    "NUMBERS",
    "Paper",
    "PrintedRow",
    "ProtocolNote",
    "Publications",
    "Source",
    "publications",
    "published",
    "record_of",
]
