"""`fssbench eval` on one's own photos: what has to be said beside the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fssbench import episodes, open_dataset
from fssbench.results import load_run
from tests.datasets.trees import box, label_map, own_tree, save_photo

pytestmark = pytest.mark.usefixtures("elsewhere")
ALL = ("eval", "--method", "all-foreground", "--dataset", "folder", "--root", "own", "--fold", "0", "-q")


def test_crowds_are_said_beside_the_numbers(fssbench, tmp_path: Path) -> None:
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
    said = "own/export.json: crowds (iscrowd 1) are background: 1 annotation (1 of 'leaf'; id 3), next to 3"
    assert any(line.startswith(said) for line in out.splitlines())


def test_more_shots_than_photos_are_refused_and_repeated_supports_counted(fssbench, tmp_path: Path) -> None:
    labels = {f"p{number}": label_map((1, 3, 3, 20, 20), size=(40, 60)) for number in range(4)}
    own_tree(tmp_path / "own", labels, '[classes]\n1 = "leaf"\n')
    code, out, err = fssbench(*ALL, "--shots", "4", "--episodes", "8", "--out", "four")
    assert (code, out) == (2, "")
    assert "folder (fold 0, val) has too few images of leaf (4); an episode needs 5 different ones" in err
    code, out, _ = fssbench(*ALL, "--shots", "3", "--episodes", "8", "--out", "three")
    assert code == 0
    drawn = episodes(open_dataset("folder", tmp_path / "own"), 0, 1, 3, "hsnet", count=8)
    again = sum(len(set(episode.supports[0])) < 3 for episode in drawn)
    assert 0 < again < 8
    said = f"in {again} of 8 episodes a support occurs more than once, so a class has fewer than 3 different supports"
    assert said in out.splitlines()
    assert len(load_run(tmp_path / "three").frame) == 8
    code, out, _ = fssbench(*ALL, "--shots", "1", "--episodes", "8", "--out", "one")
    assert (code, "more than once" in out) == (0, False)


def test_photos_changed_since_a_run_began_end_it(fssbench, tmp_path: Path) -> None:
    labels = {f"p{number}": label_map((1, 3, 3, 20, 20), size=(40, 60)) for number in range(6)}
    own_tree(tmp_path / "own", labels, '[classes]\n1 = "leaf"\n')
    assert fssbench(*ALL, "--episodes", "8", "--limit", "4", "--out", "run")[0] == 0
    for photo in (tmp_path / "own" / "images").iterdir():
        save_photo(photo, (40, 60), shade=10)
    code, out, err = fssbench(*ALL, "--episodes", "8", "--out", "run", "--resume")
    assert (code, out) == (2, "")
    assert "the run in run can't be continued: 5 of the 5 photos of its rows have changed since" in err
    assert len(load_run(tmp_path / "run").frame) == 4


def test_the_name_of_the_data_is_in_the_run_and_may_change(fssbench, tmp_path: Path) -> None:
    labels = {f"p{number}": label_map((1, 3, 3, 20, 20), size=(40, 60)) for number in range(6)}
    own_tree(tmp_path / "own", labels, '[classes]\n1 = "leaf"\n')
    names = ("--label", "Mine (ours)", "--label-backbone", "ViT")
    assert fssbench(*ALL, "--episodes", "8", "--limit", "4", "--out", "run", *names)[0] == 0
    before = load_run(tmp_path / "run").run.dataset
    assert before.title == "own data in own"
    (tmp_path / "own" / "dataset.toml").write_text('name = "Leaves"\n[classes]\n1 = "leaf"\n')
    assert fssbench(*ALL, "--episodes", "8", "--out", "run", "--resume")[0] == 0
    continued = load_run(tmp_path / "run")
    assert len(continued.frame) == 8
    assert (continued.run.label, continued.run.label_backbone) == ("Mine (ours)", "ViT"), "kept if not named again"
    assert continued.run.folds[0].class_names == ("leaf",)
    assert fssbench(*ALL, "--episodes", "4")[0] == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert "folder-Leaves-" in folder.name
    run = load_run(folder).run
    assert (run.dataset.title, run.dataset.fingerprint) == ("Leaves", before.fingerprint)
    code, out, _ = fssbench("table", "--dataset", "leaves", "--source", "measured")
    assert code == 0
    assert "Leaves, 1-way" in out
