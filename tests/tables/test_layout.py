"""Layout: which number stands where, which is emphasised, and what the footnotes say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fssbench.datasets.catalogue import dataset_title
from fssbench.tables.emphasis import emphasise
from fssbench.tables.entry import Remark, parameters, rounded
from fssbench.tables.layout import lay_out
from fssbench.tables.table import Cell, Row, Table
from tests.tables.samples import folds, printed, small


def only(tables: list[Table]) -> Table:
    assert len(tables) == 1
    return tables[0]


def row(table: Table, label: str) -> Row:
    return next(row for group in table.groups for row in group.rows if row.label == label)


def note(table: Table, mark: str) -> str:
    return next(note.text for note in table.footnotes if note.mark == mark)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["1.0", "3.0", "2.0"], ["", "best", "second"]),
        (["3.0", "3.0", "2.0", "1.0"], ["best", "best", "second", ""]),
        (["3.0", "2.0", "2.0", "1.0"], ["best", "second", "second", ""]),
        (["3.0", "3.0"], ["best", "best"]),
        (["-", "3.0", "-"], ["", "", ""]),
        (["-", "3.0", "10.0"], ["", "second", "best"]),
        (["-", "-"], ["", ""]),
        ([], []),
    ],
)
def test_best_and_second_with_ties_and_gaps(column: list[str], expected: list[str]) -> None:
    assert emphasise(column, [True] * len(column)) == expected


def test_what_does_not_compete_is_never_emphasised_and_hides_nobody() -> None:
    assert emphasise(["9.0", "3.0", "2.0"], [False, True, True]) == ["", "best", "second"]


def test_numbers_that_look_equal_are_equal() -> None:
    entries = [printed(name, folds("", "", "", "", mean)) for name, mean in (("A", "67.81"), ("B", "67.8"))]
    table = only(lay_out(entries, "fss"))
    assert row(table, "A").cells[4] == row(table, "B").cells[4] == Cell("67.8", "best")


@pytest.mark.parametrize(("number", "shown"), [("67.25", "67.3"), ("67.24", "67.2"), ("36", "36.0"), ("61.70", "61.7")])
def test_rounding_is_the_papers(number: str, shown: str) -> None:
    assert rounded(number) == shown


def test_small_parameter_counts_do_not_vanish() -> None:
    shown = [parameters(millions) for millions in ("2.6", "0.058", "31.5", "0.000000")]
    assert shown == ["2.6", "0.06", "31.5", "0"]


def test_shots_stand_side_by_side_two_to_a_table() -> None:
    entries = [printed("A", folds("1", "2", "3", "4", "2.5"), shot=shot) for shot in (10, 1, 5)]
    first, second = lay_out(entries, "fss")
    assert [block.title for block in first.blocks] == ["1-shot", "5-shot"]
    assert [block.title for block in second.blocks] == ["10-shot"]
    assert [cell.text for cell in row(first, "A").cells] == ["1.0", "2.0", "3.0", "4.0", "2.5"] * 2


def test_a_number_stands_under_its_own_shot() -> None:
    entries = [printed("A", folds("", "", "", "", "5.0"), shot=5), printed("B", folds("", "", "", "", "1.0"), shot=1)]
    table = only(lay_out(entries, "fss"))
    assert [cell.text for cell in row(table, "A").cells] == ["-", "-", "-", "-", "-", "-", "-", "-", "-", "5.0"]
    assert [cell.text for cell in row(table, "B").cells] == ["-", "-", "-", "-", "1.0", "-", "-", "-", "-", "-"]


def test_columns_that_nobody_fills_are_left_out() -> None:
    bare = only(lay_out([printed("A", folds("1", "2", "3", "4", "2.5"))], "fss"))
    assert [c.name for b in bare.blocks for c in b.columns] == ["fold-0", "fold-1", "fold-2", "fold-3", "mean"]
    full = only(lay_out(small(), "fss"))
    assert [block.columns[-1].name for block in full.blocks] == ["FB-IoU", "params (M)"]


def test_groups_follow_the_backbones_and_rows_the_years() -> None:
    entries = [
        printed("New", folds("1"), venue="CVPR 2022", backbone="resnet101"),
        printed("Old", folds("1"), venue="ICCV 2019", backbone="resnet101"),
        printed("Floor", folds("1"), venue="", backbone="-"),
        printed("Mobile", folds("1"), backbone="mobilenet"),
        printed("Vgg", folds("1"), backbone="vgg16"),
        printed("Early", folds("1"), backbone=""),
    ]
    table = only(lay_out(entries, "fss"))
    assert [group.title for group in table.groups] == [
        "no backbone",
        "backbone not printed",
        "VGG16",
        "ResNet101",
        "mobilenet",
    ]
    assert [row.label for row in table.groups[3].rows] == ["Old", "New"]


def test_emphasis_stays_within_a_backbone() -> None:
    entries = [printed("A", folds("9"), backbone="vgg16"), *(printed(n, folds(v)) for n, v in (("B", "1"), ("C", "2")))]
    table = only(lay_out(entries, "fss"))
    assert row(table, "A").cells[0].emphasis == ""
    assert row(table, "C").cells[0].emphasis == "best"


def test_printed_and_measured_numbers_are_ranked_apart() -> None:
    own = [replace(printed(n, folds(v)), origin="measured", line="own") for n, v in (("A", "5"), ("B", "4"))]
    table = only(lay_out([*(printed(n, folds(v)) for n, v in (("A", "2"), ("B", "3"))), *own], "fss"))
    shown = [(r.label, r.entries[0].origin, r.cells[0].emphasis) for r in table.groups[0].rows]
    assert shown == [
        ("A", "published", "second"),
        ("A", "measured", "best"),
        ("B", "published", "best"),
        ("B", "measured", "second"),
    ]
    assert "measured by fssbench" in note(table, "†")


def test_folds_of_other_classes_are_not_ranked_but_their_mean_is() -> None:
    table = only(
        lay_out(
            [
                printed("A", folds("9", "9", "9", "9", "9"), other_folds=True),
                printed("B", folds("1", "1", "1", "1", "1")),
                printed("C", folds("2", "2", "2", "2", "2")),
            ],
            "fss",
        )
    )
    assert [cell.emphasis for cell in row(table, "A").cells] == ["", "", "", "", "best"]
    assert [cell.emphasis for cell in row(table, "C").cells] == ["best", "best", "best", "best", "second"]


def test_sources_are_numbered_and_shared() -> None:
    entries = [printed("A", folds("1")), printed("B", folds("1"), source="Another"), printed("C", folds("1"))]
    table = only(lay_out(entries, "fss"))
    assert [row(table, name).marks for name in "ABC"] == [("1",), ("2",), ("1",)]
    assert (note(table, "1"), note(table, "2")) == ("A paper", "Another")


def test_a_row_from_two_sources_says_which_shot_is_whose() -> None:
    table = only(lay_out([printed("A", folds("1")), printed("A", folds("2"), shot=5, source="Another")], "fss"))
    assert row(table, "A").marks == ("1", "2", "a")
    assert note(table, "a") == "1-shot from [1], 5-shot from [2]"


def test_remarks_get_letters_and_those_of_other_sources_become_one() -> None:
    also = (Remark("also", "1-shot mean 9.0 in the X"), Remark("caution", "recovered"))
    entries = [
        printed("A", folds("1"), remarks=also),
        printed("A", folds("2"), shot=5, remarks=(Remark("also", "5-shot mean 8.0 in the Y"),)),
        printed("B", folds("1"), remarks=(Remark("caution", "recovered"),)),
    ]
    table = only(lay_out(entries, "fss"))
    assert row(table, "A").marks == ("1", "a", "b")
    assert row(table, "B").marks == ("1", "b")
    assert note(table, "a") == "also printed: 1-shot mean 9.0 in the X; 5-shot mean 8.0 in the Y"


def test_letters_go_on_after_z() -> None:
    entries = [printed(f"M{n:02}", folds("1"), remarks=(Remark("caution", f"note {n}"),)) for n in range(28)]
    table = only(lay_out(entries, "fss"))
    assert [row(table, f"M{n:02}").marks[1] for n in (0, 25, 26, 27)] == ["a", "z", "aa", "ab"]


def test_printed_rows_of_different_protocols_are_said_to_differ() -> None:
    entries = [printed(name, folds("1"), protocol=p) for name, p in (("A", "hsnet"), ("B", "pfenet"), ("C", ""))]
    assert note(only(lay_out(entries, "fss")), "").endswith("which differ: hsnet: A; pfenet: B; not known: C.")
    assert all(n.mark for n in only(lay_out(entries[:1], "fss")).footnotes)


def test_classification_and_segmentation_shows_exact_ratio_and_miou() -> None:
    numbers = {**folds("1", "2", "3", "4", "2.5"), "er_fold0": "90.0", "er_mean": "91.0"}
    entry = printed("A", numbers, task="fscs")
    one, two = lay_out([entry, replace(entry, way=2)], "fscs")
    assert [block.title for block in one.blocks] == ["exact ratio", "mIoU"]
    assert [c.text for c in row(one, "A").cells] == ["90.0", "-", "-", "-", "91.0", "1.0", "2.0", "3.0", "4.0", "2.5"]
    assert two.title == "PASCAL-5i, classification and segmentation, 2-way 1-shot"


@pytest.mark.parametrize(
    ("name", "title"), [("coco20i_to_suim", "COCO-20i → SUIM"), ("fss1000", "FSS-1000"), ("mine", "mine")]
)
def test_data_sets_are_called_as_papers_call_them(name: str, title: str) -> None:
    assert dataset_title(name) == title


def test_data_sets_of_printed_tables_have_the_folds_that_are_taken_for_granted() -> None:
    from fssbench.datasets.catalogue import PAPERS, REGISTRY, fold_count_of

    for name in ("pascal5i", "coco20i"):
        assert REGISTRY.get(name).fold_count == PAPERS == fold_count_of(name) == fold_count_of(f"{name}_to_suim")
    assert fold_count_of("fss1000") == REGISTRY.get("fss1000").fold_count == 1
