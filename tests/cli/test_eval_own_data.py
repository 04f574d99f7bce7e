"""`fssbench eval` on one's own photos: what has to be said beside the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.datasets.trees import box, save_photo

pytestmark = pytest.mark.usefixtures("elsewhere")
ALL = ("eval", "--method", "all-foreground", "--dataset", "folder", "--root", "own", "--fold", "0", "-q")


def test_crowds_are_said_beside_the_numbers(fssbench, tmp_path: Path):
    names = [f"p{number}.jpg" for number in range(3)]
    for name in names:
        save_photo(tmp_path / "own" / "images" / name, (40, 60))
    images = [{"id": number, "file_name": name, "height": 40, "width": 60} for number, name in enumerate(names)]
    objects = [
        {
            "id": number,
            "image_id": number % 3,
            "category_id": 1,
            "iscrowd": number // 3,
            "segmentation": [box(3, 3, 20, 20)],
        }
        for number in range(4)
    ]
    document = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "leaf"}]}
    (tmp_path / "own" / "export.json").write_text(json.dumps(document))
    (tmp_path / "own" / "dataset.toml").write_text('[classes]\n1 = "leaf"\n')
    code, out, err = fssbench(*ALL, "--episodes", "4", "--out", "run")
    assert (code, err) == (0, "")
    said = "own/export.json: crowds (iscrowd 1) are background: 1 annotation (1 of 'leaf'; id 3), beside 3"
    assert any(line.startswith(said) for line in out.splitlines())
