"""Columns, digits, order, marks, captions and citations, as a paper's author chooses them."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import UsageError
from fssbench.tables import FORMATS, Comparison, Style, compare, render
from fssbench.tables.entry import Entry
from fssbench.tables.layout import lay_out
from fssbench.tables.render.terminal import render_terminal
from fssbench.tables.table import Table
from tests.tables.runs import run_of, write_run
from tests.tables.samples import folds, printed


def entries() -> list[Entry]:
    numbers = {**folds("64.3", "70.7", "60.3", "60.5", "64.0", "76.7"), "learnable_params": "2.6"}
    measured = folds("64.8123", "69.9444", "60.3001", "60.5", "63.9", "77.0")
    own = replace(printed("MyNet", measured, venue=""), origin="measured", line="own", own=True, position=1)
    half_width = dict.fromkeys(measured, "1.2345")
    deviation = dict.fromkeys(measured, "0.456")
    return [
        replace(own, half_width=half_width, deviation=deviation, folders=("runs/mynet",), url="runs/mynet"),
        replace(printed("HSNet", numbers), cite="hsnet2021", source_cite="asnet2022", url="https://github.com/a/b"),
        printed("Old", folds("1", "2", "3", "4", "2.512"), venue="CVPR 2019"),
    ]


def only(**style: object) -> Table:
    (table,) = lay_out(entries(), "fss", Style(**style))  # type: ignore[arg-type]
    return table


def texts(table: Table) -> dict[str, list[str]]:
    return {row.label: [cell.text for cell in row.cells] for group in table.groups for row in group.rows}


def heads(table: Table) -> list[str]:
    return [column.name for block in table.blocks for column in block.columns]


def test_columns_are_chosen_and_ordered() -> None:
    assert heads(only()) == ["fold-0", "fold-1", "fold-2", "fold-3", "mean", "FB-IoU", "params (M)"]
    table = only(columns=("params", "mean", "fold-2"))
    assert heads(table) == ["mean", "fold-2", "params (M)"], "within a block they stand as they are named"
    assert texts(table)["HSNet"] == ["64.0", "60.3", "2.6"]
    assert not table.venue
    assert only(columns=("venue", "mean")).venue
    assert "FB-IoU" not in table.legend
    with pytest.raises(UsageError, match="none of the columns exact-ratio"):
        only(columns=("exact-ratio",))
    with pytest.raises(UsageError, match="unknown column 'fbiou'; did you mean fb-iou"):
        only(columns=("fbiou",))


def test_a_chosen_column_is_chosen_in_every_format() -> None:
    table = only(columns=("mean",))
    for form in set(FORMATS) - {"csv", "json"}:
        text = render([table], form)
        assert "64.0" in text
        assert "70.7" not in text
        assert "ICCV" not in text


def test_csv_has_the_chosen_numbers_in_their_order_and_what_belongs_to_them() -> None:
    def header(*columns: str) -> list[str]:
        return render([only(columns=columns)], "csv").splitlines()[0].split(",")

    fixed = {"dataset", "task", "method", "name", "backbone", "way", "shot", "origin", "protocol"}
    assert header("params", "fold-2") == [
        *(name for name in header("params", "fold-2") if name in fixed),
        *("learnable_params", "fold2", "source", "location", "remarks", "note"),
        "fold2_std",
    ]
    with_venue = header("venue", "mean")
    assert {*with_venue} - fixed >= {"venue", "mean", "mean_reach", "printed_mean", "mean_std"}
    assert not {"fold0", "fb_iou"} & {*with_venue}
    (row, *_) = csv.DictReader(io.StringIO(render([only(columns=("mean",))], "csv")))
    assert (row["name"], row["mean"]) == ("Old", "2.512")


def test_a_table_in_a_notebook_needs_no_style() -> None:
    shown = only()._repr_html_()
    assert "</strong><br>" in shown, "the title stands on a line of its own"
    assert '<th style="text-align: left" class="group"' in shown
    assert '<td style="text-align: left" class="text">HSNet' in shown


def test_decimals_are_those_of_measured_numbers() -> None:
    found = texts(only(decimals=3))
    assert found["MyNet"][:2] == ["64.812", "69.944"]
    assert found["HSNet"][:2] == ["64.3", "70.7"], "a printed number has no more than were printed"
    assert found["Old"][4] == "2.512"
    assert texts(only(decimals=0))["HSNet"][0] == "64"
    for wrong in (-1, 5):
        with pytest.raises(UsageError, match="--decimals is 0 to 4"):
            Style(decimals=wrong)


@pytest.mark.parametrize(
    ("order", "labels"),
    [
        ("year", ["Old", "HSNet", "MyNet"]),
        ("mean", ["Old", "MyNet", "HSNet"]),
        ("name", ["HSNet", "MyNet", "Old"]),
        ("given", ["HSNet", "Old", "MyNet"]),
    ],
)
def test_rows_are_ordered(order: str, labels: list[str]) -> None:
    assert list(texts(only(order=order))) == labels


def test_intervals_footnotes_and_deviations_can_be_had_or_left_out() -> None:
    plain = only()
    assert [line.label for row in plain.groups[0].rows for line in row.under] == ["95 % interval"]
    assert not any(row.under for row in only(intervals=False).groups[0].rows)
    bare = only(footnotes=False)
    assert bare.footnotes == ()
    assert not any(row.marks for row in bare.groups[0].rows)
    spread = only(deviation=True)
    assert "64.8 ±0.5" in render([spread], "terminal")
    assert "64.8\\,$\\pm$0.5" in render([spread], "latex")
    assert any("standard deviation over runs" in note.text for note in spread.footnotes)
    assert "±0.5" not in render([plain], "terminal")


def test_caption_key_citations_and_span_are_latex() -> None:
    table = only(caption="Ours is \\textbf{best}.", key="tab:x", cite=True, span="column")
    text = render([table, table], "latex")
    assert "\\caption{Ours is \\textbf{best}.}\n\\label{tab:x}" in text
    assert "\\label{tab:x-2}" in text
    assert text.count("\\begin{table}[t]") == 2
    assert "HSNet~\\cite{hsnet2021}\\textsuperscript{" in text
    assert "A paper~\\cite{asnet2022}" in text
    assert "\\cite" not in render([only()], "latex")
    assert "\\begin{table*}[t]" in render([only()], "latex")
    with pytest.raises(UsageError, match="is no key"):
        Style(key="a}b")


def test_in_a_column_of_the_text_a_wide_table_is_stacked() -> None:
    both = [replace(entry, shot=shot) for entry in entries() for shot in (1, 5)]
    (table,) = lay_out(both, "fss", Style(span="column"))
    text = render([table], "latex")
    assert text.count("\\begin{tabular}") == 2
    specs = re.findall(r"\\begin\{tabular\}\{@\{\}([lc ]+)@\{\}\}", text)
    assert [spec.count("l") for spec in specs] == [1, 1], "without a column of venues"
    assert sum(spec.count("c") for spec in specs) == len(heads(table))


def test_a_mark_of_a_number_stands_after_a_space() -> None:
    own = replace(entries()[0], mean_over=(0, 1), fold_count=4)
    (table,) = lay_out([own, *entries()[1:]], "fss", Style())
    (letter,) = {cell.mark for row in table.groups[0].rows for cell in row.cells if cell.mark}
    assert f"63.9 {letter}" in render([table], "terminal")
    assert f"63.9\\,\\textsuperscript{{{letter}}}" in render([table], "latex")
    assert f"63.9</a> <sup>{letter}</sup>" in render([table], "html")
    assert f"63.9 <sup>{letter}</sup>" in render([table], "markdown")
    assert "64.3 *" in render([only()], "terminal")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_table_fits_the_terminal_and_loses_no_number(width: int) -> None:
    both = [replace(entry, shot=shot) for entry in entries() for shot in (1, 5)]
    text = render_terminal(lay_out(both, "fss"), width=width)
    assert max(map(len, text.splitlines())) <= width
    for row in lay_out(both, "fss")[0].groups[0].rows:
        shown = " ".join(line for line in text.splitlines() if line.startswith(row.label)).split()
        assert [word for word in shown if re.fullmatch(r"\d+\.\d", word)] == [
            c.text for c in row.cells if c.text != "-"
        ]


def test_numbers_link_to_their_sources_and_runs() -> None:
    text = render([only()], "html")
    assert (
        '<a href="https://github.com/a/b"><b>64.3</b></a>' in text
        or '<a href="https://github.com/a/b">64.3</a>' in text
    )
    assert '<a href="runs/mynet">' in text
    named = replace(entries()[0], url='javascript:alert("1")/x y')
    (table,) = lay_out([named], "fss")
    assert 'href="javascript%3Aalert%28%221%22%29/x%20y"' in render([table], "html")


def test_csv_and_json_have_numbers_ends_of_intervals_and_relative_paths(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "one", run_of(folds=(0, 1), episodes=40), iou=0.5)
    out = tmp_path / "paper" / "tables"
    out.mkdir(parents=True)
    tables = compare(Comparison(runs=tmp_path / "runs", relative_to=out))
    (row,) = csv.DictReader(io.StringIO(render(tables, "csv")))
    assert (row["source"], row["mean_over"]) == ("../../runs/one", "0 1")
    for column in ("fold0", "mean", "fb_iou"):
        assert float(row[f"{column}_low"]) <= float(row[column]) <= float(row[f"{column}_high"])
    (result,) = json.loads(render(tables, "json"))[0]["groups"][0]["rows"][0]["results"]
    assert result["runs"] == ["../../runs/one"]
    assert result["intervals"]["mean"]["low"] <= result["numbers"]["mean"] <= result["intervals"]["mean"]["high"]
    values = json.loads(render(tables, "json"))[0]["groups"][0]["rows"][0]["values"]
    assert (values["1-shot fold-0"], values["1-shot fold-3"]) == (50.0, None)
    assert '<a href="../../runs/one">' in render(tables, "html")
    (tmp_path / "runs" / "one" / "report.html").write_text("")
    tables = compare(Comparison(runs=tmp_path / "runs", relative_to=out))
    assert '<a href="../../runs/one/report.html">' in render(tables, "html")


def test_runs_that_differ_in_seed_or_weights_become_one_row(tmp_path: Path) -> None:
    def seeded(seed: int, iou: float) -> None:
        run = run_of("mynet", lists=f"{seed}-")
        record = tuple(replace(fold, seed=seed) for fold in run.folds)
        write_run(tmp_path / f"seed{seed}", replace(run, folds=record), iou)

    for seed, iou in ((0, 0.4), (1, 0.5), (2, 0.6)):
        seeded(seed, iou)
    (apart,) = compare(Comparison(runs=tmp_path))
    assert len(apart.groups[0].rows) == 3
    (table,) = compare(Comparison(runs=tmp_path), style=Style(deviation=True))
    (row,) = table.groups[0].rows
    assert (row.cells[4].text, row.cells[4].spread) == ("50.0", "±10.0")
    assert any("mean of 3 runs that differ in seed or weights" in note.text for note in table.footnotes)
    (line,) = csv.DictReader(io.StringIO(render([table], "csv")))
    assert line["mean_std"] == "10.0000"


def test_lists_of_one_run_have_a_deviation(tmp_path: Path) -> None:
    run = run_of("mynet", episodes=4)
    of_two = replace(run, folds=tuple(replace(fold, run_length=2) for fold in run.folds))
    write_run(tmp_path / "a", of_two, spread=0)
    path = tmp_path / "a" / "rows.jsonl"
    lines = path.read_text().splitlines()
    better = [line.replace("[1000,500]", "[1000,700]") if '"episode":3' in line else line for line in lines]
    path.write_text("\n".join(better) + "\n")
    (table,) = compare(Comparison(runs=tmp_path), style=Style(deviation=True))
    (row,) = table.groups[0].rows
    # Of each list two classes: 50 and 50, then 50 and 70.
    assert (row.cells[4].text, row.cells[4].spread) == ("55.0", "±7.1")
