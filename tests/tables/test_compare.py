"""Which results a question is answered with."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from fssbench.errors import MissingError, UsageError
from fssbench.publications.load import publications
from fssbench.publications.names import Names
from fssbench.publications.rows import PrintedRow
from fssbench.tables import Comparison, compare, render
from fssbench.tables.printed import printed_entries
from fssbench.tables.table import Table


def labels(table: Table) -> set[str]:
    return {row.label for group in table.groups for row in group.rows}


def notes(table: Table) -> str:
    return "\n".join(note.text for note in table.footnotes)


def ask(*methods: str, **rest: object) -> list[Table]:
    return compare(Comparison(methods=methods, source="published", **rest))  # type: ignore[arg-type]


def test_without_a_question_both_data_sets_and_every_result_are_shown() -> None:
    pascal, coco = ask()
    assert (pascal.title, coco.title) == ("PASCAL-5i, 1-way", "COCO-20i, 1-way")
    for table, dataset in ((pascal, "pascal5i"), (coco, "coco20i")):
        known = publications()
        expected = {
            (known.methods[row.method].name, row.backbone)
            for row in known.rows
            if (row.dataset, row.task, row.role, row.way) == (dataset, "fss", "result", 1)
        }
        shown = {(row.label, row.entries[0].backbone) for group in table.groups for row in group.rows}
        assert shown == expected


def test_a_result_is_shown_once_however_many_sources_print_it() -> None:
    for table in ask():
        for group in table.groups:
            keys = [(row.entries[0].method, row.entries[0].line) for row in group.rows]
            assert len(keys) == len(set(keys))


@pytest.mark.parametrize("all_sources", [False, True])
def test_no_result_hides_behind_another(all_sources: bool) -> None:
    datasets = tuple(sorted({row.dataset for row in publications().rows}))
    for methods in ((), ("*", "*:*")):
        for table in ask(*methods, datasets=datasets, all_sources=all_sources):
            for group in table.groups:
                for row in group.rows:
                    shots = [entry.shot for entry in row.entries]
                    assert len(shots) == len(set(shots)), row


def test_all_sources_shows_every_row_that_is_there() -> None:
    tables = ask(all_sources=True)
    shown = sum(len(row.entries) for table in tables for group in table.groups for row in group.rows)
    rows = publications().rows
    assert shown == sum(
        row.dataset in ("pascal5i", "coco20i") and (row.task, row.role, row.way) == ("fss", "result", 1) for row in rows
    )


@pytest.mark.parametrize("name", ["HSNet", "hsnet", "HSNET", " hsnet "])
def test_names_know_no_case(name: str) -> None:
    (table,) = ask(name, datasets=("pascal5i",))
    assert labels(table) == {"HSNet"}


def test_names_may_be_patterns_and_lists() -> None:
    (table,) = ask("as*,ntrenet", datasets=("pascal5i",))
    assert labels(table) == {"ASGNet", "ASNet", "NTRENet"}


def test_a_method_may_be_called_as_it_is_printed() -> None:
    (table, _) = ask("ASNet_w", layout="fscs", datasets=("pascal5i",))
    assert labels(table) == {"ASNet_w"}


def test_variants_come_after_a_colon() -> None:
    (table,) = ask("ntrenet:*", datasets=("pascal5i",))
    assert labels(table) == {
        "NTRENet: baseline",
        "NTRENet: +BGEM",
        "NTRENet: +BGEM+DOEM",
        "NTRENet: +BGEM+DOEM+PCL",
    }
    assert not any(cell.emphasis for group in table.groups for row in group.rows for cell in row.cells)


def test_results_that_know_the_answer_are_not_shown_unasked() -> None:
    known = publications()
    entries = printed_entries(known, "pascal5i", ("fss",), Names())
    # What was trained on the test classes is shown, with a footnote, and not ranked.
    assert {entry.method for entry in entries if not entry.competes} == {"seggpt"}
    assert max(float(e.numbers["mean"]) for e in entries if e.method == "repri" and e.backbone == "resnet50") == 66.8


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown method 'hsnett'; did you mean hsnet"):
        ask("ntrenet,hsnett")
    with pytest.raises(UsageError, match="unknown method 'zz'"):
        ask("zz*")


def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean pascal5i"):
        ask(datasets=("pascal5",))


def test_what_is_nowhere_printed_is_said() -> None:
    with pytest.raises(MissingError, match="no printed number on shapes20i"):
        ask(datasets=("shapes20i",))
    with pytest.raises(MissingError, match="no printed number of canet on pascal5i, shots 10"):
        ask("canet", datasets=("pascal5i",), shots=(10,))


def test_where_a_layout_is_empty_the_other_is_named() -> None:
    with pytest.raises(MissingError) as caught:
        ask(datasets=("coco20i_to_suim",), layout="fscs")
    assert "--layout fss shows segmentation alone" in str(caught.value.remedy)


def test_a_method_without_numbers_on_one_data_set_is_named_there() -> None:
    pascal, coco = ask("hsnet", "canet")
    assert "No number here" not in notes(pascal)
    assert "No number here of canet." in notes(coco)


def test_the_row_with_folds_is_preferred_and_its_gaps_are_filled_from_an_agreeing_source() -> None:
    (table,) = ask("hsnet", datasets=("coco20i",), backbones=("resnet50",), shots=(1,))
    (row,) = table.groups[0].rows
    # Folds: VAT README; parameters: iFSL paper, which prints means only.
    assert [cell.text for cell in row.cells] == ["36.3", "43.1", "38.7", "38.7", "39.2", "68.2", "2.6"]
    assert "parameters from the iFSL paper (CVPR 2022)" in notes(table)


def test_the_authors_own_source_is_preferred_and_its_folds_come_from_one_with_the_same_mean() -> None:
    (table,) = ask("bam", datasets=("pascal5i",), backbones=("resnet50",), shots=(1,))
    (row,) = table.groups[0].rows
    assert row.entries[0].source == "BAM README"
    # BAM's README prints 67.81 alone.
    assert [cell.text for cell in row.cells[:5]] == ["69.0", "73.6", "67.6", "61.1", "67.8"]
    assert "folds from the " in notes(table)
    assert "As others quote them" not in notes(table)


def test_a_result_of_which_no_own_source_was_read_is_named() -> None:
    (table,) = ask("hsnet", "ntrenet", datasets=("pascal5i",), shots=(1,))
    assert (
        "As others quote them, since these results were read in no source of the method's own authors: "
        "HSNet, NTRENet (ResNet50, VGG16)." in notes(table)
    )


def _two_sources(**other: str) -> str:
    """Return the remarks of HDMNet's row by its authors, of which another source prints numbers too."""
    known = publications()
    numbers = {**{f"fold{fold}": "50.0" for fold in range(4)}, "mean": "50.0", "fb_iou": "70.0"}
    own = PrintedRow("hdmnet", "", "result", "hdmnet-readme", "t", "pascal5i", "fss", "", 1, 1, "resnet50", numbers,
                     "printed", "")  # fmt: skip
    quoted = replace(own, source="hmnet-page", numbers=numbers | other)
    (entry,) = printed_entries(replace(known, rows=(quoted, own)), "pascal5i", ("fss",), Names())
    assert entry.source == "HDMNet README"
    return "; ".join(remark.text for remark in entry.remarks)


