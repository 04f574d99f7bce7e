"""Which ignored pixels may be an object."""

from __future__ import annotations

import numpy as np

from fssbench.datasets.ignore_region import has_unlabelled_region
from tests.datasets.trees import label_map


def test_an_ignored_region_is_a_rim_or_may_be_anything() -> None:
    rim = label_map((255, 10, 10, 40, 40), (3, 13, 13, 34, 34), size=(80, 80))
    assert not has_unlabelled_region(rim)
    island = rim.copy()
    island[70:75, 70:75] = 255
    assert has_unlabelled_region(island)
    assert not has_unlabelled_region(island.astype(np.uint16)), "255 is a class there"
    assert not has_unlabelled_region(np.zeros((5, 5), dtype=np.uint8))
