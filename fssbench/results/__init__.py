"""Results: the rows of a run on disk, the record of the run, and reading both back."""

from __future__ import annotations

from fssbench.results.record import Run
from fssbench.results.rows import Row, read_rows
from fssbench.results.run_reader import Existing, Results, load_run, read_run

__all__ = ["Existing", "Results", "Row", "Run", "load_run", "read_rows", "read_run"]
