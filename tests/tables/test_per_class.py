"""IoU by class: a row per class and a column per run, as table, list and chart."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import MissingError, UsageError
from fssbench.tables import FORMATS, Comparison, render
from fssbench.tables.per_class import ClassTable, per_class
from fssbench.tables.render.chart import CHARTS, draw_chart
from fssbench.tables.render.per_class import render_per_class
from tests.tables.runs import run_of, write_run

NASTY = "=$x$_%<b>|\x1b[2J"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, iou in (("hsnet", 0.5), ("asnet", 0.6), ("copy-mask", 0.9)):
        run = run_of(name, (0, 1), backbone="small")
        named = tuple(replace(fold, class_names=(NASTY, f"class of {fold.fold}")) for fold in run.folds)
        # Runs of earlier versions have no names of classes.
        write_run(tmp_path / name, run if name == "hsnet" else replace(run, folds=named), iou)
    return tmp_path


def only(runs: Path, **rest: object) -> ClassTable:
    (table,) = per_class(Comparison(runs=runs, layout=None, **rest))  # type: ignore[arg-type]
    return table


def test_a_row_for_each_class_and_a_column_for_each_run(runs: Path) -> None:
    table = only(runs).table
    assert [column.name for block in table.blocks for column in block.columns] == ["ASNet", "copy-mask", "HSNet"]
    assert [group.title for group in table.groups] == ["fold 0", "fold 1"]
    assert [row.label for row in table.groups[1].rows] == [NASTY, "class of 1", "mean"]
    cells = [[(cell.text, cell.emphasis) for cell in row.cells] for row in table.groups[0].rows]
    assert cells == [[("60.0", "best"), ("90.0", ""), ("50.0", "second")]] * 3, "a floor is not ranked"
    assert all(column.marks for block in table.blocks for column in block.columns)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_numbers_and_escapes_the_names(runs: Path, form: str) -> None:
    table = only(runs)
    text = render_per_class([table], form) if form in ("csv", "json") else render([table.table], form)
    assert "class of 1" in text
    assert text.replace("\n", "").isprintable()
    assert "<b>|" not in text or form in ("csv", "json", "terminal")


def test_lists_have_a_record_for_each_class_and_run(runs: Path) -> None:
    records = json.loads(render_per_class([only(runs)], "json"))
    lines = list(csv.DictReader(io.StringIO(render_per_class([only(runs)], "csv"))))
    assert len(records) == len(lines) == 3 * 4
    first = next(record for record in records if record["name"] == "HSNet" and record["class_id"] == 4)
    assert (first["class_name"], first["fold"], first["episodes"], first["iou"]) == ("class of 1", 1, 2, 50.0)
    assert first["low"] <= first["iou"] <= first["high"]
    assert lines[0]["class_name"].startswith("'=")


STARTS = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}


@pytest.mark.parametrize("ending", [".svg", *(pytest.param(end, marks=pytest.mark.slow) for end in CHARTS[1:])])
def test_a_chart_is_a_vector_or_an_image_and_twice_the_same(runs: Path, ending: str) -> None:
    table = only(runs)
    drawn = draw_chart([table], Path(f"iou{ending}"))
    assert drawn.startswith(STARTS[ending])
    assert drawn == draw_chart([table], Path(f"iou{ending}"))


def test_what_is_no_chart_is_refused(runs: Path) -> None:
    with pytest.raises(UsageError, match=r"\.svg, \.pdf, \.png"):
        draw_chart([only(runs)], Path("iou.gif"))
    with pytest.raises(UsageError, match="of one table, not of 2"):
        draw_chart([only(runs)] * 2, Path("iou.svg"))


def test_without_a_run_there_is_nothing_by_class(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        per_class(Comparison(runs=None))
    with pytest.raises(MissingError, match="no run to show by class"):
        per_class(Comparison(runs=tmp_path))
