"""The field's common copy of SegmentationClassAug: which masks it has, where each is from, and a hash of each.

The copy is the one that DrSleep/tensorflow-deeplab-resnet released, and most releases of few-shot segmentation link to.
Its rule, which facts.toml states with its sources: the 2,913 masks of VOC 2012 train and val as they are, with their
ignored rim; the 9,118 of SBD that VOC has not.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.label_maps import label_hash

Source = Literal["voc", "sbd"]

TABLE = "masks.csv.gz"
HASH_DIGITS = 16


@dataclass(frozen=True)
class CommonMask:
    """A mask of the common copy.

    Attributes:
        source: "voc" for a mask of VOC 2012's SegmentationClass, "sbd" for one of SBD.
        hash: The first 16 hex digits of `label_hash` of its labels.
    """

    source: Source
    hash: str

    def equals(self, label: Label) -> bool:
        """Return whether a label map (H, W) is this mask."""
        return short_hash(label) == self.hash


def short_hash(label: Label) -> str:
    """Return the hash of a label map (H, W) as it stands in the table."""
    return label_hash(label).hex()[:HASH_DIGITS]


@cache
def common_masks() -> Mapping[str, CommonMask]:
    """Return the 12,031 masks of the common copy, by name, sorted."""
    with gzip.open(Path(__file__).with_name(TABLE), "rt", encoding="ascii", newline="") as file:
        rows = csv.DictReader(file)
        return {row["name"]: CommonMask(cast("Source", row["source"]), row["hash"]) for row in rows}
