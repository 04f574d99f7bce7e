"""Columns that follow from rows: class names and IoU, of stored runs and of those in memory."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import fssbench
from fssbench.results import load_run
from fssbench.results.derived import by_class


def test_names_and_ious_of_an_evaluation_and_of_its_folder(tmp_path: Path) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, way=2, count=3)
    results = fssbench.evaluate(
        fssbench.build("copy-mask", variant="fscs", way=2), dataset, episodes, out=tmp_path / "run"
    )
    frame = results.frame
    assert frame["class_names"].tolist() == [episode.class_names for episode in episodes]
    for intersection, union, ious in zip(frame["intersection"], frame["union"], frame["iou"], strict=True):
        for both, either, iou in zip(intersection[1:], union[1:], ious, strict=True):
            assert math.isnan(iou) if not either else iou == pytest.approx(100 * both / either)
    long = results.by_class()
    assert len(long) == 6
    assert long["class_name"].tolist() == [name for episode in episodes for name in episode.class_names]
    assert long["iou"].notna().any()
    # The file of rows is as it was: what follows from it is not stored.
    stored = json.loads((tmp_path / "run" / "rows.jsonl").read_text().splitlines()[0])
    assert not {"class_names", "iou"} & stored.keys()
    again = load_run(tmp_path / "run")
    assert again.frame["class_names"].tolist() == frame["class_names"].tolist()
    assert again.summary().miou == fssbench.summarise(frame).miou


def test_a_run_of_an_earlier_version_has_label_values(tmp_path: Path) -> None:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, count=2)
    fssbench.evaluate(fssbench.build("copy-mask"), dataset, episodes, out=tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    record = json.loads(path.read_text())
    assert record["folds"][0].pop("class_names")[0] == dataset.class_names[record["folds"][0]["classes"][0]]
    path.write_text(json.dumps(record))
    old = load_run(tmp_path / "run")
    assert old.frame["class_names"].tolist() == [tuple(map(str, episode.classes)) for episode in episodes]
    # It goes on with names, and is still the same run.
    results = fssbench.evaluate(fssbench.build("copy-mask"), dataset, episodes, out=tmp_path / "run", resume=True)
    assert results.missing == 0
    empty = old.frame.iloc[:0]
    assert list(by_class(empty).columns)[:2] == ["fold", "episode"]
