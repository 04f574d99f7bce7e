"""The ignore region of a label map: rims of labelled objects, or regions in which an object has no label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fssbench.label_values import IGNORE

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Label

_RIM = 8
"""Ignored pixels that are so near to a labelled object belong to its rim; in VOC rims are 5 pixels wide."""


def has_unlabelled_region(label: Label) -> bool:
    """Return whether a label map (H, W) has ignored pixels that are not within `_RIM` pixels of a labelled object."""
    if label.dtype != np.uint8:
        return False  # 255 is a class there
    ignored = label == IGNORE
    if not ignored.any():
        return False
    import cv2

    objects = ((label > 0) & ~ignored).astype(np.uint8)
    near = cv2.dilate(objects, np.ones((2 * _RIM + 1, 2 * _RIM + 1), dtype=np.uint8))
    return bool((ignored & (near == 0)).any())
