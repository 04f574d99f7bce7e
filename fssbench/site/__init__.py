"""A static site of printed and measured results: a leaderboard that any web server, or a folder, can hold."""

from __future__ import annotations

from fssbench.site.gather import Result, gather
from fssbench.site.writing import Site, write

__all__ = ["Result", "Site", "gather", "write"]
