"""`fssbench eval --fetch`: the photos of its episodes come on the way, and the rows are those of the photos on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.fetching.conftest import ANNOTATIONS, COCO, Change, coco, host, mirror, stated, zipped
from tests.downloads.host import Host

__all__ = ["coco", "host", "mirror", "stated"]

EVAL = ("eval", "--method", "copy-mask", "--dataset", "coco20i", "--protocol", "hsnet", "--quiet")
SHORT = "--skip-short-classes"


def rows(folder: Path) -> list[dict[str, object]]:
    """The rows of a run, without what depends on the clock."""
    read = map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    return sorted(({**row, "seconds": None} for row in read), key=lambda row: row["episode"])


@pytest.fixture
def sample(mirror: Host, stated: Change, shared: Path) -> Path:
    """The real sample of COCO, on the host photo by photo; its annotations are an archive there."""
    folder = shared / "data" / "COCO2014"
    names = [f"annotations/instances_{split}2014.json" for split in ("val", "train")]
    archive = zipped({name: (folder / name).read_bytes() for name in names})
    stated("coco20i", "annotations_trainval2014.zip", archive)
    mirror.files[ANNOTATIONS] = archive

    def find(path: str) -> bytes | None:
        file = folder / path.removeprefix(f"{COCO}/")
        return file.read_bytes() if file.is_file() else None

    mirror.find = find
    return folder


@pytest.mark.usefixtures("elsewhere")
def test_rows_are_those_of_the_photos_on_disk(mirror: Host, sample: Path, fssbench: Any, tmp_path: Path) -> None:
    shown = ("--fold", "0", "--episodes", "6", SHORT)
    code, _, err = fssbench(*EVAL, *shown, "--root", str(sample), "--out", "here")
    assert code == 0, err
    assert mirror.requests == []
    code, _, err = fssbench(*EVAL, *shown, "--root", str(tmp_path / "new"), "--out", "fetched", "--fetch")
    assert code == 0, err
    assert "annotations: annotations_trainval2014.zip from 127.0.0.1" in err
    here, fetched = rows(Path("here")), rows(Path("fetched"))
    assert len(here) == 6
    assert here == fetched
    episodes = [
        json.loads(Path(run, "run.json").read_text())["folds"][0]["episodes_hash"] for run in ("here", "fetched")
    ]
    assert episodes[0] == episodes[1]
    # Each photo of the episodes was fetched once, and no other.
    photos = [path for path, _ in mirror.requests if path.endswith(".jpg")]
    assert len(photos) == len(set(photos))
    assert f"photos: {len(photos)} of {len(photos)} are fetched from 127.0.0.1" in err
    assert {p.name for p in (tmp_path / "new" / "COCO2014" / "val2014").iterdir()} == {Path(p).name for p in photos}
    # The second time everything is here.
    asked = len(mirror.requests)
    code, _, err = fssbench(*EVAL, *shown, "--root", str(tmp_path / "new"), "--out", "again", "--fetch")
    assert (code, len(mirror.requests)) == (0, asked)
    assert f"all {len(photos)} photos are here" in err
    assert rows(Path("again")) == here


@pytest.mark.usefixtures("elsewhere")
def test_a_list_fetched_before_gives_the_same_rows(mirror: Host, sample: Path, fssbench: Any, tmp_path: Path) -> None:
    draw = ("--dataset", "coco20i", "--protocol", "hsnet", "--count", "6", SHORT)
    assert fssbench("episodes", "export", *draw, "--fold", "1", "--root", str(sample), "--out", "list.json")[0] == 0
    root = ("--root", str(tmp_path / "new"))
    code, out, err = fssbench("data", "fetch", "coco20i", "--episodes", "list.json", *root)
    assert code == 0, err
    asked = len(mirror.requests)
    for where, out in ((root, "fetched"), (("--root", str(sample)), "here")):
        code, _, err = fssbench(*EVAL, "--episodes", "list.json", *where, "--out", out)
        assert code == 0, err
    assert rows(Path("fetched")) == rows(Path("here"))
    assert len(mirror.requests) == asked


@pytest.mark.usefixtures("elsewhere")
def test_a_photo_that_is_none_ends_the_run_which_goes_on_later(coco: Host, fssbench: Any) -> None:
    command = (*EVAL, SHORT, "--fold", "0", "--episodes", "6", "--root", "new", "--fetch", "--out", "run")
    photo = f"{COCO}/val2014/COCO_val2014_{2:012d}.jpg"
    coco.pages.add(photo)
    code, _, err = fssbench(*command)
    assert code == 2
    assert "shows a web page, not the file" in err
    assert not Path("new/COCO2014/val2014").joinpath(Path(photo).name).exists()
    coco.pages.clear()
    code, _, err = fssbench(*command, "--resume")
    assert code == 0, err
    assert len(rows(Path("run"))) == 6


@pytest.mark.usefixtures("elsewhere")
def test_data_whose_photos_come_in_archives_is_refused(fssbench: Any) -> None:
    command = ("eval", "--method", "copy-mask", "--dataset", "pascal5i", "--fold", "0", "--fetch")
    code, _, err = fssbench(*command)
    assert code == 2
    assert "try: fssbench data fetch pascal5i before" in err
