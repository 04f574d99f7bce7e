"""What each episode has and what each method makes of it: the classes one by one, from exact counts of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from fssbench.errors import BrokenFileError
from fssbench.label_values import IGNORE
from fssbench.progress import tracked
from fssbench.reports.errors import Category, Pixels, category_of
from fssbench.reports.runs import Compared, Key
from fssbench.results.scoring import score_labels

if TYPE_CHECKING:
    import numpy.typing as npt

    from fssbench.datasets.dataset import Label
    from fssbench.reports.predictions import Predicted
    from fssbench.reports.scene import Scene
    from fssbench.results.rows import Row
    from fssbench.results.scoring import Truth

BAND = 0.02
"""Half the width of the band along the true outline, as a part of the diagonal: that of Boundary IoU (Cheng et al.,
CVPR 2021)."""
_PART = 0.01
"""A connected part of an object with a smaller share of its pixels is a speck."""


@dataclass(frozen=True)
class Object:
    """A class of an episode in its query.

    Attributes:
        pixels: Pixels of the class where pixels are counted.
        counted: All counted pixels.
        size: Share of the query that the class has at the original size, in per cent.
        parts: Number of connected parts, without specks: several instances, or one behind something.
        cut: Whether it reaches the border of the query.
    """

    pixels: int
    counted: int
    size: float
    parts: int
    cut: bool


@dataclass(frozen=True)
class Case:
    """One class of one episode.

    Attributes:
        key: The episode.
        place: The place of the class in the episode, from 0.
        class_id: Its label value.
        present: Whether it is in the query.
        ious: The IoU of each method in per cent; 100 if the class is neither there nor predicted, NaN if it is not
            counted.
        found: What masks show; None if the masks are not here.
        categories: The kind of error of each method; None if it is not known.
        similarity: How alike query and supports are (`fssbench.reports.similarity`); None if it is not known.
        by_counts: `categories` as the rows alone tell them, so that methods whose predictions are known can be compared
            with others.
    """

    key: Key
    place: int
    class_id: int
    present: bool
    ious: tuple[float, ...]
    found: Object | None = None
    categories: tuple[Category | None, ...] = ()
    similarity: float | None = None
    by_counts: tuple[Category | None, ...] = ()


def plain_cases(runs: Compared) -> list[Case]:
    """Return the cases as the rows alone have them."""
    cases = []
    for key in runs.keys:
        rows = [method.rows[key] for method in runs.methods]
        for place, class_id in enumerate(rows[0].classes):
            ious = tuple(iou_of(row, place) for row in rows)
            cases.append(Case(key, place, class_id, rows[0].truth[place], ious))
    return cases


def iou_of(row: Row, place: int) -> float:
    """Return the IoU of a class of an episode, in per cent."""
    if is_lost(row, place):
        return float("nan")
    union = row.union[place + 1]
    return 100.0 * row.intersection[place + 1] / union if union else 100.0


def is_lost(row: Row, place: int) -> bool:
    """Return whether a class is in the query, but lost its last pixel where pixels are counted."""
    return row.lost_query is not None and row.lost_query[place]


def with_masks(
    cases: Sequence[Case],
    runs: Compared,
    scene: Scene,
    predicted: Sequence[Mapping[Key, Predicted]] = (),
) -> list[Case]:
    """Return the cases with what the masks of the queries show.

    Args:
        cases: From `plain_cases`.
        runs: The runs.
        scene: Their data.
        predicted: The predictions of each method that are known and belong to its rows.

    Raises:
        MissingError: If a mask is missing.
        BrokenFileError: If a mask can't be read, or the counts of a row do not fit it.
    """
    by_key: dict[Key, list[Case]] = {}
    for case in cases:
        by_key.setdefault(case.key, []).append(case)
    found = []
    for key in tracked(list(by_key), "reading masks", "episodes"):
        rows = [method.rows[key] for method in runs.methods]
        known_maps = any(key in one and one[key].verified for one in predicted)
        if not known_maps and all(case.found is not None and case.categories for case in by_key[key]):
            found += by_key[key]
            continue
        label = scene.label(rows[0])
        truth = scene.truth(rows[0], label)
        for case in by_key[key]:
            seen = case.found or object_in(label, truth.label, case.class_id, scene)
            known = [one.get(key) for one in predicted] or [None] * len(rows)
            by_counts = tuple(_category(row, case, seen, truth, None) for row in rows)
            categories = tuple(
                counted if one is None else _category(row, case, seen, truth, one)
                for row, one, counted in zip(rows, known, by_counts, strict=True)
            )
            found.append(replace(case, found=seen, categories=categories, by_counts=by_counts))
    return found


def object_in(label: Label, counted: Label, class_id: int, scene: Scene) -> Object:
    """Return what a class is in a query.

    Args:
        label: The label map at the original size, (H, W).
        counted: The label map on which pixels are counted.
        class_id: The class.
        scene: The data and its rules.
    """
    mask = (label == class_id).astype(np.uint8)
    _, _, sizes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = sizes[1:, cv2.CC_STAT_AREA]
    cut = bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    kept = counted_pixels(counted, scene)
    return Object(
        pixels=int(((counted == class_id) & kept).sum()),
        counted=int(kept.sum()),
        size=100.0 * float(mask.mean()),
        parts=int((areas >= _PART * areas.sum()).sum()),
        cut=cut,
    )


def counted_pixels(label: Label, scene: Scene) -> npt.NDArray[np.bool_]:
    """Return where pixels of a label map are counted, bool (H, W)."""
    if scene.rules.ignore == "leave-out" and label.dtype == np.uint8:
        kept: npt.NDArray[np.bool_] = label != IGNORE
        return kept
    return np.ones(label.shape, dtype=np.bool_)


def _category(row: Row, case: Case, seen: Object, truth: Truth, known: Predicted | None) -> Category | None:
    hit, union = row.intersection[case.place + 1], row.union[case.place + 1]
    if is_lost(row, case.place) or (not seen.pixels and not union and case.present):
        return None
    if not hit <= seen.pixels <= max(union, 0 if case.present else union):
        raise BrokenFileError(
            f"fold {row.fold}, episode {row.episode}: the mask of {row.query} has {seen.pixels} pixels of class "
            f"{case.class_id}, which do not fit the counts of the run"
        )
    pixels = Pixels(seen.counted, seen.pixels, union + hit - seen.pixels, hit)
    if known is not None and known.verified:
        pixels = with_places(pixels, known.labels, truth.label, case)
    return category_of(pixels)


def with_places(pixels: Pixels, labels: npt.NDArray[np.uint8], truth: Label, case: Case) -> Pixels:
    """Return counts with where the wrong pixels are.

    Args:
        pixels: The counts of a class.
        labels: The predicted label map (H, W).
        truth: The label map on which pixels are counted, (H, W).
        case: The class.
    """
    mask, chosen = truth == case.class_id, labels == case.place + 1
    known = truth != IGNORE if truth.dtype == np.uint8 else np.ones(truth.shape, dtype=np.bool_)
    other = int((chosen & known & ~mask & (truth != 0)).sum())
    if not pixels.truth:
        return replace(pixels, other=other, far=pixels.predicted)
    far = (mask != chosen) & known & (distance_to_outline(mask) > band_of(truth.shape))
    return replace(pixels, other=other, far=int(far.sum()))


def band_of(shape: tuple[int, ...]) -> float:
    """Return half the width of the band along an outline, in pixels."""
    return max(1.0, round(BAND * float(np.hypot(shape[0], shape[1]))))


def distance_to_outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return the distance of each pixel to the other side of a mask, float32 (H, W), in pixels."""
    inside = mask.astype(np.uint8)
    near = cv2.distanceTransform(inside, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    return np.asarray(near, dtype=np.float32)


def matches_row(row: Row, predicted: Predicted, truth: Truth, scene: Scene) -> bool:
    """Return whether a prediction has exactly the counts of its row."""
    base_classes = scene.base_classes(row.fold)
    counts, base = score_labels(predicted.labels, predicted.base, truth.label, row.classes, base_classes, scene.rules)
    end = len(row.classes) + 1
    return (
        counts.intersection[:end] == row.intersection
        and counts.union[:end] == row.union
        and (row.base is None or base is None or set(base) == set(row.base))
    )
