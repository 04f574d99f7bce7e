"""iSAID-5i: imported lists, folds of five classes, and each entry as the query of one episode."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import fssbench
from fssbench import episodes, open_dataset
from fssbench.datasets.checks import check
from fssbench.datasets.isaid5i.dataset import Isaid5i
from fssbench.datasets.splits.importing import import_splits
from fssbench.episode.samplers.hsnet import draw_supports
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.datasets.trees import label_map, save_mask, save_photo

NAMES = [f"P{number:04d}_0_64_0_64" for number in range(6)]
LISTS = [
    [f"{NAMES[3]}__02", f"{NAMES[0]}__01", f"{NAMES[1]}__02", f"{NAMES[2]}__01", f"{NAMES[0]}__02"],
    [f"{NAMES[0]}__10", f"{NAMES[4]}__10"],
    [f"{NAMES[5]}__15", f"{NAMES[3]}__15", f"{NAMES[3]}__11"],
]


def save_lists(folder: Path, lists: list[list[str]] = LISTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for fold, lines in enumerate(lists):
        (folder / f"fold{fold}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "iSAID"
    for name in NAMES:
        save_photo(folder / "val" / "images" / f"{name}.png", (64, 64))
        boxes = [
            (int(line[-2:]), 9 * fold, 5, 8, 20) for fold, lines in enumerate(LISTS) for line in lines if name in line
        ]
        mask = label_map(*boxes, (255, 60, 0, 4, 64), size=(64, 64))
        save_mask(folder / "val" / "semantic_png" / f"{name}_instance_color_RGB.png", mask)
    return folder


@pytest.fixture
def isaid(root: Path, tmp_path: Path) -> Isaid5i:
    save_lists(tmp_path / "GF-SAM" / "matcher" / "data" / "splits" / "isaid" / "val")
    save_lists(tmp_path / "GF-SAM" / "matcher" / "data" / "splits" / "pascal" / "val", [["2007_000001__01"]] * 3)
    import_splits("isaid5i", tmp_path / "GF-SAM")
    dataset = open_dataset("isaid5i", root)
    assert isinstance(dataset, Isaid5i)
    return dataset


def test_folds_have_five_classes_in_the_order_of_the_lists(isaid: Isaid5i) -> None:
    assert [isaid.fold_classes(fold) for fold in range(3)] == [(1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (11, 12, 13, 14, 15)]
    for fold, lines in enumerate(LISTS):
        pairs = isaid.entries(fold)
        assert [f"{name}__{c:02d}" for name, c in zip(pairs["name"], pairs["class_id"], strict=True)] == lines
    assert isaid.class_names[15] == "harbor"
    assert isaid.list_order == "imported (not GF-SAM's)"


def test_labels_have_classes_and_an_ignore_region(isaid: Isaid5i) -> None:
    assert isaid.has_ignore
    assert set(np.unique(isaid.label(NAMES[3]))) == {0, 2, 11, 255}
    assert isaid.image(NAMES[3]).shape == (64, 64, 3)
    assert isaid.index("val")["class_id"].isin(range(1, 16)).all()
    with pytest.raises(UsageError, match="not an image name"):
        isaid.label("../P0000")


@pytest.mark.parametrize("protocol", ["gfsam", "insid3"])
def test_each_entry_is_the_query_of_one_episode(isaid: Isaid5i, protocol: str) -> None:
    drawn = episodes(isaid, 0, 1, 2, protocol, skip_short_classes=True)
    assert [f"{one.query}__{one.query_class:02d}" for one in drawn] == LISTS[0]
    random = np.random.RandomState(0)
    by_class = {c: [line[:-4] for line in LISTS[0] if line.endswith(f"0{c}")] for c in (1, 2)}
    for one in drawn:
        assert one.supports[0] == draw_supports(random, by_class[one.query_class], one.query, 2)
    with pytest.raises(UsageError, match="there are 5"):
        episodes(isaid, 0, 1, 1, protocol, count=6)
    with pytest.raises(UsageError, match="not defined"):
        episodes(isaid, 0, 1, 1, "matcher")


def test_the_ignore_region_is_left_out_of_the_counts(isaid: Isaid5i) -> None:
    results = fssbench.evaluate(fssbench.build("copy-mask"), isaid, episodes(isaid, 1, 1, 1, "gfsam"))
    # Query and support have the same box, so nothing but the ignore region is missing.
    assert sum(results.frame["intersection"][0]) == 1024 * 1024 * 60 // 64


def test_lists_have_to_be_imported(root: Path) -> None:
    with pytest.raises(MissingError, match="not imported") as missing:
        Isaid5i(root).fingerprint  # noqa: B018 - read when it is needed
    assert "import-splits isaid5i" in str(missing.value.remedy)
    report = check(Isaid5i(root))
    assert not report.complete
    with pytest.raises(MissingError, match="no folder val"):
        Isaid5i(root / "val")


def test_an_archive_is_imported_and_other_lines_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "GF-SAM-main.zip", "w") as archive:
        for fold, lines in enumerate(LISTS):
            archive.writestr(f"GF-SAM-main/matcher/data/splits/isaid/val/fold{fold}.txt", "\r\n".join(lines))
    (imported,) = import_splits("isaid5i", tmp_path / "GF-SAM-main.zip")
    assert (imported.release, imported.summary, len(imported.differences)) == ("GF-SAM", "10 entries in 3 folds", 3)
    for line in ("../../P0000__01", f"{NAMES[0]}__06", NAMES[0], f"{NAMES[0]}__1", "é"):
        with pytest.raises(BrokenFileError, match="fold0"):
            import_splits("isaid5i", save_lists(tmp_path / "val", [[line], *LISTS[1:]]).parent)
    (tmp_path / "val" / "fold2.txt").unlink()
    with pytest.raises(MissingError, match="not all there"):
        import_splits("isaid5i", tmp_path / "val")


def test_the_check_names_what_is_missing_or_broken(isaid: Isaid5i, root: Path) -> None:
    counts = {count.what: (count.here, count.official) for count in check(isaid).counts}
    assert counts == {
        "entries, fold 0": (5, 3108),
        "entries, fold 1": (2, 3657),
        "entries, fold 2": (3, 3298),
        "images": (6, 6363),
    }
    isaid.mask_path(NAMES[2]).unlink()
    save_mask(isaid.mask_path(NAMES[1]), label_map((16, 0, 0, 9, 9), size=(64, 64)))
    report = check(Isaid5i(root))
    assert any(NAMES[2] in message for message in report.missing)
    assert any("label 16" in message for message in report.broken)
