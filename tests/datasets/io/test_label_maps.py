"""Label maps that no longer show what the lists ask."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fssbench
from fssbench.config import cache_folder
from fssbench.datasets.io.label_maps import LabelMaps
from fssbench.datasets.splits import stored as imported
from fssbench.errors import BrokenFileError
from tests.datasets.trees import fss_tree, label_map, own_tree, save_binary, save_palette
from tests.engine.stub import NearestColour

SIZE = (48, 40)
MASKS = {
    f"{word}{n}": label_map((value, 8, 8, 20, 16), (255, 0, 0, 2, 40), size=SIZE)
    for value, word in ((1, "leaf"), (2, "stem"))
    for n in range(3)
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return own_tree(tmp_path / "own", MASKS, '[classes]\n1 = "leaf"\n2 = "stem"\n')


def exchange(root: Path, *names: str) -> None:
    """Change leaf and stem in masks, with size and time kept."""
    for name in names:
        path = root / "masks" / f"{name}.png"
        before = path.stat()
        save_palette(path, np.where((MASKS[name] == 1) | (MASKS[name] == 2), 3 - MASKS[name], MASKS[name]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_masks_changed_with_size_and_time_kept_have_new_lists_and_another_fingerprint(root: Path) -> None:
    before = fssbench.open_dataset("folder", root)
    assert before.entries(0)["class_id"].tolist() == [1, 1, 1, 2, 2, 2]
    exchange(root, *MASKS)
    after = fssbench.open_dataset("folder", root)
    assert after.entries(0)["class_id"].tolist() == [2, 2, 2, 1, 1, 1]
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize("changed", ["query", "support"])
def test_a_class_lost_since_the_lists_were_made_ends_the_evaluation(root: Path, changed: str) -> None:
    dataset = fssbench.open_dataset("folder", root)
    episodes = fssbench.episodes(dataset, fold=0, shot=1, protocol="shapes", count=1)
    asked = episodes[0]
    name = asked.query if changed == "query" else asked.supports[0][0]
    assert len(fssbench.evaluate(NearestColour(), dataset, episodes).frame) == 1
    exchange(root, name)
    lost = {1: "leaf", 2: "stem"}[asked.classes[0]]
    said = rf"folder {name}: the label map has no pixel of '{lost}' \({asked.classes[0]}\), but had 320 when the lists"
    with pytest.raises(BrokenFileError, match=said) as caught:
        fssbench.evaluate(NearestColour(), dataset, episodes)
    assert str(cache_folder() / "index") in (caught.value.remedy or "")


def test_what_the_index_never_had_may_be_missing(tmp_path: Path) -> None:
    """FSS-1000 lists every image of a class, and asks also those without a pixel of it."""
    imported.store("fss1000", "test", {"classes": ["apple"]})
    folder = fss_tree(tmp_path, ["apple"])
    save_binary(folder / "apple" / "2.png", np.zeros((32, 32), dtype=np.bool_))
    dataset = fssbench.open_dataset("fss1000", folder)
    names = dataset.entries(0, "test")["name"].tolist()
    maps = LabelMaps(dataset, names, ["test"])
    assert [bool(maps.of(name).any()) for name in names] == [True, False, True]
    save_binary(folder / "apple" / "3.png", np.zeros((32, 32), dtype=np.bool_))
    with pytest.raises(BrokenFileError, match="no pixel of 'apple'"):
        maps.of("apple/3.jpg")
