"""The release's split files: what is read, what is kept, and what is refused."""

from __future__ import annotations

import gzip
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from fssbench.datasets.coco20i.facts import FOLDS, facts, fold_classes, image_name, is_official
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.splits.importing import import_splits
from fssbench.errors import BrokenFileError, MissingError, UsageError

CLASSES = range(1, 81)


def release(folder: Path, sides: tuple[str, ...] = ("val", "train")) -> dict[int, list[int]]:
    """Split files like HSNet's, of two images a class, and the lists they hold."""
    lists = {c: [1000 + c, c] for c in CLASSES}
    for side in sides:
        below = folder / ("val" if side == "val" else "trn")
        below.mkdir(parents=True)
        for fold in range(FOLDS):
            own = fold_classes(fold, side)  # type: ignore[arg-type]
            names = {c - 1: [image_name(side, i) for i in lists[c]] if c in own else [] for c in CLASSES}  # type: ignore[arg-type]
            (below / f"fold{fold}.pkl").write_bytes(pickle.dumps(names, 3))
    return lists


def change(folder: Path, file: str, key: object, value: object) -> None:
    path = folder / file
    names = pickle.loads(path.read_bytes())  # noqa: S301 - written by this test
    path.write_bytes(pickle.dumps(names | {key: value}, 3))


def test_pickles_are_read_kept_and_compared(tmp_path: Path) -> None:
    lists = release(tmp_path)
    val, train = import_splits("coco20i", tmp_path)
    assert (val.split, train.split) == ("val", "train")
    assert val.summary == "160 entries of 160 images in 80 classes"
    assert "the val list of fold 0 has 40 entries, HSNet's has 35783" in val.differences
    assert len(val.differences) == len(train.differences) == FOLDS
    for side in ("val", "train"):
        assert imported.load_class_lists("coco20i", side, 80) == lists  # type: ignore[arg-type]
    assert val.path.parent.name == "splits"
    assert sorted(path.name for path in val.path.parent.iterdir()) == ["coco20i-train.json", "coco20i-val.json"]


@pytest.mark.parametrize("above", [".", "coco", "splits/coco", "data/splits/coco"])
def test_a_folder_above_will_do(tmp_path: Path, above: str) -> None:
    release(tmp_path / above, ("val",))
    assert [side.split for side in import_splits("coco20i", tmp_path)] == ["val"]


def test_json_by_class_from_0(tmp_path: Path) -> None:
    text = json.dumps({str(k): [k + 5, k] for k in range(80)})
    (tmp_path / "val.json.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "trn.json").write_text(text)
    assert len(import_splits("coco20i", tmp_path)) == 2
    for side in ("val", "train"):
        assert imported.load_class_lists("coco20i", side, 80) == {k + 1: [k + 5, k] for k in range(80)}  # type: ignore[arg-type]


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(json.dumps({str(k): [k] for k in range(80)}).encode()))
    packed[10] = 0xFF  # no kind of block
    (tmp_path / "val.json.gz").write_bytes(packed)
    with pytest.raises(BrokenFileError, match=r"can't read .*val\.json\.gz: .*invalid block type"):
        import_splits("coco20i", tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"0": [1]}', json.dumps({str(k): ["1"] for k in range(80)}), '{"a": [1]}']
)
def test_json_of_another_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "val.json").write_text(text)
    with pytest.raises(BrokenFileError, match=r"val\.json"):
        import_splits("coco20i", tmp_path)
    (tmp_path / "val.json").unlink()
    (tmp_path / "val.json.gz").write_bytes(gzip.compress(text.encode() or b" ")[:-9])
    with pytest.raises(BrokenFileError, match=r"val\.json\.gz"):
        import_splits("coco20i", tmp_path)


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        ("val/fold1.pkl", 1, ["train2014/COCO_train2014_000000000001.jpg"], "not an image of val2014"),
        ("val/fold1.pkl", 1, ["val2014/COCO_val2014_000000000001.jpg/../x"], "not an image of val2014"),
        ("val/fold1.pkl", 1, [7], "lists something that is not a name"),
        ("val/fold1.pkl", 0, [image_name("val", 3)], "lists class 0, which is not a val class of fold 1"),
        ("val/fold1.pkl", 80, [], "the classes 0 to 79"),
        ("val/fold1.pkl", "1", [], "the classes 0 to 79"),
        ("val/fold1.pkl", 1, {}, "the classes 0 to 79"),
        ("trn/fold2.pkl", 0, [image_name("train", 3)], "has another list of class 0 than the file of another fold"),
    ],
)
def test_lists_that_make_no_sense(tmp_path: Path, file: str, key: object, value: object, message: str) -> None:
    release(tmp_path)
    change(tmp_path, file, key, value)
    with pytest.raises(BrokenFileError, match=message) as caught:
        import_splits("coco20i", tmp_path)
    assert Path(file).name in caught.value.message
    assert not imported.path_of("coco20i", "val").exists(), "nothing is kept, not even the good side"


