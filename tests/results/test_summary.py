"""summary.json: numbers under their names, and what has to be said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pandas as pd
import pytest

from fssbench import evaluate
from fssbench.metrics.summary import summarise
from fssbench.protocols.rules import BaseRule, protocol
from fssbench.results import Results, Run, load_run
from fssbench.results.caveats import caveats
from fssbench.results.rows import Row, frame_of
from fssbench.results.summary import caveats_without_truth, summary_record
from tests.engine.stub import NearestColour, Patches, questions, rules
from tests.results.test_run_reader import STORED
from tests.tables.runs import run_of, write_run


def perfect(class_id: int, episode: int, there: bool = True, fold: int = 0, **other: object) -> Row:
    """An episode that is answered without a fault."""
    pixels = 40 if there else 0
    counts = (100 - pixels, pixels)
    row = Row(
        episode=episode, fold=fold, query=f"q{episode}", classes=(class_id,), supports=(("s",),), intersection=counts,
        union=counts, present=(there,), truth=(there,), seconds=0.0,
    )  # fmt: skip
    return replace(row, **other)  # type: ignore[arg-type]


def run_with(classes: tuple[int, ...], *, folds: int = 1, run_length: int | None = None) -> Run:
    run = run_of(folds=tuple(range(folds)), episodes=100)
    return replace(run, folds=tuple(replace(fold, classes=classes, run_length=run_length) for fold in run.folds))


def test_both_means_stand_under_their_names(tmp_path: Path) -> None:
    write_run(tmp_path / "run", run_with((1, 2, 3, 4, 5)), iou=0.5, answered=2)
    short = load_run(tmp_path / "run")
    frame = short.frame[short.frame["episode"] < 2]
    frame = frame.assign(truth=[(True,)] * len(frame))
    summary = replace(short, frame=frame).summary(draws=0)
    record = summary_record(summary)
    assert (record["miou"], record["miou_all_classes"]) == (50.0, pytest.approx(20.0))
    [fold] = cast("list[dict[str, object]]", record["folds"])
    assert (fold["miou"], fold["miou_all_classes"], fold["asked"]) == (50.0, pytest.approx(20.0), (1, 2))
    assert summary.frame[["fold", "miou", "miou_all_classes"]].to_numpy().tolist() == [
        ["0", 50.0, pytest.approx(20.0)],
        ["mean", 50.0, pytest.approx(20.0)],
    ]
    assert summary.frame["total_miou"].isna().all()
    assert not {"base_miou_all_classes", "total_miou_all_classes", "notes"} & record.keys()


def test_the_means_are_one_where_every_class_is_asked() -> None:
    results = Results(frame_of([perfect(1, 0), perfect(2, 1)]), run_with((1, 2)))
    record = summary_record(results.summary(draws=0))
    assert record["miou"] == record["miou_all_classes"] == 100.0
    strict = results.summary(all_classes=True, draws=0)
    assert strict.miou == strict.miou_all_classes == 100.0


def test_each_run_of_a_list_has_both_means() -> None:
    # The first run asks both classes, the second one of them.
    rows = [perfect(1, 0), perfect(2, 1), perfect(1, 2), perfect(1, 3)]
    summary = Results(frame_of(rows), run_with((1, 2), run_length=2)).summary(draws=0)
    assert [run.miou_all_classes for run in summary.folds[0].runs] == [100.0, 50.0]
    assert [run.miou_all_classes for run in summary.runs] == [100.0, 50.0]
    assert (summary.miou, summary.miou_all_classes) == (100.0, 75.0)
    record = summary_record(summary)
    assert [run["miou_all_classes"] for run in record["runs"]] == [100.0, 50.0]  # type: ignore[attr-defined]


def test_base_classes_asked_together_have_both_means() -> None:
    base = ((7, 10, 20, 20),)
    run = run_with((1, 2))
    run = replace(
        run,
        folds=tuple(replace(fold, base_classes=(7, 8)) for fold in run.folds),
        protocol=replace(run.protocol, base=together()),
    )
    summary = Results(frame_of([perfect(1, 0, base=base), perfect(1, 1, base=base)]), run).summary(draws=0)
    assert (summary.miou, summary.base_miou, summary.total_miou) == (100.0, 50.0, 75.0)
    found = (summary.miou_all_classes, summary.base_miou_all_classes, summary.total_miou_all_classes)
    assert found == (50.0, 25.0, 37.5)
    assert summary_record(summary)["total_miou_all_classes"] == 37.5


def test_base_classes_asked_apart_are_those_that_a_label_holds() -> None:
    run = run_with((1, 2))
    run = replace(run, folds=tuple(replace(fold, base_classes=(7, 8)) for fold in run.folds))
    rows = [perfect(1, 0, base=((7, 10, 20, 20),))]
    record = summary_record(Results(frame_of(rows), run).summary(draws=0))
    assert (record["miou_all_classes"], record["base_miou"]) == (50.0, 50.0)
    assert not {"base_miou_all_classes", "total_miou_all_classes"} & record.keys()


def together() -> BaseRule | None:
    return protocol("bam-gfss").base


def test_rows_alone_do_not_say_which_classes_there_are() -> None:
    summary = summarise(frame_of([perfect(1, 0)]), draws=0)
    assert summary.miou_all_classes is None
    assert "miou_all_classes" not in summary_record(summary)
    assert summary.folds[0].miou_all_classes is None


@pytest.mark.parametrize("folder", sorted(STORED.iterdir()), ids=lambda path: path.name)
def test_earlier_runs_have_both_means(folder: Path) -> None:
    summary = load_run(folder).summary(draws=0)
    assert summary.miou_all_classes is not None
    assert 0.0 < summary.miou_all_classes <= summary.miou


def of_five(*absent: int, fold: int = 0) -> list[Row]:
    return [perfect(c, 5 * n + c, c not in absent, fold) for n in range(2) for c in range(1, 6)]


def test_a_class_without_a_pixel_counts_0_and_that_is_said() -> None:
    summary = summarise(frame_of(of_five(3)), draws=0)
    assert summary.miou == 80.0
    assert summary.folds[0].without_truth == (3,)
    (note,) = caveats_without_truth(summary)
    assert note.startswith("fold 0: no query has a pixel of class 3, which counts 0 in mIoU")
    record = summary_record(summary)
    assert record["notes"] == [note]
    assert record["folds"][0]["without_truth"] == (3,)  # type: ignore[index]
    assert caveats_without_truth(summarise(frame_of(of_five()), draws=0)) == []


def test_one_fold_of_several() -> None:
    frame = frame_of([*of_five(), *of_five(2, 4, fold=1)])
    summary = summarise(frame, draws=0)
    assert [fold.without_truth for fold in summary.folds] == [(), (2, 4)]
    assert [note.partition(",")[0] for note in caveats_without_truth(summary)] == [
        "fold 1: no query has a pixel of classes 2"
    ]


@pytest.mark.parametrize("answered", [0, 30])
def test_a_class_whose_truth_is_to_be_ignored_throughout(answered: int) -> None:
    # The label map has no pixel of it, whatever the answer says of the others.
    rows = [
        row if row.classes != (3,) else replace(row, union=(100, answered), intersection=(100 - answered, 0))
        for row in of_five(3)
    ]
    assert summarise(frame_of(rows), draws=0).folds[0].without_truth == (3,)


def test_a_class_whose_last_pixel_is_lost_at_the_size_that_is_counted() -> None:
    rows = [row if row.classes != (3,) else replace(row, truth=(True,)) for row in of_five(3)]
    assert summarise(frame_of(rows), draws=0).folds[0].without_truth == (3,)


def test_rows_say_where_the_last_pixel_was_lost_whatever_the_answer() -> None:
    wrong = {"truth": (True,), "union": (100, 30), "intersection": (70, 0)}
    rows = [row if row.classes != (3,) else replace(row, **wrong) for row in of_five(3)]
    assert summarise(frame_of(rows), draws=0).folds[0].without_truth == ()
    lost = [replace(row, lost_query=(row.classes == (3,),)) for row in rows]
    assert summarise(frame_of(lost), draws=0).folds[0].without_truth == (3,)
    mixed = [*rows[:5], *lost[5:]]
    assert summarise(frame_of(mixed), draws=0).folds[0].without_truth == ()


def test_a_class_of_several_ways_that_no_query_shows() -> None:
    row = Row(
        episode=0, fold=0, query="q", classes=(1, 2), supports=(("s",), ("s",)), intersection=(60, 40, 0),
        union=(60, 40, 0), present=(True, False), truth=(True, False), seconds=0.0,
    )  # fmt: skip
    swapped = replace(
        row, episode=1, classes=(2, 3), intersection=(60, 0, 40), union=(60, 0, 40), present=(False, True),
        truth=(False, True),
    )  # fmt: skip
    summary = summarise(frame_of([row, swapped]), draws=0)
    assert summary.folds[0].without_truth == (2,)
    shown = replace(swapped, episode=2, intersection=(20, 40, 40), union=(20, 40, 40), truth=(True, True))
    assert summarise(frame_of([row, swapped, shown]), draws=0).folds[0].without_truth == ()


def test_one_query_that_shows_a_class_is_enough() -> None:
    frame = pd.concat([frame_of(of_five(3)), frame_of([perfect(3, 20)])])
    assert summarise(frame, draws=0).folds[0].without_truth == ()


def test_it_is_said_beside_the_numbers(tmp_path: Path) -> None:
    lists = questions(count=4)
    results = evaluate(NearestColour(), Patches(), lists, protocol=rules(), out=tmp_path / "run")
    assert not [said for said in caveats(results, results.summary(draws=0), [lists]) if "no query has" in said]
    frame = results.frame.assign(truth=[(row != (2,),) for row in results.frame["classes"]])
    changed = replace(results, frame=frame)
    said = caveats(changed, changed.summary(draws=0), [lists])
    assert len([line for line in said if "no query has a pixel of class 2," in line]) == 1
