"""`fssbench eval` where novel and base classes are asked together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.results import load_run

Run = Callable[..., tuple[int, str, str]]
BAM = ("eval", "--method", "bam", "--dataset", "shapes20i", "--random-weights", "--fold", "1")
pytestmark = pytest.mark.usefixtures("elsewhere")


def test_novel_base_and_all_stand_side_by_side(fssbench: Run, tmp_path: Path) -> None:
    code, out, _ = fssbench(*BAM, "--protocol", "bam-gfss", "--episodes", "3", "--out", "here")
    assert code == 0
    summary = load_run(tmp_path / "here").summary()
    assert summary.base_miou is not None
    assert summary.total_miou is not None
    lines = out.splitlines()
    assert lines[0].split()[2:11] == ["novel", "mIoU", "95", "%", "base", "mIoU", "95", "%", "all"]
    for number in (summary.miou, summary.base_miou, summary.total_miou, summary.fb_iou):
        assert f"{number:.2f}" in lines[1].split()
    strict = load_run(tmp_path / "here").summary(all_classes=True)
    note = next(line for line in lines if line.startswith("incomplete"))
    assert "of 15 base classes are in the label maps" in note
    assert note.endswith(f"novel mIoU is {strict.miou:.2f}, base {strict.base_miou:.2f}, all {strict.total_miou:.2f}")


def test_a_run_continued_with_the_other_way_of_merging_is_refused(fssbench: Run) -> None:
    assert fssbench(*BAM, "--protocol", "bam-gfss", "--episodes", "2", "--limit", "1", "--out", "here")[0] == 0
    code, _, err = fssbench(*BAM, "--protocol", "bam-gfss-base", "--episodes", "2", "--out", "here", "--resume")
    assert code == 2
    assert "protocol.name" in err


@pytest.mark.parametrize("protocol", ["bam-gfss", "bam-gfss-base", "bam-gfss@input"])
@pytest.mark.parametrize("method", ["copy-mask", "pfenet"])
def test_a_method_that_knows_no_base_class_is_told_before_anything_is_done(
    fssbench: Run, tmp_path: Path, method: str, protocol: str
) -> None:
    # The data is not there: names come before it.
    code, _, err = fssbench(
        "eval", "--method", method, "--dataset", "pascal5i", "--root", "nowhere", "--protocol", protocol
    )
    assert code == 2
    assert f"also counts base classes, which {method} does not predict; bam, hdmnet can be used" in err
    assert "--method bam" in err
    assert not list(tmp_path.iterdir())
