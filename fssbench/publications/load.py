"""The numbers that papers and official repositories printed, from benchmarks/published (its README explains them).

`publications()` needs only the standard library, so that tables start quickly; `published()` returns a pandas frame.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from fssbench.files import shipped
from fssbench.publications.rows import CSV_COLUMNS, FRAME_COLUMNS, NUMBERS, PrintedRow, Publications

if TYPE_CHECKING:
    import pandas as pd


@cache
def publications() -> Publications:
    """Return all printed numbers that are shipped with fssbench; they are read once, without pandas."""
    from fssbench.publications.reading import read_publications

    return read_publications(shipped("benchmarks/published"))


def record_of(known: Publications, row: PrintedRow) -> dict[str, str | int | float | None]:
    """Return a printed row with the data of its method and its source, by `FRAME_COLUMNS`."""
    paper, source = known.methods[row.method], known.sources[row.source]
    values = {
        **{column: getattr(row, column) for column in CSV_COLUMNS if column not in NUMBERS},
        "name": paper.name,
        "venue": paper.venue,
        "title": paper.title,
        "source_title": source.title,
        "source_venue": source.venue,
        "source_kind": source.kind,
        "source_place": source.place,
        **{column: float(row.numbers[column]) if column in row.numbers else None for column in NUMBERS},
    }
    return {column: values[column] for column in FRAME_COLUMNS}


def published() -> pd.DataFrame:
    """Return all printed numbers, a row per printed result.

    The columns are `FRAME_COLUMNS`: way and shot are Int64, percentages and learnable_params (millions) float64; NaN or
    <NA> if nothing was printed. The README of benchmarks/published explains them. name, venue and title belong to the
    method, source_title to source_place to the source.

    Raises:
        BrokenFileError: If a shipped file is damaged.

    Examples:
        >>> import fssbench
        >>> printed = fssbench.published()
        >>> rows = printed.query("method == 'hsnet' and dataset == 'pascal5i' and task == 'fss' and shot == 1")
        >>> rows.loc[rows["source"] == "ifsl-paper", ["backbone", "mean"]].values.tolist()
        [['resnet50', 64.0]]
    """
    import pandas as pd

    known = publications()
    records = [record_of(known, row) for row in known.rows]
    types = {"way": "Int64", "shot": "Int64", **dict.fromkeys(NUMBERS, "float64")}
    return pd.DataFrame.from_records(records, columns=FRAME_COLUMNS).astype(types)
