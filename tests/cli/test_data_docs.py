"""Every command of docs/data.md works, one after the other; a local host takes the place of the official ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from fssbench.datasets.pascal5i import common_masks as common
from tests.cli.test_eval_fetch import rows, sample
from tests.datasets.fetching.conftest import Change, host, mirror, stated, tarred
from tests.datasets.trees import label_map, save_palette, save_photo, save_sbd
from tests.downloads.host import Host

__all__ = ["host", "mirror", "sample", "stated"]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
OF_VOC, OF_SBD = "2007_000032", "2008_000002"
SMALL = {
    "episodes export": ["--count", "4", "--skip-short-classes"],
    "--fetch": ["--episodes", "3", "--skip-short-classes"],
}
"""What the commands are given besides, for a sample of the data."""


def run(fssbench: Any, monkeypatch: pytest.MonkeyPatch, line: str) -> str:
    """Run a line of the page and return what it printed."""
    if line.startswith("export "):
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value)
        return ""
    more = [word for key, words in SMALL.items() if key in line for word in words]
    code, out, err = fssbench(*shlex.split(line)[1:], *more)
    assert code == 0, (line, out, err)
    return f"{out}{err}"


@pytest.mark.usefixtures("elsewhere", "sample")
def test_coco_as_the_page_says(fssbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [run(fssbench, monkeypatch, line) for block in BLOCKS[:3] for line in block]
    assert len(said) == 8
    assert "photos: " in said[4]
    assert "photos fetched" in said[5]
    assert len(rows(Path("runs/fetched"))) == 4
    assert len(rows(Path("runs/on-the-way"))) == 3


@pytest.mark.usefixtures("elsewhere")
def test_pascal_as_the_page_says(
    mirror: Host, stated: Change, fssbench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Fetched, built and checked, with two images in place of 12,031; so the check finds the set not to be complete."""
    run(fssbench, monkeypatch, BLOCKS[0][0])
    label = label_map((1, 0, 0, 96, 96))
    masks = {
        name: common.CommonMask(kind, common.short_hash(label)) for name, kind in ((OF_VOC, "voc"), (OF_SBD, "sbd"))
    }
    monkeypatch.setattr(common, "common_masks", lambda: masks)
    save_photo(tmp_path / "a.jpg")
    save_palette(tmp_path / "a.png", label)
    save_sbd(tmp_path / "a.mat", label)
    voc, photo = "VOCdevkit/VOC2012", (tmp_path / "a.jpg").read_bytes()
    content = tarred(
        {
            f"{voc}/JPEGImages/{OF_VOC}.jpg": photo,
            f"{voc}/JPEGImages/{OF_SBD}.jpg": photo,
            f"{voc}/SegmentationClass/{OF_VOC}.png": (tmp_path / "a.png").read_bytes(),
            f"{voc}/ImageSets/Segmentation/val.txt": f"{OF_VOC}\n".encode(),
        }
    )
    mirror.files["/host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"] = content
    berkeley = "/www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"
    sbd = {f"benchmark_RELEASE/dataset/cls/{OF_SBD}.mat": (tmp_path / "a.mat").read_bytes()}
    mirror.files[berkeley] = tarred(sbd, "w:gz")
    one = {"JPEGImages/*.jpg": 2, "SegmentationClass/*.png": 1, "ImageSets/Segmentation/val.txt": 1}
    stated("pascal5i", "VOCtrainval_11-May-2012.tar", content, holds=one)
    stated("pascal5i", "benchmark.tgz", None, holds={"SBD/cls/*.mat": 1})
    fetch, build, check = BLOCKS[3]
    said = run(fssbench, monkeypatch, fetch)
    assert f"  {build}" in said.splitlines()
    assert f"  {check} --root data/VOC2012" in said.splitlines()
    assert "data/VOC2012/SegmentationClassAug: 2 masks written" in run(fssbench, monkeypatch, build)
    code, out, err = fssbench(*shlex.split(check)[1:])
    assert code == 2
    assert "2 of the common copy" in out
    assert "is not the complete release" in err


@pytest.mark.usefixtures("elsewhere", "mirror")
def test_what_the_page_prints_of_a_set_behind_a_click(
    fssbench: Any, monkeypatch: pytest.MonkeyPatch, stated: Change
) -> None:
    del stated  # leaves the lists out
    run(fssbench, monkeypatch, BLOCKS[0][0])
    (shown,) = re.findall(r"```\n\$ fssbench (.*?)\n(.*?)```", PAGE, re.DOTALL)
    code, out, _ = fssbench(*shlex.split(shown[0]))
    assert code == 2
    assert shown[1] in out
