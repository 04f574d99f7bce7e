"""Every command of docs/data.md works, one after the other; a local host takes the place of the official ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_eval_fetch import rows, sample
from tests.datasets.fetching.conftest import Change, host, mirror, pascal, stated

__all__ = ["host", "mirror", "pascal", "sample", "stated"]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
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


@pytest.mark.usefixtures("elsewhere", "pascal")
def test_pascal_as_the_page_says(fssbench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images in place of 12,031: all is fetched and built, and the check finds that it is not the release."""
    run(fssbench, monkeypatch, BLOCKS[0][0])
    fetch, check = BLOCKS[3]
    said = run(fssbench, monkeypatch, fetch)
    (build,) = re.findall(r"`(fssbench data build [^`]*)`", PAGE)
    assert f"augmented masks: {build}" in said.splitlines()
    assert "data/VOC2012/SegmentationClassAug: 2 masks written" in said
    assert f"  {check} --root data/VOC2012 reads and counts it" in said.splitlines()
    assert "0 masks written, 2 were there" in run(fssbench, monkeypatch, build)
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