class Runs:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return Path.mkdir, (Path("made-by-a-pickle"),)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch) -> None:
    release(tmp_path / "coco", ("val",))
    change(tmp_path / "coco", "val/fold3.pkl", 3, [Runs()])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        BrokenFileError, match=r"fold3\.pkl is not a split file: it has the instruction STACK_GLOBAL|GLOBAL"
    ):
        import_splits("coco20i", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["coco"]


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no folder"):
        import_splits("coco20i", tmp_path / "none")
    with pytest.raises(MissingError, match="has no COCO-20i lists"):
        import_splits("coco20i", tmp_path)
    with pytest.raises(MissingError, match="has no FSS-1000 splits"):
        import_splits("fss1000", tmp_path)
    with pytest.raises(UsageError, match="pascal5i needs no imported splits; coco20i, fss1000 and isaid5i do"):
        import_splits("pascal5i", tmp_path)
    release(tmp_path)
    (tmp_path / "val" / "fold2.pkl").unlink()
    with pytest.raises(MissingError, match=r"no file .*fold2\.pkl"):
        import_splits("coco20i", tmp_path)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    lists = release(tmp_path)
    import_splits("coco20i", tmp_path)

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(UsageError, match=r"can't write .*No space left"):
            import_splits("coco20i", tmp_path)
    assert imported.load_class_lists("coco20i", "val", 80) == lists
    assert len(list(imported.path_of("coco20i", "val").parent.iterdir())) == 2, "no temporary file is left"


def test_fss_classes(tmp_path: Path) -> None:
    (tmp_path / "trn.txt").write_text("zebra\none-armed_bandit\n")
    (tmp_path / "test.txt").write_text("abe's_flyingfish\r\n")
    train, test = import_splits("fss1000", tmp_path)
    assert (train.summary, test.summary) == ("2 classes", "1 classes")
    assert "not those of HSNet's release" in train.differences[0]
    assert imported.load_names("fss1000", "train") == ["zebra", "one-armed_bandit"]
    assert imported.load_names("fss1000", "test") == ["abe's_flyingfish"]
    assert imported.load_names("fss1000", "val") is None


@pytest.mark.parametrize("text", ["", "a\na\n", "../up\n", "a/b\n", "a\x00b\n", ".\n", "..\n"])
def test_fss_classes_that_are_no_folder_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "trn.txt").write_text(text)
    with pytest.raises(BrokenFileError, match=r"trn\.txt"):
        import_splits("fss1000", tmp_path)


def test_the_released_lists_as_json(shared: Path) -> None:
    for side in import_splits("coco20i", shared / "reference" / "splits"):
        assert side.differences == ()
        lists = imported.load_class_lists("coco20i", side.split, 80)
        assert lists is not None
        assert is_official(side.split, lists)  # type: ignore[arg-type]
        # Another order is not the release.
        lists[1].reverse()
        assert not is_official(side.split, lists)  # type: ignore[arg-type]
    for side in import_splits("fss1000", shared / "reference" / "splits" / "fss"):
        assert side.differences == ()


def test_another_order_and_other_entries_are_told_apart(shared: Path, tmp_path: Path) -> None:
    text = gzip.decompress((shared / "reference/splits/coco/val.json.gz").read_bytes())
    lists: dict[str, list[int]] = json.loads(text)
    lists["0"].reverse()
    lists["1"][0] += 1
    lists["2"].pop()
    (tmp_path / "val.json").write_text(json.dumps(lists))
    (val,) = import_splits("coco20i", tmp_path)
    assert val.differences == (
        "the val list of fold 0 has the entries of HSNet's in another order",
        "the val list of fold 1 has other entries than HSNet's",
        "the val list of fold 2 has 14562 entries, HSNet's has 14563",
    )
    assert facts().entries["val"][2] == 14563


# --- checkouts and archives -------------------------------------------------------------------------------------


