"""Folds of several runs as one measurement, and what is message of those that are not answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.checking.measured import measured, subject_name
from fssbench.checking.stated import against_stated
from fssbench.errors import UsageError
from tests.tables.runs import run_of, write_run


def begun(folder: Path, folds: tuple[int, ...], answered: tuple[int, ...]) -> None:
    """Write a run of several folds, of which only some were answered."""
    write_run(folder, run_of(folds=folds), 0.5)
    rows = (folder / "rows.jsonl").read_text().splitlines(keepends=True)
    kept = [row for row in rows if any(f'"fold":{fold},' in row for fold in answered)]
    (folder / "rows.jsonl").write_text("".join(kept))


def test_a_fold_that_one_run_has_not_begun_is_answered_by_another(tmp_path: Path) -> None:
    begun(tmp_path / "a", (0, 1), (0,))
    begun(tmp_path / "b", (1, 2), (1, 2))
    [one] = measured([tmp_path])
    assert [(fold.record.fold, fold.partial) for fold in one.folds] == [(0, ""), (1, ""), (2, "")]
    assert not one.whole
    assert one.subject.folders == f"{tmp_path / 'a'}, {tmp_path / 'b'}"


def test_a_fold_that_nobody_answered_is_told(tmp_path: Path) -> None:
    begun(tmp_path / "a", (0, 1), (0,))
    begun(tmp_path / "b", (2, 3), (2, 3))
    [one] = measured([tmp_path / "a", tmp_path / "b", tmp_path])
    assert [fold.record.fold for fold in one.folds] == [0, 1, 2, 3]
    assert one.folds[1].numbers is None
    assert "unfinished: 4 episodes" in one.folds[1].partial
    assert not one.whole


def test_a_run_without_an_answer_is_told(tmp_path: Path) -> None:
    begun(tmp_path / "a", (0,), ())
    [one] = measured([tmp_path])
    assert one.summary is None
    assert "unfinished" in one.folds[0].partial


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "hsnet resnet50 shapes20i 1-way 1-shot"),
        ({"variant": "fss"}, "hsnet resnet50 shapes20i 1-way 1-shot"),
        ({"variant": "baseline"}, "hsnet baseline resnet50 shapes20i 1-way 1-shot"),
        ({"variant": "fscs", "task": "fscs"}, "hsnet resnet50 shapes20i FS-CS 1-way 1-shot"),
    ],
)
def test_name(change: dict[str, str], name: str) -> None:
    run = run_of()
    assert subject_name(replace(run, method=replace(run.method, **change))) == name


def test_a_shard_is_held_against_nothing_and_makes_no_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "part" / "shard-1-of-2", replace(run_of(), shard=(1, 2)))
    [one] = measured([tmp_path])
    assert {fold.partial for fold in one.folds} == {"shard 1/2 of a run, only a part of the list (fssbench merge)"}
    assert not one.whole
    with pytest.raises(UsageError, match="can't be checked: shard 1/2"):
        against_stated(tmp_path, {"miou": 50.0}, None, 1.0)
    write_run(tmp_path / "all" / "shard-1-of-1", replace(run_of(), shard=(1, 1)))
    [one] = measured([tmp_path / "all"])
    assert one.whole


def test_a_precision_that_is_not_float32_is_part_of_the_name() -> None:
    assert subject_name(replace(run_of(), precision="tf32")) == "hsnet resnet50 tf32 shapes20i 1-way 1-shot"


def test_folds_in_two_precisions_are_two_measurements_without_a_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "exact", run_of(folds=(0, 1)), 0.5)
    write_run(tmp_path / "rounded", replace(run_of(folds=(2, 3)), precision="bfloat16"), 0.6)
    found = measured([tmp_path])
    assert [[its.record.fold for its in one.folds] for one in found] == [[0, 1], [2, 3]]
    assert [one.summary.miou for one in found if one.summary is not None] == pytest.approx([50.0, 60.0])
    assert not any(one.whole for one in found)


def test_a_number_of_classes_that_training_has_seen_is_no_number_to_hold_against_another(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(dataset="pascal5i", train_dataset="coco20i", leaking={2: ("cat",)}))
    [one] = measured([tmp_path])
    assert [fold.partial for fold in one.folds] == [
        "", "", "training on coco20i has seen classes that are tested: cat", ""
    ]  # fmt: skip
    assert not one.whole