def test_sources_that_disagree_are_named_with_what_they_print() -> None:
    where = "in the HMNet paper (NeurIPS 2024)"
    assert _two_sources() == ""
    assert _two_sources(fold1="50.04") == "", "rounding"
    assert _two_sources(mean="51.0") == f"1-shot mean 51.0 {where}"
    assert _two_sources(fold1="51.0", fold2="49.0") == f"1-shot fold 1: 51.0, 2: 49.0 {where}"
    assert _two_sources(fb_iou="71.0") == f"1-shot FB-IoU 71.0 {where}"


def test_doubtful_folds_are_not_preferred() -> None:
    (table,) = ask("asgnet", datasets=("coco20i",), backbones=("resnet50",), shots=(1,))
    assert [cell.text for cell in table.groups[0].rows[0].cells] == ["-", "-", "-", "-", "34.6", "60.4"]


def test_the_authors_own_later_numbers_are_preferred_and_the_others_named() -> None:
    (table,) = ask("repri", datasets=("coco20i",), shots=(1,))
    assert table.groups[0].rows[0].cells[4].text == "34.0"
    assert "1-shot mean 34.1 in the RePRI README of December 2020" in notes(table)


def test_a_mean_that_is_not_that_of_its_folds_is_footnoted() -> None:
    (table,) = ask("asnet", datasets=("pascal5i",), backbones=("resnet50",))
    assert "5-shot: the printed mean is 70.8, that of the printed folds 69.825" in notes(table)


def test_contiguous_coco_folds_are_footnoted_and_not_ranked() -> None:
    (table,) = ask("mlc", "hsnet", datasets=("coco20i",), backbones=("resnet50",), shots=(1,))
    mlc = next(row for row in table.groups[0].rows if row.label == "MLC")
    assert [cell.emphasis for cell in mlc.cells[:5]] == ["", "", "", "", "second"]
    assert "its folds have other classes" in notes(table)


def test_every_shown_number_has_a_source_in_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(render(ask(), "csv"))))
    assert all(row["source"] and row["location"] and row["origin"] == "published" for row in rows)


def test_classification_and_segmentation_has_a_table_per_way() -> None:
    tables = ask(layout="fscs", datasets=("pascal5i",))
    assert [table.title.rpartition(", ")[2] for table in tables] == ["1-way 1-shot", "2-way 1-shot"]
    (two,) = ask("asnet", layout="fscs", datasets=("pascal5i",), ways=(2,))
    assert [cell.text for cell in two.groups[0].rows[0].cells][4] == "68.3"


def test_cross_domain_results_have_a_table_of_their_own() -> None:
    (table,) = ask(datasets=("coco20i_to_suim",))
    assert table.blocks[0].title == "shot not printed"
    assert labels(table) == {"ASGNet", "HSNet", "SCL", "MMT"}


def test_backbones_may_be_patterns() -> None:
    (table,) = ask("hsnet", datasets=("pascal5i",), backbones=("ResNet*",))
    assert [group.title for group in table.groups] == ["ResNet50", "ResNet101"]


def test_terminal_tables_fit_a_hundred_columns() -> None:
    for layout in ("fss", "fscs"):
        text = render(ask(layout=layout), "terminal")
        assert max(map(len, text.splitlines())) <= 100


def test_methods_that_do_not_run_here_are_named_apart_from_those_without_weights() -> None:
    (table,) = ask("hsnet", "ntrenet", "canet", datasets=("pascal5i",))
    assert "Runs here after training, as no released weights are registered: CANet, NTRENet." in notes(table)
    assert "Published-only" not in notes(table)
    (table,) = ask("hsnet", "dan", "canet", datasets=("pascal5i",))
    assert "Published-only, as the method does not run here: DAN." in notes(table)
    (table,) = ask("hsnet", "bam", datasets=("pascal5i",))
    assert "Published-only" not in notes(table)
