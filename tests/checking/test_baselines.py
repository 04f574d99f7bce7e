"""Runs against committed baselines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.checking import report_of, stated_tolerance
from fssbench.checking.baselines import COLUMNS, read_baselines
from fssbench.errors import BrokenFileError, MissingError
from fssbench.results.weights_record import Weights
from tests.checking.runs import baselines_of, cells_of, on, with_folds, write_baselines
from tests.tables.runs import limited, run_of, write_run


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return baselines_of(tmp_path / "baselines", write_run(tmp_path / "before", on(run_of()), 0.5))


def report(folder: Path, known: Path, **arguments):
    return report_of([folder], "baseline", baselines=known, **arguments)


def test_the_same_is_exact(tmp_path: Path, known: Path) -> None:
    its = report(tmp_path / "before", known)
    assert len(its.checks) == 8
    assert {check.verdict for check in its.checks} == {"pass"}
    assert {str(check.tolerance) for check in its.checks} == {"exact"}
    assert its.uncompared == ()


def test_one_hundredth_is_a_miss(tmp_path: Path, known: Path) -> None:
    its = report(write_run(tmp_path / "now", on(run_of()), 0.501), known)
    assert [check.title for check in its.missed][:2] == ["fold 0 mIoU", "fold 0 FB-IoU"]
    assert its.missed[0].difference == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("where", "message"),
    [({"torch": "2.12.0"}, "torch 2.12.0 here, 2.13.0 there"), ({"device": "cuda:0"}, "cuda:0 here")],
)
def test_other_versions_and_devices_have_a_stated_tolerance(tmp_path: Path, known: Path, where, message: str) -> None:
    near = report(write_run(tmp_path / "near", on(run_of(), **where), 0.502), known)
    assert near.missed == ()
    assert near.checks[0].tolerance is not None
    assert near.checks[0].tolerance.tier == "same weights and episodes, other versions or device"
    assert message in near.checks[0].remark
    assert report(write_run(tmp_path / "far", on(run_of(), **where), 0.51), known).missed


def test_a_number_in_another_precision_is_not_held_to_be_exact_and_names_it(tmp_path: Path, known: Path) -> None:
    run = replace(on(run_of()), precision="bfloat16")
    near = report(write_run(tmp_path / "near", run, 0.502), known)
    assert near.missed == ()
    assert {check.remark for check in near.checks} == {"in bfloat16 here, in float32 there"}
    assert {check.subject.name for check in near.checks} == {"hsnet resnet50 bfloat16 shapes20i 1-way 1-shot"}
    assert report(write_run(tmp_path / "far", run, 0.51), known).missed


def test_other_weights_are_a_miss_whatever_they_reach(tmp_path: Path, known: Path) -> None:
    run = with_folds(on(run_of()), lambda fold: replace(fold, weights=Weights("checkpoint", "2" * 64)))
    folder = write_run(tmp_path / "now", run, 0.5)
    its = report(folder, known)
    assert [check.title for check in its.missed] == [f"fold {n} weights" for n in range(4)]
    assert "222222222222 here, 000000000000 there" in its.missed[0].remark
    assert report(folder, known, stated=stated_tolerance(0.1)).missed == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: limited(run, 2), "only the first 2 of 4"),
        (lambda run: replace(run, shot=5), "no baseline"),
        (lambda run: replace(run, train_dataset="pascal5i"), "no baseline"),
        (lambda run: replace(run, method=replace(run.method, variant="x")), "no baseline"),
        (lambda run: with_folds(run, lambda fold: replace(fold, episodes_hash="b")), "other episodes"),
        (lambda run: with_folds(run, lambda fold: replace(fold, data_fingerprint="b")), "other data"),
    ],
)
def test_another_question_is_not_compared(tmp_path: Path, known: Path, change, message: str) -> None:
    its = report(write_run(tmp_path / "now", change(on(run_of())), 0.5), known)
    assert {check.verdict for check in its.checks} == {"none"}
    assert len(its.uncompared) == 4
    assert message in its.uncompared[0]


def test_one_fold_without_a_baseline_is_named(tmp_path: Path) -> None:
    run = on(run_of())
    rows = [cells_of(run, run.folds[0], {"miou": "50.00", "fb_iou": "75.00"})]
    its = report(write_run(tmp_path / "now", run, 0.5), write_baselines(tmp_path / "known", rows))
    assert its.decided == 2
    assert len(its.uncompared) == 3


GOOD = {"miou": "50.00", "fb_iou": "75.00"}


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"miou": "nan"}, "miou"),
        ({"fb_iou": "101"}, "fb_iou"),
        ({"fold": "-1"}, "fold"),
        ({"task": "x"}, "task"),
        ({"checkpoint_sha256": "xyz"}, "checkpoint_sha256"),
        ({"method": ""}, "method"),
    ],
)
def test_a_broken_cell_is_named(tmp_path: Path, cells: dict[str, str], column: str) -> None:
    run = on(run_of())
    folder = write_baselines(tmp_path / "known", [cells_of(run, run.folds[0], {**GOOD, **cells})])
    with pytest.raises(BrokenFileError, match=rf"shapes20i\.csv, line 2, column {column}"):
        read_baselines(folder, ["shapes20i"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"method,miou\n", "line 1: the columns are not"),
        ((",".join(COLUMNS) + "\nhsnet\n").encode(), "line 2: not 21 cells"),
        (b"\xff\xfe", "is not a CSV file"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "shapes20i.csv").write_bytes(content)
    with pytest.raises(BrokenFileError, match=message):
        read_baselines(tmp_path, ["shapes20i"])


def test_a_data_set_without_a_file_has_none(tmp_path: Path) -> None:
    assert read_baselines(tmp_path, ["shapes20i", "../shapes20i"]) == []
    with pytest.raises(MissingError, match="no folder of baselines"):
        read_baselines(tmp_path / "gone", [])
