"""JSON whose objects have a key twice is refused by every reader, and small work finds it in large files."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.checkpoints.files import file_metadata, stated_options
from fssbench.datasets.coco20i.labels import read_annotations
from fssbench.datasets.folder.coco import parsed
from fssbench.datasets.folder.exports import read_export
from fssbench.datasets.splits.stored import load, path_of, store
from fssbench.episode import read_episodes, write_episodes
from fssbench.errors import BrokenFileError
from fssbench.hub.configs import read_json
from fssbench.results import read_rows
from fssbench.results.rows import Row, line_of
from fssbench.results.run_reader import read_run
from fssbench.toml import parse
from fssbench.unique_keys import RepeatedKeyError, _may_repeat, loads, refuse_repeated
from tests.datasets.trees import annotation, box, instances
from tests.engine.stub import questions

TWICE = {
    '{"a": 1, "a": 2}': "a",
    '{"a": {"b": 1}, "a": 2}': "a",
    '[{"a": {"b": [{"c": 1}, {"c": 1, "c": 2}]}}]': "c",
    '{"x": "}{", "b": 1, "b": 1}': "b",
    '{"x": {"y": {}}, "b": 2, "c": {"y": {"z": 1}}, "b": 1}': "b",
    '{"\\u0061": 1, "a": 2}': "a",
    '{"a": "\\"", "a": "\\\\"}': "a",
    '{"a1": {"q": {}}, "a1": 2}': "a1",
    '{"a"\n:1 ,\t"a" : 2}': "a",
    '{"": 1, "": 2}': "",
}
ONCE = (
    '{"a": {"a": {"a": 1}}, "b": {"a": 1}}',
    '[{"a": 1}, {"a": 1}]',
    '{"a1": 1, "a2": 2, "a-2": 3}',
    '{"x": "a", "a": "x"}',
    '{"x": "{\\"a\\": 1, \\"a\\": 2}"}',
    "{}",
    "[]",
    "3",
    "",
    "}{",
    "[" * 5000,
    '{"a": 1, "a": ',
)


@pytest.mark.parametrize("text", TWICE)
def test_a_key_that_is_twice_in_an_object_is_named(text: str):
    with pytest.raises(RepeatedKeyError, match=f"'{TWICE[text]}' twice"):
        loads(text)
    with pytest.raises(BrokenFileError, match=f"f.json: it has the key '{TWICE[text]}' twice in one object"):
        refuse_repeated(text.encode(), "f.json")


@pytest.mark.parametrize("text", ONCE, ids=lambda text: text[:20])
def test_everything_else_is_left_to_the_parser(text: str):
    refuse_repeated(text.encode(), "f.json")


def test_a_large_file_of_few_forms_is_not_parsed():
    records = [{"id": n, "box": [n, 1.5e-3], "mask": {"counts": "P3", "size": [n, 2]}, "area": n} for n in range(2000)]
    text = json.dumps({"info": {"url": "http://a/b"}, "annotations": records, "categories": [{"id": 3}]})
    assert not _may_repeat(text.encode())
    assert _may_repeat(text.replace('"area": 1999', '"area": 1999, "id": 1').encode())


def coco(path: Path) -> None:
    read_annotations(path, "")


def own_coco(path: Path) -> None:
    document, faults = parsed(path.read_bytes(), path)
    if document is None:
        raise BrokenFileError(faults[0].text)


def split_lists(path: Path) -> None:
    path_of("coco20i", "val").write_bytes(path.read_bytes())
    load("coco20i", "val")


def safetensors(path: Path) -> None:
    header = path.read_bytes()
    weights = path.with_suffix(".safetensors")
    weights.write_bytes(struct.pack("<Q", len(header)) + header)
    file_metadata(weights)
    stated_options(weights)


STORED = Path(__file__).parent / "results" / "stored" / "schema1-copy-mask" / "run.json"
ROW = Row(0, 0, "q", (1,), (("s",),), (1, 1), (2, 2), (True,), (True,), 0.5)
LABELME = {"imagePath": "a.jpg", "shapes": [{"label": "leaf", "points": [[1, 2], [3, 4], [5, 6]]}]}
OWN = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 4}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]}],
    "categories": [{"id": 1, "name": "leaf"}],
}
READERS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "COCO": (coco, instances("val", [7], [annotation(1, 7, 1, box(0, 0, 9, 9))]), "image_id"),
    "own COCO": (own_coco, json.dumps(OWN), "file_name"),
    "LabelMe": (read_export, json.dumps(LABELME), "imagePath"),
    "split lists": (split_lists, "", "side"),
    "rows": (read_rows, f"{line_of(ROW)}\n", "query"),
    "run.json": (lambda path: read_run(path.parent), STORED.read_text(), "way"),
    "config.json": (read_json, '{"model_type": "vit"}', "model_type"),
    "safetensors": (safetensors, '{"__metadata__": {"options": "{}"}}', "options"),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_refuses_a_key_twice(name: str, tmp_path: Path):
    reader, text, key = READERS[name]
    path = tmp_path / ("run.json" if name == "run.json" else "f.json")
    text = text or store("coco20i", "val", {}).read_text()
    path.write_text(text)
    reader(path)
    # The same key and value once more, so that only the repetition is wrong.
    place = re.search(rf'"{key}": ?("[^"]*"|\d+)', text)
    assert place is not None
    path.write_text(text.replace(place[0], f"{place[0]}, {place[0]}", 1))
    with pytest.raises(BrokenFileError, match=f"'{key}' twice"):
        reader(path)


def test_an_episode_list_refuses_a_key_twice(tmp_path: Path):
    path = write_episodes(questions(), tmp_path / "list.json")
    text = path.read_text()
    for key in ("protocol", "query"):
        place = re.search(rf'"{key}": ?"[^"]*"', text)
        assert place is not None
        path.write_text(text.replace(place[0], f"{place[0]}, {place[0]}", 1))
        with pytest.raises(BrokenFileError, match=f"'{key}' twice"):
            read_episodes(path)


def test_toml_refuses_it_too():
    with pytest.raises(ValueError, match="overwrite"):
        parse("a = 1\na = 2\n")
