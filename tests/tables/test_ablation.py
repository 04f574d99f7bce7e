"""A method taken apart: printed and measured side by side, each in its own columns."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.errors import MissingError, UsageError
from fssbench.methods import catalogue
from fssbench.methods.catalogue import list_methods, method_info
from fssbench.publications.load import publications
from fssbench.tables import FORMATS, Comparison, compare, render
from fssbench.tables.ablation import Ablation, ablation
from fssbench.tables.measured import printed_variant_name
from fssbench.tables.table import Row, Table
from tests.tables.runs import limited, run_of, write_run

FORMS = {
    "fscs-global-local": "ASNet:(a) global->local",
    "fscs-no-mask": "(b) w/o masked attention",
    "fscs": "ASNet:full model",
}


@pytest.fixture(autouse=True)
def _forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give ASNet three forms of its paper's ablation, whatever forms it has besides."""
    info = method_info("asnet")
    tasks = {**info.tasks, **dict.fromkeys(FORMS, "fscs")}
    built_in = {**catalogue._built_in(), "asnet": replace(info, tasks=tasks, ablation=FORMS)}
    monkeypatch.setattr(catalogue, "_built_in", lambda: built_in)


def run_form(folder: Path, variant: str, iou: float, **said: object) -> Path:
    said = {"backbone": "small", "task": "fscs", "protocol": "shapes-fscs", **said}
    return write_run(folder, run_of("asnet", variant=variant, **said), iou)  # type: ignore[arg-type]


def ask(runs: Path | None = None, **said: object) -> Table:
    (table,) = ablation(Ablation("asnet", runs=runs, **said))  # type: ignore[arg-type]
    return table


def rows(table: Table) -> dict[str, Row]:
    return {row.label: row for group in table.groups for row in group.rows}


def column(table: Table, block: str, name: str) -> list[str]:
    place = next(n for n, one in enumerate(table.blocks) if one.title == block)
    within = [one.name for one in table.blocks[place].columns].index(name)
    return [row.cells[table.offsets()[place] + within].text for row in rows(table).values()]


def notes(table: Table) -> str:
    return "\n".join(f"{note.mark} {note.text}" for note in table.footnotes)


def test_the_printed_table_needs_no_run() -> None:
    table = ask()
    assert [block.title for block in table.blocks] == ["printed: PASCAL-5i"]
    assert column(table, "printed: PASCAL-5i", "mIoU") == ["44.6", "50.8", "51.6", "52.3"]
    assert column(table, "printed: PASCAL-5i", "exact ratio") == ["83.9", "83.8", "83.1", "84.9"]
    shown = [(row.label, row.venue) for row in rows(table).values()]
    # A printed row without a variant of its own is shown all the same.
    assert shown == [
        ("(a) global->local", "fscs-global-local"),
        ("(b) w/o masked attention", "fscs-no-mask"),
        ("(c) w/o multi-layer fusion", "-"),
        ("full model", "fscs"),
    ]
    assert "fssbench eval --method asnet --variant fscs-global-local" in notes(table)


@pytest.mark.parametrize("method", [name for name in list_methods() if method_info(name).ablation])
def test_every_form_of_an_ablation_is_a_printed_row_and_every_printed_number_is_shown(method: str) -> None:
    info, known = method_info(method), publications()
    assert set(info.ablation) <= set(info.tasks)
    printed = [row for row in known.rows if (row.method, row.role) == (method, "ablation")]
    forms = {printed_variant_name(method, known.methods[method].name, variant) for variant in info.ablation}
    assert forms <= {row.variant for row in printed}
    shown = [
        entry.numbers for table in ablation(Ablation(method)) for row in rows(table).values() for entry in row.entries
    ]
    assert shown == [row.numbers for row in printed]
    tables = [rows(table).values() for table in ablation(Ablation(method))]
    cells = [cell.text for of_table in tables for row in of_table for cell in row.cells if cell.text != "-"]
    assert len(cells) == sum(len(row.numbers) for row in printed)


def test_measured_forms_stand_beside_the_printed_ones(tmp_path: Path) -> None:
    run_form(tmp_path / "a", "fscs-global-local", 0.1)
    run_form(tmp_path / "full", "fscs", 0.3)
    run_form(tmp_path / "part", "fscs-no-mask", 0.2, folds=(0, 1))
    write_run(tmp_path / "another method", run_of(), iou=0.9)
    run_form(tmp_path / "another form", "fss", 0.9)
    table = ask(tmp_path)
    assert [block.title for block in table.blocks] == ["printed: PASCAL-5i", "shapes20i†"]
    assert column(table, "printed: PASCAL-5i", "mIoU") == ["44.6", "50.8", "51.6", "52.3"]
    assert column(table, "shapes20i†", "mIoU") == ["10.0", "20.0", "-", "30.0"]
    part = rows(table)["(b) w/o masked attention"].cells
    assert {cell.mark for cell in part if cell.mark} == {"a"}
    assert "a mean over folds 0, 1 alone, of 4 folds" in notes(table)
    assert column(table, "shapes20i†", "fold-1") == ["10.0", "20.0", "-", "30.0"]
    assert column(table, "shapes20i†", "exact ratio")[1:3] == ["75.0", "-"]
    # Best is best within its own column.
    best = [[cell.emphasis for cell in row.cells].count("best") for row in rows(table).values()]
    assert best[3] == len(rows(table)["full model"].cells)
    said = notes(table)
    assert "† measured by fssbench on shapes20i, small, 1-way 1-shot; protocol shapes-fscs" in said
    assert "another setting than printed" in said
    assert "No variant was measured" not in said


