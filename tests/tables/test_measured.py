"""Run folders in tables: folds side by side, means only of whole runs, and marks on what must not be compared."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.tables import Comparison, compare, render
from fssbench.tables.runs import find_runs
from fssbench.tables.table import Row, Table
from tests.tables.runs import limited, run_of, write_run

APART = "not comparable with the other measured rows: other "


def ask(runs: Path, *methods: str, **rest: object) -> list[Table]:
    asked = {"methods": methods, "source": "measured", "runs": runs, **rest}
    return compare(Comparison(**asked))  # type: ignore[arg-type]


def rows(table: Table) -> dict[str, Row]:
    return {row.label: row for group in table.groups for row in group.rows}


def said(table: Table, row: Row) -> list[str]:
    return [note.text for note in table.footnotes if note.mark in row.marks]


def test_a_whole_run_has_folds_mean_and_fb_iou(tmp_path: Path) -> None:
    write_run(tmp_path / "one", run_of(), iou=0.5)
    (table,) = ask(tmp_path)
    row = rows(table)["HSNet"]
    # Every class at 50, background at 100: FB-IoU is 75.
    assert [cell.text for cell in row.cells] == ["50.0"] * 5 + ["75.0", "2.6"]
    assert table.title == "shapes20i, 1-way"
    assert row.venue == "ICCV 2021"
    assert said(table, row) == [
        "measured by fssbench, not printed anywhere; ranked among measured rows only; below a number its 95 % interval "
        "over the choice of queries",
        "protocol shapes, IoU at original size, 4 episodes per fold",
    ]


def test_a_protocol_of_several_runs_says_that_its_mean_is_given(tmp_path: Path) -> None:
    run = run_of(protocol="bam")
    folds = tuple(replace(fold, run_length=2) for fold in run.folds)
    write_run(tmp_path / "one", replace(run, folds=folds), iou=0.5)
    (table,) = ask(tmp_path)
    measured = said(table, rows(table)["HSNet"])[1]
    assert "4 episodes per fold in 2 runs, whose mean is shown" in measured


def test_the_mean_of_runs_and_the_number_of_one_list_are_no_mean(tmp_path: Path) -> None:
    several = run_of(folds=(0, 1))
    write_run(tmp_path / "a", replace(several, folds=tuple(replace(fold, run_length=2) for fold in several.folds)))
    write_run(tmp_path / "b", run_of(folds=(2, 3)))
    (table,) = ask(tmp_path)
    # Two rows, each with the mean over its own folds: they may not be compared.
    assert [(row.cells[4].text, row.cells[4].emphasis) for row in table.groups[0].rows] == [("50.0", "")] * 2
    assert all(row.cells[4].mark for row in table.groups[0].rows)


def test_folds_of_several_runs_stand_side_by_side(tmp_path: Path) -> None:
    for fold in range(3):
        write_run(tmp_path / f"fold{fold}", run_of(folds=(fold,)), iou=0.1 * (fold + 1))
    (table,) = ask(tmp_path)
    assert [cell.text for cell in rows(table)["HSNet"].cells][:5] == ["10.0", "20.0", "30.0", "-", "20.0"]
    assert "mean over folds 0, 1, 2 alone, of 4 folds" in [note.text for note in table.footnotes]
    write_run(tmp_path / "fold3", run_of(folds=(3,)), iou=0.4)
    (table,) = ask(tmp_path)
    assert [cell.text for cell in rows(table)["HSNet"].cells][:5] == ["10.0", "20.0", "30.0", "40.0", "25.0"]
    assert not any(cell.mark for cell in rows(table)["HSNet"].cells)


def test_a_fold_measured_twice_is_another_row(tmp_path: Path) -> None:
    write_run(tmp_path / "first", run_of(folds=(0,)), iou=0.1)
    write_run(tmp_path / "second", run_of(folds=(0,)), iou=0.2)
    (table,) = ask(tmp_path)
    assert [row.cells[0].text for row in table.groups[0].rows] == ["10.0", "20.0"]


def test_a_shard_is_marked_and_not_ranked_and_makes_nobody_else_the_odd_one_out(tmp_path: Path) -> None:
    write_run(tmp_path / "worse", run_of("pfenet"), iou=0.05)
    write_run(tmp_path / "whole", run_of("hsnet"), iou=0.1)
    write_run(tmp_path / "part" / "shard-2-of-2", replace(run_of("asnet"), shard=(2, 2)), iou=0.9)
    write_run(tmp_path / "other" / "shard-2-of-2", replace(run_of("bam"), shard=(2, 2)), iou=0.8)
    (table,) = ask(tmp_path)
    whole, part = rows(table)["HSNet"], rows(table)["ASNet"]
    assert [(row.cells[0].text, row.cells[0].emphasis) for row in (whole, part)] == [("10.0", "best"), ("90.0", "")]
    assert "shard 2/2, only a part of each list, so it is not ranked (fssbench merge)" in said(table, part)
    assert any(text.startswith(APART) for text in said(table, part))
    assert not any("shard" in text or text.startswith(APART) for text in said(table, whole))


def test_folds_of_a_shard_and_of_a_whole_run_are_no_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(folds=(0, 1)), iou=0.1)
    write_run(tmp_path / "b", replace(run_of(folds=(2, 3)), shard=(1, 2)), iou=0.2)
    (table,) = ask(tmp_path)
    assert [row.cells[4].text for row in table.groups[0].rows] == ["10.0", "20.0"]
    # One of one is all of it.
    write_run(tmp_path / "c", replace(run_of(folds=(2, 3)), shard=(1, 1)), iou=0.3)
    (table,) = ask(tmp_path)
    assert sorted((row.cells[4].text, bool(row.cells[4].mark)) for row in table.groups[0].rows) == [
        ("20.0", False),
        ("20.0", True),
    ]


def test_shards_that_were_put_together_are_left_out(tmp_path: Path) -> None:
    whole = write_run(tmp_path / "run", run_of())
    part = write_run(whole / "shard-1-of-2", replace(run_of(), shard=(1, 2)))
    assert find_runs(tmp_path) == [whole]
    assert find_runs(part) == [part], "it is named"
    # A shard of something else stays, as do those whose whole is not there or can't be read.
    other = write_run(whole / "shard-2-of-2", replace(run_of("asnet"), shard=(2, 2)))
    assert find_runs(tmp_path) == [whole, other]
    (whole / "run.json").write_text("{}")
    assert find_runs(tmp_path) == [whole, part, other]
    (whole / "run.json").unlink()
    assert find_runs(tmp_path) == [part, other]


def test_folds_of_another_precision_stand_in_a_row_of_their_own_that_names_it(tmp_path: Path) -> None:
    write_run(tmp_path / "exact", run_of(folds=(0, 1)), iou=0.1)
    write_run(tmp_path / "rounded", replace(run_of(folds=(2, 3)), precision="bfloat16"), iou=0.2)
    (table,) = ask(tmp_path)
    assert [[cell.text for cell in row.cells[:5]] for row in table.groups[0].rows] == [
        ["10.0", "10.0", "-", "-", "10.0"],
        ["-", "-", "20.0", "20.0", "20.0"],
    ]
    assert any("computed in bfloat16" in note.text for note in table.footnotes)


def test_shots_stand_side_by_side_in_one_row(tmp_path: Path) -> None:
    for shot in (1, 5):
        write_run(tmp_path / f"shot{shot}", run_of(shot=shot, lists=str(shot)), iou=shot / 10)
    (table,) = ask(tmp_path)
    assert [block.title for block in table.blocks] == ["1-shot", "5-shot", ""]
    assert [rows(table)["HSNet"].cells[n].text for n in (4, 10)] == ["10.0", "50.0"]


def test_floors_stand_without_a_backbone(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("all-foreground", backbone=None), iou=0.1)
    write_run(tmp_path / "b", run_of("copy-mask", backbone=None), iou=0.2)
    write_run(tmp_path / "c", run_of("asnet", backbone="small"), iou=0.6)
    write_run(tmp_path / "d", run_of("hsnet", backbone="small"), iou=0.5)
    (table,) = ask(tmp_path)
    assert [group.title for group in table.groups] == ["no backbone", "small"]
    assert not any(cell.emphasis for row in table.groups[0].rows for cell in row.cells), "floors are not ranked"
    assert rows(table)["ASNet"].cells[0].emphasis == "best"
    assert rows(table)["HSNet"].cells[0].emphasis == "second"
    assert not any(text.startswith(APART) for row in rows(table).values() for text in said(table, row))
    assert max(map(len, render([table], "terminal").splitlines())) <= 100


@pytest.mark.parametrize(
    ("odd", "says"),
    [({"lists": "b"}, "episode list"), ({"protocol": "hsnet"}, "protocol"), ({"data": "other"}, "data")],
)
def test_the_odd_one_out_is_marked(tmp_path: Path, odd: dict[str, str], says: str) -> None:
    write_run(tmp_path / "a", run_of("hsnet"))
    write_run(tmp_path / "b", run_of("asnet"))
    write_run(tmp_path / "c", run_of("prototype", **odd))  # type: ignore[arg-type]
    (table,) = ask(tmp_path)
    assert APART + says in said(table, rows(table)["prototype"])
    for name in ("HSNet", "ASNet"):
        assert not any(text.startswith(APART) for text in said(table, rows(table)[name]))


def test_where_two_differ_both_are_marked(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("hsnet"))
    write_run(tmp_path / "b", run_of("asnet", lists="b"))
    (table,) = ask(tmp_path)
    for row in rows(table).values():
        assert APART + "episode list" in said(table, row)


def test_unfinished_and_limited_runs_say_so(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(episodes=10), answered=8)
    (table,) = ask(tmp_path)
    assert "unfinished: 8 episodes are missing" in said(table, rows(table)["HSNet"])
    write_run(tmp_path / "b" / "c", limited(run_of("asnet"), 2))
    (table,) = ask(tmp_path, "asnet")
    assert "only the first 2 episodes of each list" in said(table, rows(table)["ASNet"])


def test_a_run_without_an_answer_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(), answered=0)
    with pytest.raises(MissingError, match="no run"):
        ask(tmp_path)


def test_printed_and_measured_rows_of_a_method_are_neighbours(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(dataset="pascal5i", protocol="hsnet"), iou=0.5)
    (table,) = ask(tmp_path, "hsnet", source="both", datasets=("pascal5i",), backbones=("resnet50",), shots=(1,))
    printed, measured = table.groups[0].rows
    assert (printed.label, measured.label) == ("HSNet", "HSNet")
    assert (printed.cells[4].text, measured.cells[4].text) == ("64.0", "50.0")
    assert "†" in measured.marks
    assert "†" not in printed.marks


def test_rows_of_other_data_sets_are_not_even_read(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of())
    other = write_run(tmp_path / "b", run_of(dataset="pascal5i", protocol="hsnet"))
    (other / "rows.jsonl").write_text("broken\n")
    (table,) = ask(tmp_path, datasets=("shapes20i",))
    assert set(rows(table)) == {"HSNet"}
    with pytest.raises(BrokenFileError):
        ask(tmp_path, datasets=("pascal5i",))


def test_classification_runs_have_exact_ratio(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("asnet", task="fscs", protocol="ifsl-fscs"), iou=0.5)
    (table,) = ask(tmp_path, layout="fscs")
    assert [cell.text for cell in rows(table)["ASNet"].cells][:10] == ["75.0"] * 5 + ["50.0"] * 5


def test_runs_are_found_in_folders_of_folders(tmp_path: Path) -> None:
    assert find_runs(write_run(tmp_path / "a", run_of())) == [tmp_path / "a"]
    write_run(tmp_path / "b" / "c" / "d", run_of())
    assert find_runs(tmp_path) == [tmp_path / "a", tmp_path / "b" / "c" / "d"]


def test_links_list_no_run_twice_and_lead_to_runs_elsewhere(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    one, two = write_run(runs / "one", run_of()), write_run(runs / "z" / "two", run_of("asnet"))
    other = write_run(tmp_path / "elsewhere" / "three", run_of("pfenet"))
    (runs / "self").symlink_to(runs)
    (runs / "z" / "up").symlink_to(tmp_path)
    (runs / "a").symlink_to(one)
    (runs / "b").symlink_to(two)
    (runs / "loop").symlink_to(runs / "loop")
    (runs / "gone").symlink_to(tmp_path / "nowhere")
    assert find_runs(runs) == [one, two, runs / "z" / "up" / "elsewhere" / "three"]
    (runs / "z" / "up").unlink()
    (runs / "c").symlink_to(other)
    assert find_runs(runs) == [runs / "c", one, two]
    assert find_runs(runs / "self") == [runs / "self" / name for name in ("c", "one", "z/two")]
    assert len(rows(ask(runs)[0])) == 3


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no folder of runs"):
        ask(tmp_path / "nowhere")
    with pytest.raises(MissingError, match="there is no run"):
        ask(tmp_path)
    write_run(tmp_path / "a", run_of())
    with pytest.raises(UsageError, match="unknown method 'hsnets'"):
        ask(tmp_path, "hsnets")
    (tmp_path / "a" / "run.json").write_text("{")
    with pytest.raises(BrokenFileError, match=r"run\.json"):
        ask(tmp_path)


def test_a_run_on_another_data_set_than_trained_on_is_a_pair(tmp_path: Path) -> None:
    water = "shapes20i-underwater"
    write_run(tmp_path / "a", run_of(dataset=water, train_dataset="shapes20i"), iou=0.2)
    write_run(tmp_path / "b", run_of("asnet", dataset=water, train_dataset="shapes20i"), iou=0.3)
    write_run(tmp_path / "c", run_of(dataset=water), iou=0.4)
    pair, alone = ask(tmp_path)
    assert (pair.title, alone.title) == ("shapes20i → shapes20i-underwater, 1-way", "shapes20i-underwater, 1-way")
    assert {label: row.cells[0].text for label, row in rows(pair).items()} == {"HSNet": "20.0", "ASNet": "30.0"}
    (chosen,) = ask(tmp_path, datasets=(f"shapes20i_to_{water}",))
    assert chosen.title == pair.title
    assert r"shapes20i $\rightarrow$ shapes20i-underwater" in render([pair], "latex")


def test_a_data_set_that_was_only_asked_from_elsewhere_says_how_to_ask(tmp_path: Path) -> None:
    water = "shapes20i-underwater"
    write_run(tmp_path / "a", run_of(dataset=water, train_dataset="shapes20i"), iou=0.2)
    with pytest.raises(MissingError) as missed:
        ask(tmp_path, datasets=(water,))
    assert f"--dataset shapes20i_to_{water}" in str(missed.value.remedy)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("task", ["fss", "fscs"])
def test_own_data_has_as_many_folds_as_its_files_say(tmp_path: Path, count: int, task: Literal["fss", "fscs"]) -> None:
    run = run_of(dataset="folder", protocol="hsnet", task=task)
    every = (*run.folds, replace(run.folds[0], fold=4))
    run = replace(run, dataset=replace(run.dataset, fold_count=count), folds=every[:count])
    write_run(tmp_path / "whole" / "run", run)
    (table,) = ask(tmp_path / "whole", layout=task)
    names = [column.name for block in table.blocks for column in block.columns]
    folds = [f"fold-{fold}" for fold in range(count)] if count > 1 else []
    assert [name for name in names if name.startswith("fold")] == folds * (2 if task == "fscs" else 1)
    assert table.title.startswith("own data, ")
    (row,) = rows(table).values()
    assert "-" not in [cell.text for cell in row.cells], "all folds and their mean are there"
    (line,) = csv.DictReader(io.StringIO(render([table], "csv")))
    assert all(line[f"fold{fold}"] for fold in range(count))
    if count > 1:
        write_run(tmp_path / "part" / "run", replace(run, folds=run.folds[:-1]))
        (table,) = ask(tmp_path / "part", layout=task)
        (row,) = rows(table).values()
        assert row.cells[count].text != "-"
        assert row.cells[count].mark, "the mean over a part of the folds has a footnote"


def test_folders_of_own_data_stand_under_their_names(tmp_path: Path) -> None:
    for number, title in enumerate(("Coral reef", "leaves", None)):
        run = run_of(dataset="folder", protocol="hsnet", train_dataset="shapes20i" if title == "leaves" else None)
        data = replace(run.dataset, title=title, fingerprint=f"{number}" * 64, fold_count=4)
        write_run(tmp_path / f"run{number}", replace(run, dataset=data), iou=(number + 1) / 10)
    tables = {table.title: rows(table)["HSNet"].cells[0].text for table in ask(tmp_path)}
    assert tables == {"Coral reef, 1-way": "10.0", "shapes20i → leaves, 1-way": "20.0", "own data, 1-way": "30.0"}
    assert not any("not comparable" in note.text for table in ask(tmp_path) for note in table.footnotes)
    assert [table.title for table in ask(tmp_path, datasets=("folder",))] == ["own data, 1-way", "Coral reef, 1-way"]
    for name in ("coral reef", "leaves"):
        (table,) = ask(tmp_path, datasets=(name,))
        assert name in table.title.lower()
    with pytest.raises(UsageError, match="unknown data set 'leafs'; did you mean leaves"):
        ask(tmp_path, datasets=("leafs",))
    both = ask(tmp_path, datasets=("folder",))
    lines = list(csv.DictReader(io.StringIO(render(both, "csv"))))
    assert [(line["dataset"], line["own_data"]) for line in lines] == [("folder", ""), ("folder", "Coral reef")]
    assert '"own_data": "Coral reef"' in render(both, "json")


def test_a_run_that_tests_what_training_has_seen_is_marked_and_not_ranked(tmp_path: Path) -> None:
    across = {"dataset": "pascal5i", "train_dataset": "coco20i"}
    leaks = {2: ("cat",), 3: ("car",)}
    write_run(tmp_path / "a", run_of(test_classes="unseen", **across), iou=0.2)
    write_run(tmp_path / "b", run_of("asnet", test_classes="repri-released", leaking=leaks, **across), iou=0.9)
    (table,) = ask(tmp_path, datasets=("coco20i_to_pascal5i",), source="measured")
    found = rows(table)
    assert [found[label].entries[0].competes for label in ("HSNet", "ASNet")] == [True, False]
    said = [note.text for note in table.footnotes]
    assert "tests classes that training on coco20i has seen, so it is not ranked (fold 2: cat; fold 3: car)" in said
    assert "test classes: repri-released" in said
    assert found["HSNet"].cells[4].text == "20.0"


def test_what_the_weights_of_a_method_have_seen_is_a_footnote(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("fssdino", backbone="dinov3-vitb16", dataset="pascal5i"), iou=0.3)
    write_run(tmp_path / "b", run_of("seggpt", backbone="seggpt-vitl", dataset="pascal5i"), iou=0.9)
    write_run(tmp_path / "c", run_of(dataset="pascal5i"), iou=0.2)
    (table,) = ask(tmp_path, datasets=("pascal5i",))
    found = rows(table)
    assert [found[label].entries[0].competes for label in ("fssdino", "SegGPT", "HSNet")] == [True, False, True]
    assert any("trained on images without labels" in text for text in said(table, found["fssdino"]))
    (text,) = [text for text in said(table, found["SegGPT"]) if "trained on labelled masks" in text]
    assert text.endswith("; not ranked here")
    assert not any("trained on" in text for text in said(table, found["HSNet"]))


def test_classes_that_the_weights_have_not_seen_are_ranked(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of("seggpt", backbone="seggpt-vitl", dataset="shapes20i"), iou=0.9)
    (table,) = ask(tmp_path)
    assert rows(table)["SegGPT"].entries[0].competes


def test_what_training_has_seen_may_not_be_known(tmp_path: Path) -> None:
    unknown = dict.fromkeys(range(4))
    write_run(tmp_path / "a", run_of(dataset="suim", train_dataset="fss1000", leaking=unknown, folds=(0,)), iou=0.2)
    write_run(tmp_path / "b", run_of(dataset="suim", folds=(0,)), iou=0.3)
    pair, alone = ask(tmp_path)
    assert (pair.title, alone.title) == ("FSS-1000 → SUIM, 1-way", "SUIM, 1-way")
    assert any("training on fss1000 has seen is not known" in note.text for note in pair.footnotes)
    # One fold, so its number is the mean and needs no column of its own.
    assert [column.name for column in alone.blocks[0].columns] == ["mIoU", "FB-IoU"]
    assert rows(alone)["HSNet"].cells[0].text == "30.0"


def test_measured_rows_stand_beside_the_printed_ones_of_a_pair(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_of(dataset="suim", train_dataset="coco20i", test_classes="all"), iou=0.2)
    (table,) = ask(tmp_path, datasets=("coco20i_to_suim",), source="both")
    origins = {(row.label, row.entries[0].origin) for group in table.groups for row in group.rows}
    assert {("HSNet", "measured"), ("HSNet", "published"), ("MMT", "published")} <= origins


def test_lists_that_leave_out_classes_have_both_means(tmp_path: Path) -> None:
    # Of the five classes of fold 0 two are asked, of the others both of two.
    run = run_of()
    first = replace(run.folds[0], classes=(1, 2, 3, 4, 5))
    write_run(tmp_path / "short", replace(run, folds=(first, *run.folds[1:])), iou=0.5)
    path = tmp_path / "short" / "rows.jsonl"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not any(f'"fold":0,"query":"q{n}"' in line for n in (2, 3))]
    path.write_text("".join(f"{line}\n" for line in kept).replace('"truth":[false]', '"truth":[true]'))
    (table,) = ask(tmp_path)
    row = rows(table)["HSNet"]
    assert [cell.text for cell in row.cells[:5]] == ["50.0"] * 5
    (said_of_it,) = [text for text in said(table, row) if "mIoU is the mean over the classes" in text]
    assert "(fold 0: 2 of 5); with the others as 0, as releases count them" in said_of_it
    assert "fold0 20.0, fold1 50.0, fold2 50.0, fold3 50.0, mean 42.5" in said_of_it
    (entry,) = row.entries
    assert (entry.all_classes["fold0"], entry.all_classes["mean"]) == ("20.0000", "42.5000")
    (result,) = json.loads(render([table], "json"))[0]["groups"][0]["rows"][0]["results"]
    assert result["all_classes"]["mean"] == 42.5
    (line,) = csv.DictReader(io.StringIO(render([table], "csv")))
    assert (line["mean"], line["mean_all_classes"], line["fold0_all_classes"]) == ("50.0000", "42.5000", "20.0000")


def test_whole_lists_have_one_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "one", run_of(), iou=0.5)
    (table,) = ask(tmp_path)
    row = rows(table)["HSNet"]
    assert row.entries[0].all_classes == {}
    assert not [text for text in said(table, row) if "mean over the classes" in text or "no query" in text]
    assert "all_classes" not in render([table], "json") + render([table], "csv")


def test_a_class_without_a_pixel_is_named(tmp_path: Path) -> None:
    path = write_run(tmp_path / "one", run_of(), iou=0.5) / "rows.jsonl"
    lines = [
        line.replace('"truth":[true]', '"truth":[false]') if '"classes":[4]' in line else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    (table,) = ask(tmp_path)
    assert "no query of fold 1 has a pixel of class 4, which counts 0 in mIoU" in "; ".join(
        said(table, rows(table)["HSNet"])
    )


def test_where_both_means_are_the_same_there_is_one(tmp_path: Path) -> None:
    record = write_run(tmp_path / "none", run_of(folds=(0,)), iou=0.0) / "run.json"
    record.write_text(record.read_text().replace('"classes":[1,2]', '"classes":[1,2,3]'))
    (table,) = ask(tmp_path)
    texts = said(table, rows(table)["HSNet"])
    assert "mIoU is the mean over the classes that have episodes (fold 0: 2 of 3)" in texts