def packed(folder: Path, path: Path, top: str = "hsnet-main") -> Path:
    """An archive as GitHub gives it out: everything is in one folder."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*.*")):
                archive.write(file, Path(top, file.relative_to(folder)))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, top)
    return path


@pytest.mark.parametrize(
    "below", ["data/splits/coco", "datasets/COCO2014/splits", "fs-cs/data/splits/coco", "matcher/data/splits/coco", "."]
)
@pytest.mark.parametrize("kind", ["checkout", "zip", "tar.gz"])
def test_a_repository_as_it_is(tmp_path: Path, below: str, kind: str) -> None:
    repository = tmp_path / "repository"
    lists = release(repository / below)
    (repository / "data/splits/pascal/val").mkdir(parents=True)
    (repository / "data/splits/pascal/val/fold0.txt").write_text("2007_000033__01\n")
    (repository / ".git/val").mkdir(parents=True)
    (repository / ".git/val/fold0.pkl").write_bytes(b"no list")
    if kind == "checkout":
        source = repository
    else:
        (repository / ".git/val/fold0.pkl").unlink()
        source = packed(repository, tmp_path / f"main.{kind}")
    assert [side.split for side in import_splits("coco20i", source)] == ["val", "train"]
    for side in ("val", "train"):
        assert imported.load_class_lists("coco20i", side, 80) == lists  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["checkout", "zip"])
def test_copies_have_to_be_equal(tmp_path: Path, kind: str) -> None:
    repository = tmp_path / "repository"
    for below in ("fs-s/data/splits/coco", "fs-cs/data/splits/coco", "other/LVIS"):
        release(repository / below, ("val",))
    change(repository / "other/LVIS", "val/fold1.pkl", 1, [image_name("val", 3)])
    source = repository if kind == "checkout" else packed(repository, tmp_path / "main.zip")
    assert len(import_splits("coco20i", source)) == 1, "LVIS is another data set"
    change(repository / "fs-s/data/splits/coco", "val/fold1.pkl", 1, [image_name("val", 3)])
    source = repository if kind == "checkout" else packed(repository, tmp_path / "main.zip")
    with pytest.raises(UsageError, match=r"two different files val/fold1\.pkl: .*fs-cs.* and .*fs-s"):
        import_splits("coco20i", source)


@pytest.mark.parametrize("kind", ["checkout", "zip"])
def test_fss_classes_of_a_repository(tmp_path: Path, kind: str) -> None:
    """GF-SAM's has two copies, with the line ends of two machines; a list of PASCAL has the same name."""
    repository = tmp_path / "repository"
    for below, text in (
        ("datasets/FSS-1000/splits", b"zebra\r\nabacus\r\n"),
        ("matcher/data/splits/fss", b"zebra\nabacus\n"),
        ("data/splits/pascal", b"2007_000033\n"),
    ):
        (repository / below).mkdir(parents=True)
        (repository / below / "test.txt").write_bytes(text)
    source = repository if kind == "checkout" else packed(repository, tmp_path / "main.zip")
    assert [side.summary for side in import_splits("fss1000", source)] == ["2 classes"]
    assert imported.load_names("fss1000", "test") == ["zebra", "abacus"]


def test_pfenets_order_in_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "repository" / "SCL_PFENet" / "lists" / "coco"
    folder.mkdir(parents=True)
    (folder / "val_data_list.txt").write_text("val2014/COCO_val2014_000000000009.jpg x.png\n")
    (side,) = import_splits("coco20i", packed(tmp_path / "repository", tmp_path / "main.tar.gz"))
    assert (side.release, side.summary) == ("PFENet", "the order of 1 images")


def test_archives_that_are_refused(tmp_path: Path, monkeypatch) -> None:
    repository = tmp_path / "repository"
    release(repository / "data/splits/coco", ("val",))
    with pytest.raises(MissingError, match=r"main\.zip has no FSS-1000 splits"):
        import_splits("fss1000", packed(repository, tmp_path / "main.zip"))
    change(repository / "data/splits/coco", "val/fold3.pkl", 3, [Runs()])
    source = packed(repository, tmp_path / "main.zip")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrokenFileError, match=r"hsnet-main/data/splits/coco/val/fold3\.pkl is not a split file"):
        import_splits("coco20i", source)
    assert not (tmp_path / "made-by-a-pickle").exists()
    with zipfile.ZipFile(tmp_path / "large.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coco/val/fold0.pkl", bytes(65 << 20))
    with pytest.raises(BrokenFileError, match=r"fold0\.pkl has 68157440 bytes, more than the 67108864"):
        import_splits("coco20i", tmp_path / "large.zip")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(65):
            archive.writestr(f"coco{number}/val/fold0.pkl", b"")
    with pytest.raises(BrokenFileError, match="more than 64 split files"):
        import_splits("coco20i", tmp_path / "many.zip")
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(BrokenFileError, match=r"page\.zip is not a folder, a zip"):
        import_splits("coco20i", tmp_path / "page.zip")
    assert not imported.path_of("coco20i", "val").exists()
