"""Pipes among files, and files that begin with a byte order mark."""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

import pytest

import fssbench
from fssbench.checking.baselines import read_baselines
from fssbench.config import config_file
from fssbench.datasets.coco20i.facts import image_name
from fssbench.datasets.coco20i.image_order import read_image_list
from fssbench.datasets.folder.check import check_folder
from fssbench.datasets.io.pickled_lists import read_pickle
from fssbench.datasets.roots import find_root
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.splits.importing import import_splits
from fssbench.datasets.targets.isic2018 import Isic2018
from fssbench.episode import read_episodes, write_episodes
from fssbench.errors import BrokenFileError
from fssbench.files import file_size, shipped
from fssbench.predictions.presence import find_presence, read_presence
from fssbench.results import load_run, read_rows
from fssbench.training.recipes import read_recipes
from tests.datasets.trees import annotation, box, coco_tree, isic_tree, label_map, own_tree, voc_tree
from tests.engine.stub import questions
from tests.tables.runs import run_of, write_run

MASKS = {f"p{n}": label_map((1, 5, 5, 30, 30)) for n in range(3)}


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return own_tree(tmp_path / "own", MASKS, '[classes]\n1 = "leaf"\n')


@pytest.mark.parametrize("name", ["images/p0.jpg", "images/new.png", "masks/p1.png", "dataset.toml", "val.txt"])
@pytest.mark.parametrize("decode", [True, False])
def test_a_pipe_in_own_data_is_named(root: Path, name: str, decode: bool) -> None:
    path = pipe(root / name)
    found = [text for text, _ in check_folder(root, decode=decode).faults]
    assert any(str(path) in text and "a pipe, a socket or a device" in text for text in found)


def test_a_pipe_as_json_is_no_json(root: Path) -> None:
    pipe(root / "annotations.json")
    assert check_folder(root).complete


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_rows(path),
        lambda path: load_run(path.parent),
        lambda path: read_pickle(path),
        lambda path: read_image_list(path),
        lambda path: find_presence(path.parent, {"presence.json"}),
        lambda path: read_presence(path),
        lambda path: read_episodes(path),
        lambda path: read_recipes(path),
    ],
)
def test_no_reader_waits_for_a_pipe(tmp_path: Path, read: Callable[[Path], object]) -> None:
    for name in ("run.json", "presence.json"):
        pipe(tmp_path / name)
    with pytest.raises(BrokenFileError, match=r"it is a pipe|is no file|is not a regular file"):
        read(tmp_path / "run.json")


def test_pipes_in_data_sets_and_the_configuration(tmp_path: Path) -> None:
    voc = voc_tree(tmp_path, MASKS, ["p0"])
    pipe(voc / "ImageSets" / "Segmentation" / "val.txt")
    with pytest.raises(BrokenFileError, match="it is a pipe"):
        fssbench.open_dataset("pascal5i", voc).entries(0)
    isic = isic_tree(tmp_path, {"a": "nevus"})
    pipe(isic / "class_id.csv")
    with pytest.raises(BrokenFileError, match="it is a pipe"):
        Isic2018(isic).entries(0, "test")
    coco = coco_tree(tmp_path, {"val": ([1], [])})
    pipe(coco / "annotations" / "instances_val2014.json")
    with pytest.raises((BrokenFileError, fssbench.errors.MissingError)):
        fssbench.open_dataset("coco20i", coco).entries(0)
    pipe(config_file())
    with pytest.raises(BrokenFileError, match="it is a pipe"):
        find_root("pascal5i")


def test_a_device_is_no_file() -> None:
    with pytest.raises(OSError, match="a device"):
        file_size(Path("/dev/zero"))


def mark(path: Path) -> Path:
    """Begin a file with the mark that some editors write."""
    path.write_bytes(BOM_UTF8 + path.read_bytes())
    return path


def test_a_coco_json_with_a_byte_order_mark(tmp_path: Path, root: Path) -> None:
    coco = coco_tree(tmp_path, {"val": ([1], [annotation(1, 1, 1, box(0, 0, 60, 60))])})
    mark(coco / "annotations" / "instances_val2014.json")
    assert fssbench.open_dataset("coco20i", coco).entries(0)["name"].tolist() == [image_name("val", 1)]
    for path in (root / "masks").iterdir():
        path.unlink()
    (root / "masks").rmdir()
    images = [{"id": n, "file_name": f"p{n}.jpg", "height": 128, "width": 96} for n in range(3)]
    annotations = [{"id": n, "image_id": n, "category_id": 1, "segmentation": [box(5, 5, 30, 30)]} for n in range(3)]
    categories = [{"id": 1, "name": "leaf"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "export.json").write_text(json.dumps(content))
    mark(root / "export.json")
    assert fssbench.open_dataset("folder", root).index("val")["pixels"].tolist() == [900] * 3


def test_lists_and_answers_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_episodes(questions(), tmp_path / "list.json")
    assert read_episodes(mark(path)) == questions()
    for name, text in (("a.json", '{"fold0-00000": [1, 0]}'), ("a.csv", "fold0-00000,1,0\n"), ("b.csv", "id,1\n")):
        (tmp_path / name).write_text(text)
    assert read_presence(mark(tmp_path / "a.json")) == {"fold0-00000": (True, False)}
    assert read_presence(mark(tmp_path / "a.csv")) == {"fold0-00000": (True, False)}
    assert read_presence(mark(tmp_path / "b.csv")) == {}, "the heading is one"
    (tmp_path / "recipes.toml").write_text("")
    assert read_recipes(mark(tmp_path / "recipes.toml")) == {}
    (tmp_path / "val_data_list.txt").write_text("a/COCO_val2014_000000000007.jpg b.png\n")
    assert read_image_list(mark(tmp_path / "val_data_list.txt")) == [7]
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(f'[data]\npascal5i = "{tmp_path}"\n')
    mark(config_file())
    assert find_root("pascal5i") is not None


def test_split_files_with_a_byte_order_mark(tmp_path: Path) -> None:
    voc = voc_tree(tmp_path, MASKS, ["p0", "p1"])
    mark(voc / "ImageSets" / "Segmentation" / "val.txt")
    assert fssbench.open_dataset("pascal5i", voc).val_names == {"p0", "p1"}  # type: ignore[attr-defined]
    folder = tmp_path / "splits" / "fss"
    folder.mkdir(parents=True)
    (folder / "test.txt").write_text("apple\npear\n")
    mark(folder / "test.txt")
    import_splits("fss1000", folder)
    assert imported.load_names("fss1000", "test") == ["apple", "pear"]


def test_a_run_and_baselines_with_a_byte_order_mark(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", run_of())
    for name in ("run.json", "rows.jsonl"):
        mark(run / name)
    assert load_run(run).run == run_of()
    assert load_run(run).missing == 0
    path = tmp_path / "shapes20i.csv"
    path.write_bytes((shipped("benchmarks/baselines") / path.name).read_bytes())
    expected = read_baselines(tmp_path, ["shapes20i"])
    mark(path)
    assert read_baselines(tmp_path, ["shapes20i"]) == expected
    assert expected
