"""What a lower precision than float32 changes, as measured by benchmarks/speed/precision.py."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.results.record import Run


def describe_precision(run: Run) -> str:
    """Return the precision of a run, and how many labels that precision changes where this was measured.

    What was measured of a method with one backbone, on one device, is said of it with others too, and named.
    """
    text = f"computed in {run.precision}"
    rows = [one for one in _measured() if (one["method"], one["precision"]) == (run.method.name, run.precision)]
    if not rows:
        return f"{text}; how many labels that changes was not measured for this method"
    one = next((row for row in rows if row["backbone"] == run.method.backbone), rows[0])
    share = 100 * int(one["changed_pixels"]) / int(one["pixels"])
    where = f"{one['backbone']}, {one['episodes']} episodes of shapes20i, {one['device']}"
    return f"{text}, which changed {share:.2f} % of labels where it was measured ({where})"


@cache
def _measured() -> list[dict[str, str]]:
    text = files("fssbench.tables").joinpath("precisions.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
