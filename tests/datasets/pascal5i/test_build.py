"""SegmentationClassAug built of VOC's masks and SBD's: the rule, and what is refused."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
from PIL import Image

from fssbench import open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.io.images import read_label
from fssbench.datasets.pascal5i import build as building
from fssbench.datasets.pascal5i import common_masks as common
from fssbench.datasets.pascal5i.build import build, segmentation_of
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import replace_locked
from tests.datasets.trees import label_map, save_mask, save_palette, save_sbd, truncate

VOC = {
    "2007_000032": label_map((1, 0, 0, 60, 60), (255, 60, 0, 2, 60)),
    "2007_000033": label_map((20, 5, 5, 60, 60), (255, 0, 0, 5, 96)),
}
SBD = {"2008_000002": label_map((20, 0, 0, 90, 90)), "2008_000008": label_map((13, 0, 0, 50, 60), (15, 9, 9, 9, 9))}


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let four drawn masks be the common copy."""
    masks = {name: common.CommonMask("voc", common.short_hash(label)) for name, label in VOC.items()}
    masks |= {name: common.CommonMask("sbd", common.short_hash(label)) for name, label in SBD.items()}
    monkeypatch.setattr(common, "common_masks", lambda: masks)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for name, label in VOC.items():
        save_palette(tmp_path / "VOCdevkit/VOC2012/SegmentationClass" / f"{name}.png", label)
        save_palette(tmp_path / "VOCdevkit/VOC2012/SegmentationObject" / f"{name}.png", label_map((1, 0, 0, 9, 9)))
    save_palette(tmp_path / "VOCdevkit/VOC2012/SegmentationClass/2007_999999.png", label_map())
    return tmp_path / "VOCdevkit" / "VOC2012"


