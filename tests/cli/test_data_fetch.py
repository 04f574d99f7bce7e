"""`fssbench data fetch` against a host on this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fssbench.datasets.fetching import sources
from fssbench.datasets.splits import stored as imported
from fssbench.downloads import space
from fssbench.downloads.remote import digest
from tests.datasets.fetching.conftest import (
    ANNOTATIONS,
    BERKELEY,
    COCO,
    IDS,
    OF_SBD,
    OF_VOC,
    Change,
    coco,
    host,
    mirror,
    pascal,
    stated,
    tarred,
    zipped,
)
from tests.downloads.host import Host

__all__ = ["coco", "host", "mirror", "pascal", "stated"]

DRAW = ("--dataset", "coco20i", "--protocol", "hsnet", "--fold", "0", "--count", "2")


def files_in(folder: Path) -> list[str]:
    """The files that a person finds; those of the work folder are left out."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and ".fssbench" not in p.parts)


def photo(i: int) -> str:
    return f"val2014/COCO_val2014_{i:012d}.jpg"


def test_a_split_comes_in_archives_and_is_not_fetched_twice(coco: Host, fssbench: Any, tmp_path: Path) -> None:
    command = ("data", "fetch", "coco20i", "--split", "val", "--root", str(tmp_path))
    code, out, err = fssbench(*command)
    assert code == 0, err
    assert out.splitlines()[0].startswith("annotations: annotations_trainval2014.zip from 127.0.0.1:")
    assert "to download: " in out
    annotations = [f"annotations/instances_{split}2014.json" for split in ("train", "val")]
    assert files_in(tmp_path / "COCO2014") == [*annotations, *map(photo, IDS)]
    asked = len(coco.requests)
    code, out, _ = fssbench(*command)
    assert (code, len(coco.requests)) == (0, asked)
    (tmp_path / "COCO2014" / photo(3)).unlink()
    assert fssbench(*command)[0] == 0
    assert [path for path, _ in coco.requests[asked:]] == [f"{COCO}/zips/val2014.zip"]
    assert (tmp_path / "COCO2014" / photo(3)).is_file()


def test_archives_are_kept_and_used_again_if_that_is_wanted(coco: Host, fssbench: Any, tmp_path: Path) -> None:
    command = ("data", "fetch", "coco20i", "--split", "val", "--root", str(tmp_path), "--keep-archives")
    assert fssbench(*command)[0] == 0
    folder = tmp_path / "COCO2014"
    assert (folder / "archives" / "val2014.zip").read_bytes() == coco.files[f"{COCO}/zips/val2014.zip"]
    (folder / photo(3)).unlink()
    asked = len(coco.requests)
    code, out, _ = fssbench(*command)
    assert (code, len(coco.requests)) == (0, asked)
    assert f"from {folder}/archives/val2014.zip, which is here" in out
    assert (folder / photo(3)).is_file()
    (folder / photo(3)).unlink()
    with (folder / "archives" / "val2014.zip").open("ab") as archive:
        archive.write(b"x")
    code, _, err = fssbench(*command)
    assert code == 2
    assert "val2014.zip is not the recorded file: it has" in err


def test_the_photos_of_a_list_come_one_by_one(coco: Host, fssbench: Any, tmp_path: Path) -> None:
    root = ("--root", str(tmp_path))
    code, _, err = fssbench("data", "fetch", "coco20i", "--fold", "1", *root, "--dry-run")
    assert code == 0, err
    assert files_in(tmp_path / "COCO2014") == []
    # The annotations come first: without them nobody knows which photos a list has.
    code, out, err = fssbench("data", "fetch", "coco20i", "--without-photos", *root)
    assert code == 0, err
    assert files_in(tmp_path / "COCO2014") == [f"annotations/instances_{split}2014.json" for split in ("train", "val")]
    assert f"coco20i: what was wanted is in {tmp_path / 'COCO2014'}" in out
    code, out, err = fssbench("data", "fetch", "coco20i", "--fold", "1", *root, "--dry-run")
    assert (code, out) == (0, f"photos: 8 of 8 are fetched from {coco.address.partition('//')[2]}, some 1.3 MB\n")
    code, out, err = fssbench("data", "fetch", "coco20i", "--fold", "1", *root)
    assert code == 0, err
    assert "photos: 8 of 8 are fetched from 127.0.0.1" in out
    assert "some 1.3 MB" in out
    assert "8 photos fetched" in out
    assert f"{COCO}/zips/val2014.zip" not in dict(coco.requests)
    shutil.rmtree(tmp_path / "COCO2014" / "val2014")
    out_file = str(tmp_path / "list.json")
    assert fssbench("episodes", "export", *DRAW, *root, "--skip-short-classes", "--out", out_file)[0] == 0
    code, out, err = fssbench("data", "fetch", "coco20i", "--episodes", out_file, *root)
    assert code == 0, err
    episodes = json.loads(Path(out_file).read_text())["episodes"]
    names = {name for one in episodes for name in (one["query"], *(s for way in one["supports"] for s in way))}
    assert files_in(tmp_path / "COCO2014" / "val2014") == sorted(name.removeprefix("val2014/") for name in names)
    code, out, _ = fssbench("data", "fetch", "coco20i", "--episodes", out_file, *root)
    assert f"all {len(names)} photos are here" in out


