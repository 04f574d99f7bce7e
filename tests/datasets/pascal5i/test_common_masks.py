"""The table of the common copy's masks, held against the copy."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np

from fssbench.datasets.io.images import read_label
from fssbench.datasets.pascal5i import common_masks as common
from fssbench.datasets.pascal5i.dataset import facts


def test_the_table_has_the_whole_set() -> None:
    masks = common.common_masks()
    assert len(masks) == facts().official.masks
    assert list(masks) == sorted(masks)
    assert Counter(mask.source for mask in masks.values()) == {"voc": 2913, "sbd": 9118}
    assert len({mask.hash for mask in masks.values()}) == len(masks)
    assert {len(mask.hash) for mask in masks.values()} == {common.HASH_DIGITS}
    path = Path(common.__file__).with_name(common.TABLE)
    assert path.stat().st_size < 300_000
    assert gzip.decompress(path.read_bytes()).startswith(b"name,source,hash\n2007_000032,voc,")


def test_a_hash_is_of_shape_and_labels() -> None:
    label = np.array([[0, 1, 255], [2, 3, 20]], np.uint8)
    # sha256 of "(2, 3)" and the six bytes
    assert common.short_hash(label) == "2df2f198b1eee438"
    assert common.short_hash(label) != common.short_hash(label.reshape(3, 2))
    assert common.short_hash(label) == common.short_hash(np.asfortranarray(label))
    assert common.CommonMask("voc", common.short_hash(label)).equals(label)


def test_the_sample_is_of_the_common_copy(shared: Path) -> None:
    paths = sorted((shared / "data" / "VOC2012" / "SegmentationClassAug").glob("*.png"))[::8]
    assert len(paths) > 60
    for path in paths:
        label = read_label(path, 20, ignore=True)
        mask = common.common_masks()[path.stem]
        assert mask.equals(label), path.name
        assert (label == 255).any() == (mask.source == "voc"), path.name
