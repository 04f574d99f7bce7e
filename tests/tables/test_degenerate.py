"""Tables of runs of which no interval can be given: every format says so, and none has an interval of no width."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from fssbench.metrics.summary import Summary
from fssbench.results import load_run
from fssbench.results.summary import summary_record
from fssbench.tables import FORMATS, Comparison, compare, render
from fssbench.tables.per_class import per_class
from fssbench.tables.render.chart import draw_chart
from fssbench.tables.render.per_class import render_per_class
from tests.tables.runs import run_of, write_run

ALIKE = "it is the same in all draws of the query images"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Fold 0 has rows that are all alike, fold 1 a spread; of class 4 no pixel is counted, as none was predicted."""
    write_run(tmp_path / "a", run_of("mynet", (0, 1), episodes=8), spread=0)
    path = tmp_path / "a" / "rows.jsonl"
    lines = path.read_text().splitlines()
    for place in range(8, 16):
        if '"classes":[4]' in lines[place]:
            lines[place] = lines[place].replace("[1000,500]", "[1000,0]").replace("[1000,1000]", "[1000,0]")
        else:
            lines[place] = lines[place].replace("[1000,500]", f"[1000,{400 + place}]")
    path.write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_which_numbers_have_no_interval_and_why(runs: Path, form: str) -> None:
    tables = compare(Comparison(runs=runs))
    text = render(tables, form)
    assert ALIKE in " ".join(text.split())
    assert not re.search(r"\bnan\b", text.partition("<script")[0], re.IGNORECASE)
    assert "±0.0" not in text
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(text))
        assert (row.get("fold0_low", ""), row["fold0_no_interval"]) == ("", ALIKE)
        assert (row["mean_no_interval"], row["mean_reach"]) == (f"fold 0: {ALIKE}", "")
        assert float(row["fold1_low"]) < float(row["fold1"]) < float(row["fold1_high"])
    elif form == "json":
        (result,) = json.loads(text)[0]["groups"][0]["rows"][0]["results"]
        assert result["intervals"]["fold0"] == {"low": None, "high": None, "reason": ALIKE}
        assert "fold0" not in result["reach"]
        assert result["intervals"]["fold1"]["low"] < result["intervals"]["fold1"]["high"]
    else:
        (shown,) = tables[0].groups[0].rows
        assert [cell.text for cell in shown.under[0].cells if cell.text][:2] == ["-", f"±{_reach(runs):.1f}"]
        assert f"for fold 0: {ALIKE}" in " ".join(text.split())


def _reach(runs: Path) -> float:
    bounds = load_run(runs / "a").summary(draws=2000).folds[1].intervals["miou"]
    return (bounds.high - bounds.low) / 2


def test_classes_without_an_interval_have_none(runs: Path) -> None:
    (table,) = per_class(Comparison(runs=runs, layout=None))
    records = json.loads(render_per_class([table], "json"))
    found = {record["class_id"]: (record["low"], record["high"], record["no_interval"]) for record in records}
    assert found[1] == (None, None, ALIKE)
    assert found[4] == (None, None, "no query image has a pixel of it")
    assert found[3][0] < found[3][1]
    lines = list(csv.DictReader(io.StringIO(render_per_class([table], "csv"))))
    assert [(line["fold"], line["low"] != "") for line in lines] == [
        ("0", False), ("0", False), ("1", True), ("1", False),
    ]  # fmt: skip
    drawn = draw_chart([table], Path("iou.svg")).decode()
    assert "* no 95 % interval can be given" in drawn
    assert drawn.count("class 3<") == drawn.count("class 4*<") == 1


def test_summary_json_has_null_and_the_reason(runs: Path) -> None:
    summary: Summary = load_run(runs / "a").summary(draws=50)
    record = json.loads(json.dumps(summary_record(summary), allow_nan=False))
    assert record["folds"][0]["intervals"]["miou"] == {"low": None, "high": None, "reason": ALIKE}
    assert set(record["folds"][1]["intervals"]["miou"]) == {"low", "high"}
    assert record["intervals"]["miou"]["reason"] == f"fold 0: {ALIKE}"
    by_class = {row["class_id"]: row for row in record["per_class"]}
    assert (by_class[4]["low"], by_class[4]["iou"]) == (None, 0.0)
    assert "no_interval" not in by_class[3]
