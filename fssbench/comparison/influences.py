"""How much each episode moves an mIoU, or a difference of two: its influence.

mIoU is a ratio of summed pixels for each class, then a mean. To first order an episode moves it by its influence
(Hampel, JASA 69, 1974). With I_c and U_c the sums of intersection and union of class c, and R_c = I_c / U_c, it is

    g_i = 100 / (F C) · Σ_c (I_ic - R_c U_ic) / U_c

for F folds of C classes each. In a difference of two methods on the same episodes, g_i is the difference of both
influences, so what is hard for both falls out. An image with many pixels pulls R_c to itself, so its influence looks
small; it is divided by √(1 - h), h the image's share of U_c (as in Bell and McCaffrey, Survey Methodology 28, 2002).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fssbench.metrics.counts import Floats, Integers

if TYPE_CHECKING:
    import pandas as pd

_LEAST = 0.05
"""An image that has nearly all pixels of its class is its own mean, and its influence can't be known."""


def influences(frame: pd.DataFrame, lengths: Mapping[int, int]) -> dict[tuple[int, int], Floats]:
    """Return the influence of each episode on the mean mIoU over the folds, by fold and class.

    Args:
        frame: The rows of a run (`fssbench.results.Row`).
        lengths: Episodes per run for each fold whose list holds several runs.

    Returns:
        For each (fold, class) the influences (E,) on the class's part of the mean, in percentage points.
    """
    folds = sorted({int(fold) for fold in frame["fold"]})
    queries = frame["query"].to_numpy(dtype=object)
    of_fold, number = frame["fold"].to_numpy(dtype=np.int64), frame["episode"].to_numpy(dtype=np.int64)
    found: dict[tuple[int, int], Floats] = {}
    for fold in folds:
        run = number // lengths[fold] if fold in lengths else np.zeros_like(number)
        runs = sorted({int(one) for one in run[of_fold == fold]})
        for one in runs:
            places = np.flatnonzero((of_fold == fold) & (run == one))
            counts: dict[int, list[tuple[int, int, int]]] = {}
            for place in places:
                row = frame.iloc[int(place)]
                for n, class_id in enumerate(row["classes"], 1):
                    counts.setdefault(int(class_id), []).append(
                        (int(place), int(row["intersection"][n]), int(row["union"][n]))
                    )
            for class_id, entries in counts.items():
                at, both, either = (np.array(column) for column in zip(*entries, strict=True))
                total = max(int(either.sum()), 1)
                moved = 100.0 / (len(folds) * len(runs) * len(counts)) * (both - both.sum() / total * either) / total
                moved /= np.sqrt(np.maximum(1.0 - _leverage(queries[at], either), _LEAST))
                np.add.at(found.setdefault((fold, class_id), np.zeros(len(frame))), at, moved)
    return found


def _leverage(queries: npt.NDArray[np.object_], pixels: Integers) -> Floats:
    """Return for each episode the share of the pixels of a class that all episodes of its query image have."""
    _, images = np.unique(queries.astype(str), return_inverse=True)
    return np.asarray((np.bincount(images, weights=pixels) / max(int(pixels.sum()), 1))[images], dtype=np.float64)


def difference(
    mine: Mapping[tuple[int, int], Floats], theirs: Mapping[tuple[int, int], Floats]
) -> dict[tuple[int, int], Floats]:
    """Return the influences on a difference of two methods on the same episodes."""
    return {key: theirs[key] - mine[key] for key in mine}


def class_ious(frame: pd.DataFrame, keys: Iterable[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """Return the IoU of each (fold, class) over all episodes, in per cent."""
    sums = {key: [0, 0] for key in keys}
    columns = zip(frame["fold"], frame["classes"], frame["intersection"], frame["union"], strict=True)
    for fold, classes, intersection, union in columns:
        for n, class_id in enumerate(classes, 1):
            found = sums[int(fold), int(class_id)]
            found[0] += int(intersection[n])
            found[1] += int(union[n])
    return {key: 100.0 * both / max(either, 1) for key, (both, either) in sums.items()}