@pytest.fixture
def sbd(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmark_RELEASE" / "dataset"
    for name, label in SBD.items():
        save_sbd(folder / "cls" / f"{name}.mat", label)
        save_sbd(folder / "inst" / f"{name}.mat", label_map((1, 0, 0, 9, 9)))
    # SBD has masks of its own for images of VOC, without a rim.
    save_sbd(folder / "cls" / "2007_000032.mat", label_map((1, 0, 0, 61, 61)))
    return tmp_path / "benchmark_RELEASE"


def masks_in(folder: Path) -> dict[str, npt.NDArray[np.uint8]]:
    return {path.stem: read_label(path, 20, ignore=True) for path in sorted(folder.iterdir())}


def assert_whole(folder: Path) -> None:
    found = masks_in(folder)
    assert found.keys() == VOC.keys() | SBD.keys()
    for name, label in {**VOC, **SBD}.items():
        assert np.array_equal(found[name], label), name


def test_vocs_masks_win_with_their_rim_and_sbd_fills_up(voc: Path, sbd: Path) -> None:
    built = build(voc, sbd)
    assert built.out == voc / "SegmentationClassAug"
    assert_whole(built.out)
    assert (built.written, built.kept, built.different, built.left, built.broken) == (4, 0, [], [], [])
    assert built.missing == {"voc": (), "sbd": ()}
    for path in built.out.iterdir():
        with Image.open(path) as picture:
            assert picture.mode == "L", "OpenCV reads a palette as brightness"


@pytest.mark.parametrize("above", ["", "dataset", "dataset/cls", ".."])
def test_the_folders_may_be_named_at_any_level(voc: Path, sbd: Path, above: str) -> None:
    places = {"": voc, "dataset": voc.parent, "dataset/cls": voc / "SegmentationClass", "..": voc.parent.parent}
    built = build(places[above], (sbd / above).resolve())
    assert built.out == voc / "SegmentationClassAug"
    assert_whole(built.out)


@pytest.mark.parametrize("mode", ["w", "w:gz", "zip"])
def test_archives_need_not_be_unpacked(voc: Path, sbd: Path, tmp_path: Path, mode: str) -> None:
    archives = {}
    for name, folder, top in (("voc", voc.parent, "VOCdevkit"), ("sbd", sbd, "benchmark_RELEASE")):
        archives[name] = tmp_path / name
        if mode == "zip":
            with zipfile.ZipFile(archives[name], "w") as packed:
                for path in folder.rglob("*.*"):
                    packed.write(path, Path(top, path.relative_to(folder)))
        else:
            with tarfile.open(archives[name], mode) as archive:  # type: ignore[call-overload]
                archive.add(folder, top)
    with pytest.raises(UsageError, match="where the masks belong"):
        build(archives["voc"], archives["sbd"])
    built = build(archives["voc"], archives["sbd"], tmp_path / "out" / "SegmentationClassAug")
    assert_whole(built.out)


def test_what_is_there_is_kept_and_a_stopped_build_goes_on(
    voc: Path, sbd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def stopped(path: Path, content: bytes) -> int:
        nonlocal written
        written += 1
        if written > 2:
            raise KeyboardInterrupt
        return replace(path, content)

    replace = replace_locked
    monkeypatch.setattr(building, "replace_locked", stopped)
    with pytest.raises(KeyboardInterrupt):
        build(voc, sbd)
    monkeypatch.setattr(building, "replace_locked", replace)
    out = voc / "SegmentationClassAug"
    assert len(masks_in(out)) == 2
    truncate(sorted(out.iterdir())[0])
    built = build(voc, sbd)
    assert (built.written, built.kept) == (3, 1)
    assert_whole(out)
    assert build(voc, sbd).kept == 4


def test_masks_with_other_labels_are_replaced_only_on_demand(voc: Path, sbd: Path) -> None:
    other = label_map((3, 0, 0, 9, 9))
    path = voc / "SegmentationClassAug" / "2008_000002.png"
    save_palette(path, other)
    built = build(voc, sbd)
    assert (built.left, built.written) == (["2008_000002"], 3)
    assert np.array_equal(masks_in(built.out)["2008_000002"], other)
    built = build(voc, sbd, overwrite=True)
    assert (built.left, built.written, built.kept) == ([], 1, 3)
    assert_whole(built.out)


def test_vocs_masks_alone_are_enough_for_val(voc: Path) -> None:
    built = build(voc, None)
    assert masks_in(built.out).keys() == VOC.keys()
    assert built.missing == {"voc": ()}


def test_what_is_built_is_compared_with_the_common_copy(voc: Path, sbd: Path) -> None:
    save_palette(
        voc / "SegmentationClass" / "2007_000033.png", np.where(VOC["2007_000033"] == 255, 0, 20).astype(np.uint8)
    )
    built = build(voc, sbd)
    assert built.different == ["2007_000033"]
    assert (built.written, build(voc, sbd).different) == (4, ["2007_000033"])


def test_files_that_are_missing_or_broken_are_named_and_the_rest_is_built(voc: Path, sbd: Path) -> None:
    (voc / "SegmentationClass" / "2007_000032.png").unlink()
    (sbd / "dataset/cls/2008_000008.mat").write_bytes(b"<html>no such page</html>")
    built = build(voc, sbd)
    assert built.missing == {"voc": ("2007_000032",), "sbd": ()}
    assert len(built.broken) == 1
    assert "2008_000008.mat is not a MATLAB file" in built.broken[0]
    assert masks_in(built.out).keys() == {"2007_000033", "2008_000002"}, "SBD's mask of an image of VOC is not taken"


def test_sources_that_are_not_there(voc: Path, sbd: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to build masks from"):
        build(None, None)
    with pytest.raises(MissingError, match="no folder or archive"):
        build(tmp_path / "none", None)
    with pytest.raises(MissingError, match="has no folder cls with the masks of SBD"):
        build(voc, voc)
    with pytest.raises(UsageError, match="where the masks belong"):
        build(None, sbd)
    (tmp_path / "page.tar").write_bytes(b"<html>")
    with pytest.raises(BrokenFileError, match=r"page\.tar is not a folder, a zip"):
        build(voc, tmp_path / "page.tar")
    (tmp_path / "VOC2007" / "SegmentationClass").mkdir(parents=True)
    with pytest.raises(MissingError, match="has no mask of VOC 2012"):
        build(tmp_path / "VOC2007", sbd)


def test_a_full_disk_is_said(voc: Path, sbd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(building, "replace_locked", full)
    with pytest.raises(UsageError, match=r"can't write .*\.png: No space left on device"):
        build(voc, sbd)


def mat(**variables: object) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables)
    return file.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int16, np.bool_])
def test_a_label_map_of_any_type_of_numbers(dtype: type[np.generic], tmp_path: Path) -> None:
    label = label_map((1, 3, 4, 50, 30)).astype(dtype)
    for compressed in (False, True):
        save_sbd(tmp_path / "a.mat", label, compressed=compressed)
        found = segmentation_of((tmp_path / "a.mat").read_bytes(), "a.mat")
        assert (found.dtype, found.shape) == (np.uint8, label.shape)
        assert np.array_equal(found, label)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Boundaries": [1]}, "no label map GTcls.Segmentation"),
        ([1, 2], "no label map GTcls.Segmentation"),
        ({"Segmentation": "text"}, "no label map GTcls.Segmentation"),
        ({"Segmentation": np.zeros((2, 2, 2))}, "no label map GTcls.Segmentation"),
        ({"Segmentation": np.zeros((0, 0))}, "no label map GTcls.Segmentation"),
        ({"Segmentation": np.full((3, 3), 0.5)}, "values that are not labels"),
        ({"Segmentation": np.full((3, 3), np.nan)}, "values that are not labels"),
        ({"Segmentation": np.full((3, 3), -1)}, "values that are not labels"),
        ({"Segmentation": np.full((3, 3), 256 + 7)}, "values that are not labels"),
        ({"Segmentation": np.full((3, 3), 21)}, r"has the label 21 \(9 pixels\)"),
        ({"Segmentation": np.full((3, 3), 255)}, r"has the label 255 \(9 pixels\)"),
    ],
)
def test_what_is_no_mask_of_sbd(value: object, message: str) -> None:
    with pytest.raises(BrokenFileError, match=message):
        segmentation_of(mat(GTcls=value), "a.mat")
    with pytest.raises(BrokenFileError, match="has no variable GTcls"):
        segmentation_of(mat(GTinst=value), "a.mat")


