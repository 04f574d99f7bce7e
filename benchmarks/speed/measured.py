"""Where measurements go: printed, and as a row of a CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


def keep(row: Mapping[str, object], out: Path | None) -> None:
    """Print a row, and add it to a CSV where one is given; a new one gets its header first."""
    print("\n".join(f"{key}: {value}" for key, value in row.items()))
    if out is None:
        return
    new = not out.exists()
    with out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
