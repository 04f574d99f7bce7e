"""The lists of PFENet's family on all of PASCAL-5i, from the official masks."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fssbench.datasets.dataset import Split
from fssbench.datasets.pascal5i.dataset import index_of
from fssbench.episode import episodes
from fssbench.episode.verify import official, official_finding
from tests.episode.stub import ListsOnly


class OfficialMasks(ListsOnly):
    """What the masks of VOC 2012 val hold."""

    def __init__(self, counts: pd.DataFrame) -> None:
        super().__init__("pascal5i", list(zip(counts["name"], counts["class_id"], strict=True)))
        self.counts = counts

    def index(self, split: Split) -> pd.DataFrame:
        return self.counts

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        return tuple(range(5 * fold + 1, 5 * fold + 6))


@pytest.fixture(scope="module")
def voc(shared: Path) -> OfficialMasks:
    names = [Path(line.split()[1]) for line in (shared / "reference/splits/pfenet/val.txt").read_text().splitlines()]
    with zipfile.ZipFile(shared / "data/VOC2012-masks.zip") as masks:
        labels = ((path.stem, np.asarray(Image.open(io.BytesIO(masks.read(str(path)))))) for path in names)
        return OfficialMasks(index_of(labels))


@pytest.mark.parametrize(
    ("protocol", "length"), [("pfenet", 5001), ("ntrenet", 1001), ("bam", 5000), ("repri", 5000), ("mlc", 5000)]
)
@pytest.mark.parametrize("fold", range(4))
def test_the_known_hashes(voc: OfficialMasks, protocol: str, length: int, fold: int) -> None:
    for shot in (1, 5):
        drawn = episodes(voc, fold, 1, shot, protocol)
        assert len(drawn) == length
        assert official(drawn) is True


def test_other_labels_are_not_the_releases(voc: OfficialMasks) -> None:
    fewer = OfficialMasks(voc.counts[voc.counts["name"] != "2007_000129"])
    finding = official_finding(episodes(fewer, 0, 1, 1, "ntrenet"))
    assert finding is not None
    assert "is not the list of ntrenet's release" in finding.text


@pytest.mark.parametrize("changes", [{"count": 5001}, {"seed": 1}, {"seed": 510}])
def test_nothing_is_known_of_other_draws(voc: OfficialMasks, changes: dict[str, int]) -> None:
    assert official(episodes(voc, 0, 1, 1, "bam", **changes)) is None
