"""`fssbench data build`: what a person sees, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench.datasets.pascal5i import common_masks as common
from fssbench.errors import CheckFailedError, FSSBenchError, MissingError, UsageError
from tests.cli.test_data import run
from tests.datasets.trees import label_map, save_palette, save_sbd

VOC, SBD = label_map((1, 0, 0, 60, 60), (255, 60, 0, 2, 60)), label_map((20, 0, 0, 90, 90))


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    masks = {
        "2007_000032": common.CommonMask("voc", common.short_hash(VOC)),
        "2008_000002": common.CommonMask("sbd", common.short_hash(SBD)),
        "2008_000008": common.CommonMask("sbd", common.short_hash(SBD)),
    }
    monkeypatch.setattr(common, "common_masks", lambda: masks)
    save_palette(tmp_path / "VOC2012/SegmentationClass/2007_000032.png", VOC)
    for name in ("2008_000002", "2008_000008"):
        save_sbd(tmp_path / f"benchmark_RELEASE/dataset/cls/{name}.mat", SBD)
    return tmp_path / "VOC2012", tmp_path / "benchmark_RELEASE"


def test_both_sources(sources: tuple[Path, Path]) -> None:
    voc, sbd = sources
    output, error = run("build", "pascal5i", "--voc", voc, "--sbd", sbd)
    assert error is None
    assert f"{voc}/SegmentationClassAug: 3 masks written, 0 were there" in output
    assert "3 of 3 masks of the common copy" in output
    assert f"fssbench data check pascal5i --root {voc} checks all" in output
    output, error = run("build", "pascal5i", "--voc", voc, "--sbd", sbd)
    assert error is None
    assert "0 masks written, 3 were there" in output


def test_voc_is_found_as_the_data_folder_and_is_enough_for_val(
    sources: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    voc, sbd = sources
    _, error = run("build", "pascal5i")
    assert isinstance(error, UsageError)
    monkeypatch.setenv("FSSBENCH_DATA", str(voc.parent))
    output, error = run("build", "pascal5i")
    assert error is None
    assert "1 masks written" in output
    assert "all masks of val are among them" in output
    output, error = run("build", "pascal5i", "--sbd", sbd)
    assert error is None
    assert "2 masks written, 1 were there" in output


@pytest.mark.parametrize(
    ("change", "kind", "sentences"),
    [
        ("missing", MissingError, ["1, of which 1 are missing and 0 broken", "lacks masks of SBD: 1, 2008_000002"]),
        ("broken", MissingError, ["1, of which 0 are missing and 1 broken", "is not a MATLAB file"]),
        ("there", CheckFailedError, ["than those that would be built: 1", "left as they are: 1, 2007_000032"]),
        ("other", CheckFailedError, ["the sources have other labels: 1", "common copy: 1, 2008_000002"]),
    ],
)
def test_what_is_not_as_it_should_be(
    sources: tuple[Path, Path], change: str, kind: type[FSSBenchError], sentences: list[str]
) -> None:
    voc, sbd = sources
    file = sbd / "dataset/cls/2008_000002.mat"
    if change == "missing":
        file.rename(file.with_name("2007_000032.mat"))
    elif change == "broken":
        file.write_bytes(b"<html>")
    elif change == "there":
        save_palette(voc / "SegmentationClassAug/2007_000032.png", SBD)
    else:
        save_sbd(file, label_map((19, 0, 0, 90, 90)))
    output, error = run("build", "pascal5i", "--voc", voc, "--sbd", sbd)
    assert isinstance(error, kind)
    for sentence in sentences:
        assert sentence in output + error.message
    if change == "there":
        assert run("build", "pascal5i", "--voc", voc, "--sbd", sbd, "--overwrite")[1] is None
        with Image.open(voc / "SegmentationClassAug/2007_000032.png") as picture:
            assert np.array_equal(np.array(picture), VOC)


def test_only_pascal_is_built(sources: tuple[Path, Path]) -> None:
    _, error = run("build", "coco20i", "--voc", sources[0])
    assert isinstance(error, UsageError)
    assert "coco20i is not built from other data" in error.message