def test_each_setting_has_columns_of_its_own(tmp_path: Path) -> None:
    water = {"dataset": "shapes20i-underwater", "train_dataset": "shapes20i"}
    run_form(tmp_path / "one", "fscs", 0.1)
    run_form(tmp_path / "two", "fscs", 0.2, **water)
    table = ask(tmp_path)
    arrow = "shapes20i → shapes20i-underwater†"
    assert [block.title for block in table.blocks] == ["printed: PASCAL-5i", "shapes20i†", arrow]
    assert (column(table, "shapes20i†", "mIoU")[3], column(table, arrow, "mIoU")[3]) == ("10.0", "20.0")
    assert [block.title for block in ask(tmp_path, datasets=("shapes20i",)).blocks][1:] == ["shapes20i†"]
    run_form(tmp_path / "five", "fscs", 0.3, shot=5)
    titles = [block.title for block in ask(tmp_path).blocks][1:]
    assert len(set(titles)) == 3
    assert "shapes20i, small, 1-way 5-shot, protocol shapes-fscs†" in titles
    assert [block.title for block in ask(tmp_path, shots=(5,)).blocks][1:] == ["shapes20i†"]
    assert len(ask(tmp_path, backbones=("resnet*",)).blocks) == 1


def test_the_same_data_and_setting_may_be_compared(tmp_path: Path) -> None:
    run_form(tmp_path / "one", "fscs", 0.1, dataset="pascal5i", backbone="resnet50", protocol="ifsl-fscs")
    assert "another setting than printed" not in notes(ask(tmp_path))


def test_what_holds_for_one_form_alone_names_it(tmp_path: Path) -> None:
    run_form(tmp_path / "a", "fscs-global-local", 0.1)
    short = limited(run_of("asnet", variant="fscs", backbone="small", task="fscs", protocol="shapes-fscs"), 2)
    write_run(tmp_path / "full", replace(short, limit=None, folds=short.folds), 0.3, answered=3)
    assert "full model: unfinished: 4 episodes are missing" in notes(ask(tmp_path))


def test_one_side_alone(tmp_path: Path) -> None:
    run_form(tmp_path / "one", "fscs", 0.1)
    assert [block.title for block in ask(tmp_path, source="published").blocks] == ["printed: PASCAL-5i"]
    measured = ask(tmp_path, source="measured")
    assert [block.title for block in measured.blocks] == ["shapes20i†"]
    assert not any(entry.origin == "published" for row in rows(measured).values() for entry in row.entries)
    for nowhere in (None, tmp_path / "one" / "empty"):
        if nowhere:
            nowhere.mkdir()
        with pytest.raises(MissingError, match="no run of asnet's variants"):
            ask(nowhere, source="measured")


def test_all_formats_hold_printed_and_measured_numbers(tmp_path: Path) -> None:
    run_form(tmp_path / "one", "fscs", 0.123)
    table = ask(tmp_path)
    for form in FORMATS:
        text = render([table], form)
        assert "44.6" in text
        assert "12.3" in text
        assert "global" in text
        if form != "csv":
            assert "fscs-global-local" in text
    lines = list(csv.DictReader(io.StringIO(render([table], "csv"))))
    assert [(line["name"], line["origin"]) for line in lines if line["name"].endswith("full model")] == [
        ("ASNet: full model", "published"),
        ("ASNet: full model", "measured"),
    ]
    assert max(map(len, render([table], "terminal").splitlines())) <= 100


def test_methods_without_an_ablation_are_told_which_have_one() -> None:
    with pytest.raises(UsageError, match=r"hsnet has no ablation table; these have one: .*asnet"):
        ablation(Ablation("hsnet"))
    with pytest.raises(UsageError, match=r"unknown method 'asnt'; did you mean asnet\?"):
        ablation(Ablation("asnt"))


def test_measured_forms_in_a_comparison_are_named_and_rank_below(tmp_path: Path) -> None:
    run_form(tmp_path / "a", "fscs-global-local", 0.9)
    run_form(tmp_path / "full", "fscs", 0.3)
    write_run(
        tmp_path / "h", run_of("hsnet", backbone="small", task="fscs", variant="fscs", protocol="shapes-fscs"), 0.2
    )

    def shown(*names: str) -> dict[str, Row]:
        asked = Comparison(names, source="measured", layout="fscs", runs=tmp_path)
        return {row.label: row for table in compare(asked) for group in table.groups for row in group.rows}

    assert set(shown()) == {"ASNet", "ASNet: (a) global->local", "HSNet"}
    assert shown()["ASNet"].cells[0].emphasis == "best"
    assert shown()["ASNet: (a) global->local"].cells[0].emphasis == ""
    assert set(shown("asnet")) == {"ASNet", "ASNet: (a) global->local"}
    assert set(shown("asnet:fscs-global-local")) == {"ASNet: (a) global->local"}
