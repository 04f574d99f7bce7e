"""`fssbench data list`: where data comes from, and what of it is here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fssbench.datasets.catalogue import built_in
from fssbench.datasets.fetching.sources import fetched_names, source_of
from tests.datasets.trees import annotation, box, coco_tree, label_map, voc_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a part of COCO and of VOC."""
    coco_tree(tmp_path, {"val": ([1, 2], [annotation(1, 1, 1, box(0, 0, 60, 60))])})
    voc_tree(tmp_path, {"2008_000001": label_map((1, 0, 0, 96, 96))}, ["2008_000001"])
    return tmp_path


def test_each_data_set_has_its_source_its_terms_and_what_is_here(fssbench: Any, tree: Path) -> None:
    code, out, err = fssbench("data", "list", "--root", str(tree))
    assert (code, err) == (0, "")
    blocks = {block.split()[0]: block.splitlines() for block in out.strip().split("\n\n")}
    assert set(built_in()) <= set(blocks)
    coco = {line.split()[0]: line.split(maxsplit=1)[1] for line in blocks["coco20i"][1:]}
    assert coco["from"] == "images.cocodataset.org, raw.githubusercontent.com: fssbench data fetch coco20i"
    assert coco["size"] == "20.4 GB to download"
    assert "CC BY 4.0" in coco["licence"]
    assert f"{tree}/COCO2014: " in coco["here"]
    assert "instances_val2014.json 1 of 1, " in coco["here"]
    assert "COCO_val2014_*.jpg 2 of 40504" in coco["here"]
    assert coco["here"].endswith("imported splits of lists 0 of 2")
    assert "some 330 MB for 1,000 episodes" in coco["evaluate"]
    assert "SegmentationClassAug/*.png 1 of 12031" in "\n".join(blocks["pascal5i"])
    assert "fssbench data fetch deepglobe says how" in "\n".join(blocks["deepglobe"])
    assert "10.3 kB and 1 file of unknown size to download" in "\n".join(blocks["fss1000"])
    assert "  here      nothing is needed" in blocks["shapes20i"]
    assert "  here      no" in blocks["suim"]


def test_the_same_as_json(fssbench: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSSBENCH_DATA", str(tree))
    code, out, _ = fssbench("data", "list", "--json")
    assert code == 0
    found = {one["name"]: one for one in json.loads(out)}
    assert found["coco20i"]["folder"] == str(tree / "COCO2014")
    assert found["coco20i"]["bytes"] == 252_872_794 + 6_645_013_297 + 13_510_573_713 + 18_816_180
    assert {"what": "photos of val2014", "pattern": "val2014/COCO_val2014_*.jpg", "here": 2, "whole": 40_504} in found[
        "coco20i"
    ]["holdings"]
    assert (found["folder"]["kind"], found["shapes20i"]["kind"], found["suim"]["kind"]) == (
        "own",
        "rendered",
        "fetched",
    )
    assert found["suim"]["folder"] is None


def test_what_is_stated_of_sources_is_complete() -> None:
    """Each set with files has a source; each hash has the form of one, and somebody who states it."""
    with_files = {name for name, info in built_in().items() if not (info.rendered or info.own)}
    assert {"coco20i", "pascal5i", "fss1000", "suim", "isic2018"} <= set(fetched_names()) <= with_files
    for name in fetched_names():
        source = source_of(name)
        assert source is not None
        assert source.page.startswith("http")
        assert source.licence
        assert source.evaluate
        for part in source.parts:
            assert sum(map(bool, (part.url, part.page, part.command))) == 1, part
            assert bool(part.files) != bool(part.command), part
            assert not part.url or part.source, part
            assert len(part.sha256) in (0, 64), part
            assert len(part.md5) in (0, 32), part
            assert part.made_into.keys() <= part.holds.keys()
            assert part.only_for.keys() <= part.holds.keys()
            assert not part.page or source.tree