def test_masks_of_voc_that_are_no_label_maps(voc: Path, sbd: Path) -> None:
    save_mask(voc / "SegmentationClass" / "2007_000032.png", np.zeros((9, 9, 3), np.uint8))
    (voc / "SegmentationClass" / "2007_000033.png").unlink()
    os.mkfifo(voc / "SegmentationClass" / "2007_000033.png")
    with pytest.raises(BrokenFileError, match="a pipe, a socket or a device"):
        build(voc, sbd)
    (voc / "SegmentationClass" / "2007_000033.png").unlink()
    built = build(voc, sbd)
    assert len(built.broken) == 1
    assert "2007_000032.png is not a label map: its pixels are RGB" in built.broken[0]


class TestRealMasks:
    @pytest.fixture(autouse=True)
    def whole_set(self, small_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()

    def test_masks_of_the_sample_in_the_layouts_of_voc_and_sbd(self, shared: Path, tmp_path: Path) -> None:
        """VOC's masks as they are, SBD's as .mat files; images of VOC have another mask in SBD."""
        names = list(common.common_masks())[::250]
        with zipfile.ZipFile(shared / "data" / "VOC2012-masks.zip") as archive:
            for name in names:
                raw = archive.read(f"SegmentationClassAug/{name}.png")
                label = np.array(Image.open(io.BytesIO(raw)))
                if common.common_masks()[name].source == "voc":
                    (tmp_path / "VOC2012/SegmentationClass").mkdir(parents=True, exist_ok=True)
                    (tmp_path / "VOC2012/SegmentationClass" / f"{name}.png").write_bytes(raw)
                    label = np.where(label == 255, 0, label).astype(np.uint8)
                save_sbd(tmp_path / "sbd/cls" / f"{name}.mat", label)
        built = build(tmp_path / "VOC2012", tmp_path / "sbd")
        assert (built.written, built.different) == (len(names), [])
        sets = tmp_path / "VOC2012/ImageSets/Segmentation"
        sets.mkdir(parents=True)
        (sets / "val.txt").write_text("2007_000033\n")
        report = check(open_dataset("pascal5i", tmp_path / "VOC2012"), decode=False)
        assert report.different == ()
        assert report.counts[0].note == f"{len(names)} of the common copy"