@pytest.mark.parametrize("kind", ["page", "size", "half", "none"])
def test_what_is_no_photo_of_the_right_size_is_not_put_in_place(
    coco: Host, fssbench: Any, tmp_path: Path, kind: str
) -> None:
    path = f"{COCO}/{photo(3)}"
    if kind == "page":
        coco.pages.add(path)
    elif kind == "size":
        Image.new("RGB", (40, 30)).save(tmp_path / "other.jpg")
        coco.files[path] = (tmp_path / "other.jpg").read_bytes()
    elif kind == "half":
        coco.files[path] = coco.files[path][:700]
    else:
        del coco.files[path]
    code, _, err = fssbench("data", "fetch", "coco20i", "--fold", "0", "--root", str(tmp_path))
    assert code == 2
    said = {
        "page": "shows a web page, not the file",
        "size": "has 40 x 30 pixels, its labels 96 x 128",
        "half": "is not a whole photo",
        "none": "its host says 404 Not Found",
    }
    assert said[kind] in err
    assert not (tmp_path / "COCO2014" / photo(3)).exists()


def test_a_wrong_hash_and_a_page_end_the_command(coco: Host, fssbench: Any, tmp_path: Path) -> None:
    command = ("data", "fetch", "coco20i", "--split", "val", "--root", str(tmp_path))
    right = coco.files[ANNOTATIONS]
    coco.files[ANNOTATIONS] = right[:-1] + b"x"
    code, _, err = fssbench(*command)
    assert code == 2
    assert "is not the recorded file: its sha256 begins" in err
    coco.files[ANNOTATIONS] = right
    coco.pages.add(ANNOTATIONS)
    code, _, err = fssbench(*command)
    assert code == 2
    assert "shows a web page" in err
    assert "try: try again later, or save annotations_trainval2014.zip from https://cocodataset.org/#download" in err
    assert files_in(tmp_path / "COCO2014") == []


def test_pascal_comes_from_two_hosts_and_its_masks_are_built(pascal: Host, fssbench: Any, tmp_path: Path) -> None:
    command = ("data", "fetch", "pascal5i", "--root", str(tmp_path))
    code, out, err = fssbench(*command)
    assert code == 0, err
    folder = tmp_path / "VOC2012"
    files = [f"JPEGImages/{OF_VOC}.jpg", f"JPEGImages/{OF_SBD}.jpg", f"SBD/cls/{OF_SBD}.mat"]
    files += [f"SegmentationClass/{OF_VOC}.png", *(f"SegmentationClassAug/{name}.png" for name in (OF_VOC, OF_SBD))]
    assert files_in(folder) == ["ImageSets/Segmentation/val.txt", *files]
    assert "benchmark.tgz: nobody states its hash; its sha256 is " in err
    assert f"augmented masks: fssbench data build pascal5i --voc {folder} --sbd {folder}/SBD" in out.splitlines()
    assert "2 of 2 masks of the common copy" in out
    # What masks are made of is not fetched where they are.
    shutil.rmtree(folder / "SBD")
    shutil.rmtree(folder / "SegmentationClass")
    asked = len(pascal.requests)
    code, out, _ = fssbench(*command)
    assert (code, len(pascal.requests)) == (0, asked)
    assert "data build" not in out


def test_of_pascal_val_needs_no_sbd(pascal: Host, fssbench: Any, tmp_path: Path) -> None:
    code, _, err = fssbench("data", "fetch", "pascal5i", "--root", str(tmp_path), "--split", "val")
    assert code == 0, err
    assert BERKELEY not in dict(pascal.requests)
    assert files_in(tmp_path / "VOC2012" / "SegmentationClassAug") == [f"{OF_VOC}.png"]


def test_an_archive_that_lacks_files_is_not_taken_for_whole(pascal: Host, fssbench: Any, tmp_path: Path) -> None:
    command = ("data", "fetch", "pascal5i", "--root", str(tmp_path))
    right = pascal.files[BERKELEY]
    pascal.files[BERKELEY] = tarred({"benchmark_RELEASE/dataset/train.txt": b""}, "w:gz")
    code, _, err = fssbench(*command)
    assert code == 2
    assert "does not have all of the masks of SBD: there are 0 of 1 files SBD/cls/*.mat" in err
    pascal.files[BERKELEY] = right
    assert fssbench(*command)[0] == 0


