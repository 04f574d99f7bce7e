"""Resizing label maps to the network's input size, and the masks of supports, without torch.

The rules are those of `fssbench.protocols.transforms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from fssbench.errors import UsageError
from fssbench.label_values import IGNORE
from fssbench.protocols.rules import ResizeRule
from fssbench.protocols.transforms import framed_shape, padded_shape

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Label

OTHER_CLASS = 254
"""Value of a support mask where another class of the episode is that belongs to neither side of the mask."""


def input_label(label: Label, size: tuple[int, int], rule: ResizeRule = "pillow-bilinear") -> Label:
    """Return a label map at the input size, aligned with the result of `input_image`.

    Args:
        label: uint8 or uint16 (H, W).
        size: (height, width) of the input.
        rule: How it is resized; the rules that pad fill with 255.

    Raises:
        UsageError: If it is not such a map, or the rule can't resize it to that size.
    """
    if rule == "pillow-bilinear":
        return nearest_label(label, size)
    _check_label(label)
    if rule == "none":
        return label
    if rule == "opencv-pad-squeezed":
        return _framed_label(label, size, IGNORE)
    if rule in ("opencv", "opencv-scaled", "opencv-rounded"):
        return _nearest_by_opencv(label, size)
    if rule != "opencv-pad":
        height, width = size
        resized = PillowImage.fromarray(label).resize((width, height), PillowImage.Resampling.NEAREST)
        return np.array(resized, dtype=label.dtype)
    return _padded_label(label, size)


def counted_label(label: Label, size: tuple[int, int], rule: ResizeRule = "pillow-bilinear") -> Label:
    """Return the label map on which IoU is counted at the original size.

    Args:
        label: uint8 or uint16 (H, W), at the original size of the query.
        size: (height, width) of the input.
        rule: How images are resized. Two rules change the label map, to the input size and back: "pillow-and-back",
            and "opencv-pad-squeezed" with the padding, which is 0.
    """
    if rule == "opencv-pad-squeezed":
        square = _framed_label(label, size, 0)
        down, across = (_nearest_exact(side, length) for side, length in zip(size, label.shape, strict=True))
        return square[down[:, None], across]
    if rule != "pillow-and-back":
        return label
    height, width = label.shape
    return nearest_label(input_label(label, size, rule), (height, width))


def _padded_label(label: Label, size: tuple[int, int]) -> Label:
    height, width = padded_shape((label.shape[0], label.shape[1]), size)
    square = np.full(size, IGNORE, dtype=label.dtype)
    square[:height, :width] = _nearest_by_opencv(label, (height, width))
    return square


def _nearest_by_opencv(label: Label, size: tuple[int, int]) -> Label:
    import cv2

    height, width = size
    resized = cv2.resize(label.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized).astype(label.dtype)


def _framed_label(label: Label, size: tuple[int, int], fill: int) -> Label:
    import cv2

    height, width = framed_shape((label.shape[0], label.shape[1]), size)
    square = np.full(size, fill, dtype=label.dtype)
    square[:height, :width] = cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST)
    return square


def ignored_pixels(label: Label, size: tuple[int, int], rule: ResizeRule, *, rim: bool) -> npt.NDArray[np.bool_]:
    """Return the padding of an image and, with `rim`, its ignore region, at the input size.

    Args:
        label: uint8 (H, W), 255 = ignore; or uint16 (H, W), where 255 is a class like any other.
        size: (height, width) of the input.
        rule: How it is resized.
        rim: Whether pixels labelled 255 are included.

    Returns:
        bool (height, width).
    """
    known = label if rim and label.dtype == np.uint8 else np.zeros_like(label)
    ignored: npt.NDArray[np.bool_] = input_label(known, size, rule) == IGNORE
    return ignored


def nearest_label(label: Label, size: tuple[int, int]) -> Label:
    """Return a label map at another size, by nearest neighbour.

    Args:
        label: uint8 or uint16 (H, W).
        size: (height, width).

    Returns:
        (height, width) of the same dtype, equal to `F.interpolate(..., mode="nearest")` of the map in float32, which
        represents each label value exactly.

    Raises:
        UsageError: If it is not such a map.
    """
    _check_label(label)
    down, across = (_nearest(length, target) for length, target in zip(label.shape, size, strict=True))
    return label[down[:, None], across]


def _nearest(length: int, size: int) -> npt.NDArray[np.int64]:
    """Return the index in 0..length - 1 that torch takes for each of `size` output pixels; its scale is a float32."""
    scale = np.float32(length) / np.float32(size)
    places: npt.NDArray[np.float32] = np.floor(np.arange(size, dtype=np.float32) * scale)
    return np.minimum(places, length - 1).astype(np.int64)


def _nearest_exact(length: int, size: int) -> npt.NDArray[np.int64]:
    """Return the index in 0..length - 1 that torch's "nearest-exact" takes for each of `size` output pixels."""
    scale = np.float64(np.float32(length) / np.float32(size))
    # Torch fuses product and difference, and rounds to float32 once.
    centres = ((np.arange(size) + 0.5) * scale - 0.5).astype(np.float32)
    places: npt.NDArray[np.float32] = np.floor(centres + np.float32(0.5))
    return np.minimum(places, length - 1).astype(np.int64)


def _check_label(label: Label) -> None:
    if label.dtype not in (np.uint8, np.uint16) or label.ndim != 2:
        raise UsageError(f"a label map must be uint8 or uint16 (H, W), not {label.dtype} {label.shape}")


def support_mask(
    label: Label,
    class_id: int,
    size: tuple[int, int],
    rule: ResizeRule = "pillow-bilinear",
    others: Sequence[int] = (),
) -> npt.NDArray[np.uint8]:
    """Return the mask of one class at the input size.

    HSNet's and iFSL's releases resize before they make the mask binary, PFENet's after it. With nearest neighbour, the
    result is the same.

    Args:
        label: uint8 (H, W), 255 = ignore; or uint16 (H, W), where 255 is a class like any other (FSS-1000).
        class_id: The label value of the class.
        size: (height, width) of the input.
        rule: How it is resized, as for `input_label`.
        others: Label values that are neither foreground nor background of the mask.

    Returns:
        uint8 (height, width): 1 for the class, 255 where a uint8 label is 255 or padding, `OTHER_CLASS` for one of
        `others`, 0 elsewhere. Each method decides how it uses 255; HSNet, ASNet and PFENet take it as background.

    Raises:
        UsageError: If `class_id` can't be a class of such a map.
    """
    resized = input_label(label, size, rule)
    has_ignore = label.dtype == np.uint8
    largest = IGNORE - 1 if has_ignore else np.iinfo(label.dtype).max
    if not 1 <= class_id <= largest:
        raise UsageError(f"a class must be a label value from 1 to {largest}, not {class_id}")
    mask: npt.NDArray[np.uint8] = (resized == class_id).astype(np.uint8)
    for other in others:
        mask[resized == other] = OTHER_CLASS
    if has_ignore:
        mask[resized == IGNORE] = IGNORE
    return mask
