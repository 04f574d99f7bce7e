"""What follows from the rows of a run, in columns of a frame: the IoU and the name of each class."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fssbench.results.record import Run
from fssbench.results.rows import Row, frame_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("class_names", "iou")
"""The columns that are not stored."""


def frame_of_run(rows: Iterable[Row], run: Run) -> pd.DataFrame:
    """Return the rows of a run as `frame_of` does, with the columns `class_names` and `iou`.

    `class_names` has the names of the N classes, or their label values if the run does not record names. `iou` has the
    IoU of each in this episode alone in per cent, NaN if it is neither there nor predicted. mIoU is not the mean of
    these, but comes from the summed counts of each class (`fssbench.summarise`).
    """
    import pandas as pd

    frame = frame_of(rows)
    known = {fold.fold: run.class_names(fold.fold) for fold in run.folds}
    names = [
        tuple(known.get(fold, {}).get(class_id, str(class_id)) for class_id in classes)
        for fold, classes in zip(frame["fold"], frame["classes"], strict=True)
    ]
    ious = [
        tuple(iou(both, either) for both, either in zip(intersection[1:], union[1:], strict=True))
        for intersection, union in zip(frame["intersection"], frame["union"], strict=True)
    ]
    derived = {"class_names": names, "iou": ious}
    # As objects: pandas would make several columns of tuples of one length.
    return frame.assign(**{name: pd.Series(derived[name], index=frame.index, dtype="object") for name in COLUMNS})


def by_class(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each class of each episode: fold, episode, query, class, class name, IoU and its pixel counts.

    Args:
        frame: From `frame_of_run`.
    """
    import pandas as pd

    columns = ("fold", "episode", "query", "class", "class_name", "iou", "intersection", "union", "present", "truth")
    lines = [
        (
            *(row["fold"], row["episode"], row["query"], class_id, row["class_names"][place], row["iou"][place]),
            *(row["intersection"][place + 1], row["union"][place + 1], row["present"][place], row["truth"][place]),
        )
        for row in frame.to_dict("records")
        for place, class_id in enumerate(row["classes"])
    ]
    return pd.DataFrame(lines, columns=list(columns))


def iou(intersection: int, union: int) -> float:
    """Return intersection over union in per cent; NaN if the union is empty."""
    # One object for every NaN: tuples with it are equal, and so are frames of the same rows.
    return 100.0 * intersection / union if union else math.nan
