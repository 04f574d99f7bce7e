"""Run folders: what a run says of itself, and which runs may go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fssbench import evaluate
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.results import Existing, load_run, read_run
from fssbench.results.folder_state import check_folder
from fssbench.results.row_writer import RowWriter
from fssbench.results.run_writer import RunFolder
from tests.engine.stub import NearestColour, Patches, questions, rules

STORED = Path(__file__).parent / "stored"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    evaluate(NearestColour(), Patches(), questions(count=4), protocol=rules(), out=tmp_path / "run")
    return tmp_path / "run"


def test_a_run_folder_holds_question_answer_and_meaning(run: Path) -> None:
    assert sorted(path.name for path in run.iterdir()) == [
        "episodes-fold0.json", "rows.jsonl", "run.json", "summary.json",
    ]  # fmt: skip
    record = json.loads((run / "run.json").read_text())
    assert record["folds"][0]["episodes_hash"] == questions(count=4).hash
    assert record["dataset"]["fingerprint"] == "f" * 64
    assert record["protocol"] == {
        "name": "shapes", "task": "fss", "input": [24, 24], "resize": "pillow-bilinear", "score_at": "original",
        "ignore": "leave-out", "base": None, "absent": "count",
    }  # fmt: skip
    environment = record["starts"][0]["environment"]
    assert {"torch", "numpy", "pandas", "pillow", "opencv-python"} <= environment["packages"].keys()
    assert environment["device"] == "cpu"
    assert all(environment[name] for name in ("python", "platform", "device_name", "threads"))


def test_what_is_asked_again_can_be_read(run: Path) -> None:
    from fssbench.episode import read_episodes

    assert read_episodes(run / "episodes-fold0.json") == questions(count=4)
    again = evaluate(NearestColour(), Patches(), read_episodes(run / "episodes-fold0.json"), protocol=rules())
    assert again.summary().miou == load_run(run).summary().miou


def test_summary_json_holds_the_numbers(run: Path) -> None:
    record, summary = json.loads((run / "summary.json").read_text()), load_run(run).summary()
    assert (record["miou"], record["fb_iou"], record["episodes"]) == (summary.miou, summary.fb_iou, 4)
    assert record["intervals"]["miou"] == {
        "low": summary.intervals["miou"].low, "high": summary.intervals["miou"].high,
    }  # fmt: skip
    assert [entry["class_id"] for entry in record["per_class"]] == [1, 2, 3]


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda r: r.update(colour="red"), "colour"),
        (lambda r: r.update(schema_version=2), "schema_version"),
        (lambda r: r.pop("way"), "way"),
        (lambda r: r["method"].update(task="fs"), "method.task"),
        (lambda r: r["folds"][0].update(fold="0"), "folds.0.fold"),
        (lambda r: r["folds"][0].update(fold=10**30), "folds.fold"),
        (lambda r: r["folds"][0].update(episodes=2**62), "folds.episodes"),
        (lambda r: r["folds"][0].update(run_length=0), "folds.run_length"),
        (lambda r: r["folds"][0].update(run_length=10**30), "folds.run_length"),
        (lambda r: r["folds"][0].update(unanswered=-1), "folds.unanswered"),
        (lambda r: r["folds"][0].update(classes=[1, 2, 10**30]), "folds.classes"),
        (lambda r: r["folds"][0].update(base_classes=[10**30]), "folds.base_classes"),
        (lambda r: r.update(limit=-4), "limit"),
        (lambda r: r.update(shot=2**31), "shot"),
        (lambda r: r.update(way=0), "way"),
        (lambda r: r.update(shard=[3, 2]), "shard"),
        (lambda r: r.update(shard=[0, 2]), "shard"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_is_none_is_refused(run: Path, edit: Callable[[dict[str, Any]], object], told: str) -> None:
    change(run / "run.json", edit)
    with pytest.raises(BrokenFileError, match=rf"not a record of a run .*\({told}\)"):
        read_run(run)


def test_rows_of_other_episodes_are_refused(run: Path) -> None:
    change(run / "run.json", lambda r: r["folds"][0].update(episodes=3))
    with pytest.raises(BrokenFileError, match="episode 3, which is not in the run"):
        load_run(run)


def test_rows_that_the_list_does_not_ask_are_not_continued(run: Path) -> None:
    text = (run / "rows.jsonl").read_text()
    (run / "rows.jsonl").write_text(text.replace('"query":"p1"', '"query":"p2"'))
    with pytest.raises(BrokenFileError, match="episode 1 is not the list's episode"):
        evaluate(NearestColour(), Patches(), questions(count=4), protocol=rules(), out=run, resume=True)


def test_a_smaller_limit_does_not_continue(run: Path) -> None:
    arguments = {"protocol": rules(), "out": run, "resume": True}
    with pytest.raises(UsageError, match="which --limit 2 leaves out"):
        evaluate(NearestColour(), Patches(), questions(count=4), limit=2, **arguments)
    assert evaluate(NearestColour(), Patches(), questions(count=4), limit=4, **arguments).missing == 0


def test_a_larger_limit_continues(tmp_path: Path) -> None:
    arguments = {"protocol": rules(), "out": tmp_path / "run", "resume": True}
    assert len(evaluate(NearestColour(), Patches(), questions(), limit=2, **arguments).frame) == 2
    assert len(evaluate(NearestColour(), Patches(), questions(), limit=5, **arguments).frame) == 5
    assert len(evaluate(NearestColour(), Patches(), questions(), **arguments).frame) == 12
    assert len(load_run(tmp_path / "run").frame) == 12


def test_a_run_that_another_process_writes_is_not_joined(run: Path) -> None:
    whole = load_run(run)
    with RowWriter(run / "rows.jsonl"), pytest.raises(UsageError, match="another run is writing"):
        RunFolder(run, whole.run, {0: questions(count=4)}, Existing.RESUME)
    RunFolder(run, whole.run, {0: questions(count=4)}, Existing.RESUME).close()


@pytest.mark.parametrize("existing", list(Existing))
def test_a_folder_of_other_files_is_never_touched(tmp_path: Path, existing: Existing) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(UsageError, match="do not belong to a run"):
        check_folder(tmp_path, existing)
    with pytest.raises(UsageError, match="a file, not a folder"):
        check_folder(tmp_path / "thesis.tex", existing)
    check_folder(tmp_path / "new", existing)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no run"):
        load_run(tmp_path)


@pytest.mark.parametrize("folder", sorted(STORED.iterdir()), ids=lambda path: path.name)
def test_stored_runs_of_earlier_versions_still_load(folder: Path) -> None:
    results = load_run(folder)
    expected = json.loads((folder / "summary.json").read_text())
    summary = results.summary()
    assert results.missing == 0
    assert (summary.miou, summary.fb_iou, summary.exact_ratio) == pytest.approx(
        (expected["miou"], expected["fb_iou"], expected["exact_ratio"])
    )