def test_a_set_behind_a_login_is_explained_and_unpacked_where_it_was_saved(
    mirror: Host, stated: Change, fssbench: Any, tmp_path: Path
) -> None:
    command = ("data", "fetch", "deepglobe", "--root", str(tmp_path))
    code, out, err = fssbench(*command)
    assert code == 2
    page = "https://www.kaggle.com/datasets/balraj98/deepglobe-land-cover-classification-dataset"
    assert f"open {page} in a browser" in out
    assert "Deepglobe/train/ID_sat.jpg, ID_mask.png" in out
    assert "have to be saved by hand" in err
    archive = page.rpartition("/")[2] + ".zip"
    saved = zipped({f"archive/train/{n}_{end}": b"x" for n in (1, 10) for end in ("sat.jpg", "mask.png")})
    stated("deepglobe", archive, None, holds={"train/*_mask.png": 2})
    (tmp_path / archive).write_bytes(saved)
    code, out, err = fssbench(*command)
    assert code == 0, err
    assert files_in(tmp_path / "Deepglobe") == [f"train/{n}_{end}" for n in (10, 1) for end in ("mask.png", "sat.jpg")]
    assert (tmp_path / archive).is_file()
    assert mirror.requests == []
    # What a program can have comes, whatever else is missing.
    classes = b"ID,Class\r\n"
    commit = "0155c5fe9212f46ce98c6c32c495008e92bb4795"
    mirror.files[f"/raw.githubusercontent.com/slei109/PATNet/{commit}/data/isic/class_id.csv"] = classes
    stated("isic2018", "class_id.csv", classes)
    code, out, err = fssbench("data", "fetch", "isic2018", "--root", str(tmp_path))
    assert code == 2
    assert "the masks and the photos of isic2018" in err
    assert (tmp_path / "ISIC" / "class_id.csv").read_bytes() == classes


def test_lists_of_a_release_are_fetched_and_imported_once(
    mirror: Host, fssbench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.loads(json.dumps(sources._stated()))
    lists = raw["fss1000"]["lists"]
    for split, file in (("train", "trn.txt"), ("val", "val.txt"), ("test", "test.txt")):
        content = f"{split}_a\n{split}_b\n".encode()
        lists[split] = {file: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
        mirror.files["/" + lists["url"].format(file=file).partition("://")[2]] = content
    raw["fss1000"]["parts"][0]["holds"] = {"*/*.jpg": 0}
    monkeypatch.setattr(sources, "_stated", lambda: raw)
    command = ("data", "fetch", "fss1000", "--root", str(tmp_path))
    code, out, err = fssbench(*command)
    assert code == 0, err
    assert "HSNet's lists: 3 files from 127.0.0.1" in out
    assert out.count("imported: the ") == 3
    assert imported.load_names("fss1000", "val") == ["val_a", "val_b"]
    asked = len(mirror.requests)
    shutil.rmtree(tmp_path / "FSS-1000")
    code, out, _ = fssbench(*command)
    assert (code, len(mirror.requests)) == (0, asked)
    assert "imported" not in out


def test_the_stated_lists_are_those_of_the_release(shared: Path) -> None:
    """Sizes and hashes in sources.toml are those of the release's files, as far as they are here."""
    folder, found = shared / "reference" / "splits", 0
    for name in ("coco20i", "fss1000"):
        source = sources.source_of(name)
        assert source is not None
        for part in (part for part in source.parts if part.lists):
            path = folder / part.into.removeprefix("splits/") / part.files[0]
            if path.is_file():
                found += 1
                assert (path.stat().st_size, digest(path)) == (part.size, part.sha256)
    assert found or pytest.skip("the release's list files are not here")


def test_a_disk_without_room_is_found_first(
    coco: Host, fssbench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("usage", (), {"free": space.RESERVE + 1000})()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    code, _, err = fssbench("data", "fetch", "coco20i", "--split", "val", "--root", str(tmp_path))
    assert code == 2
    assert "coco20i needs" in err
    assert "give a folder on another disk with --root" in err
    assert coco.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shapes20i",), "it is rendered"),
        (("folder",), "it is your own data"),
        (("coco",), "unknown dataset 'coco'"),
        (("pascal5i", "--fold", "0", "--root", "x"), "--episodes, --fold and --without-photos do not fit"),
        (("suim", "--split", "val", "--root", "x"), "not divided by split"),
        (("coco20i", "--split", "test", "--root", "x"), "its splits are train, val"),
        (("coco20i",), "nothing says where coco20i should go"),
    ],
)
def test_mistakes_are_sentences(fssbench: Any, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = fssbench("data", "fetch", *arguments)
    assert code == 2
    assert said in err
    assert "try:" in err


def test_the_data_folder_may_have_another_name(coco: Host, fssbench: Any, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mine" / "annotations").mkdir(parents=True)
    assert fssbench("data", "fetch", "coco20i", "--fold", "0", "--root", str(tmp_path / "mine"))[0] == 0
    assert (tmp_path / "mine" / photo(1)).is_file()
    monkeypatch.setenv("FSSBENCH_DATA", str(tmp_path / "all"))
    assert fssbench("data", "fetch", "coco20i", "--fold", "0")[0] == 0
    assert (tmp_path / "all" / "COCO2014" / photo(1)).is_file()
