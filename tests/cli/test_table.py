"""`fssbench table`: what a person sees, the exit codes, and how light it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fssbench.cli.table import table
from fssbench.cli.table_options import ENDINGS
from fssbench.errors import MissingError, UsageError
from tests.tables.runs import limited, run_of, write_run


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(table)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_without_options_both_data_sets_are_shown_within_a_hundred_columns() -> None:
    result = run()
    assert result.exit_code == 0
    assert "PASCAL-5i, 1-way" in result.stdout
    assert "COCO-20i, 1-way" in result.stdout
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_two_methods_are_compared_on_one_data_set() -> None:
    result = run("--compare", "hsnet,ntrenet", "--dataset", "pascal5i", "--shots", "1", "--backbone", "resnet50")
    numbers = [line.split("  ") for line in result.stdout.splitlines() if line.startswith(("HSNet [", "NTRENet ["))]
    assert [[part.strip() for part in line if part.strip()] for line in numbers] == [
        ["HSNet [1]", "ICCV'21", "64.3 +", "70.7 +", "60.3 *", "60.5 *", "64.0 +", "76.7 +", "2.6"],
        ["NTRENet [2] CVPR'22", "65.4 *", "72.3 *", "59.4 +", "59.8 +", "64.2 *", "77.0 *", "-"],
    ]


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("markdown", "### PASCAL-5i"),
        ("latex", "% needs \\usepackage{booktabs}"),
        ("csv", "dataset,task,method"),
        ("html", "<!DOCTYPE html>"),
        ("json", '[\n {\n  "title": "PASCAL-5i'),
    ],
)
def test_formats_go_to_the_terminal_or_to_a_file(form: str, start: str, tmp_path: Path) -> None:
    shown = run("--compare", "hsnet", "--format", form)
    assert shown.stdout.startswith(start)
    path = tmp_path / "table.out"
    quiet = run("--compare", "hsnet", "--format", form, "--out", path)
    assert (quiet.exit_code, quiet.stdout) == (0, "")
    assert path.read_text() == shown.stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.out"]


def test_a_file_that_cannot_be_written_is_said() -> None:
    assert isinstance(run("--out", "no/such/folder/table.txt").exception, UsageError)


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["--compare", "hsnett"], UsageError, "did you mean hsnet"),
        (["--dataset", "pascal"], UsageError, "did you mean pascal5i"),
        (["--shots", "one"], UsageError, "--shots takes counts"),
        (["--shots", "0"], UsageError, "--shots takes counts"),
        (["--source", "measured"], MissingError, "no runs"),
        (["--runs", "nowhere"], MissingError, "no folder of runs nowhere"),
        (["--dataset", "shapes20i"], MissingError, "on shapes20i"),
        (["--compare", "runs/none"], MissingError, "there is no run in runs/none"),
        (["--compare", "hsnet,no*/pe*"], MissingError, "there is no run in no*/pe*"),
        (["--ablation", "hsnet"], UsageError, "hsnet has no ablation table; these have one:"),
        (["--ablation", "mtm"], UsageError, "did you mean mmt"),
        (["--ablation", "mmt", "--compare", "hsnet"], UsageError, "--compare has no place there"),
        (["--ablation", "mmt", "--layout", "fss"], UsageError, "--layout has no place there"),
        (["--ablation", "mmt", "--source", "measured"], MissingError, "no run of mmt's variants"),
    ],
)
def test_mistakes_end_in_a_line_and_exit_code_2(arguments: list[str], kind: type, says: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, kind)
    assert says in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == 2
    assert result.stdout == ""


def test_runs_in_the_folder_are_shown_without_being_asked_for(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "one", run_of(), iou=0.5)
    assert "HSNet [†a]" in run("--dataset", "shapes20i").stdout
    assert "†" in run("--source", "measured").stdout
    assert "†" not in run("--source", "published").stdout


def test_run_folders_are_compared_by_name_by_wildcard_and_beside_methods(tmp_path: Path) -> None:
    write_run(tmp_path / "mine" / "one", run_of("hsnet", backbone="small"), iou=0.5)
    write_run(tmp_path / "mine" / "two", run_of("asnet", backbone="small"), iou=0.6)
    write_run(tmp_path / "runs" / "other", run_of("pfenet", backbone="small"), iou=0.7)

    def labels(*arguments: str) -> list[str]:
        shown = run("--format", "json", *arguments)
        assert shown.exit_code == 0, shown.exception
        return [row["name"] for t in json.loads(shown.stdout) for group in t["groups"] for row in group["rows"]]

    assert labels("--compare", "mine/one") == ["HSNet"]
    assert labels("--compare", "mine/one,mine/two/") == ["HSNet", "ASNet"]
    assert labels("--compare", "mine") == labels("--compare", "mine/*") == ["HSNet", "ASNet"]
    assert labels("--compare", "pfenet,mine/one") == ["PFENet", "HSNet"]
    assert labels("--compare", "hsnet", "--compare", str(tmp_path / "mine/two"), "--runs", "mine") == ["HSNet", "ASNet"]
    write_run(tmp_path / "fscs", run_of("asnet", task="fscs", protocol="shapes-fscs"))
    assert "classification and segmentation" in run("--compare", "./fscs").stdout


def test_a_folder_called_like_a_method_is_the_folder_only_with_runs_in_it(tmp_path: Path) -> None:
    (tmp_path / "hsnet").mkdir()
    assert "[†" not in run("--compare", "hsnet", "--dataset", "pascal5i").stdout


def test_a_run_stands_with_its_interval_and_its_difference_to_the_printed_row(tmp_path: Path) -> None:
    write_run(tmp_path / "one", run_of("hsnet", dataset="pascal5i", protocol="hsnet", episodes=40), iou=0.6)
    (table,) = json.loads(run("--compare", "./one", "--format", "json").stdout)
    (result,) = table["groups"][0]["rows"][0]["results"]
    assert result["printed"]["mean"] == 64.0
    assert result["difference"]["mean"] == -4.0
    assert set(result["reach"]) == {"fold0", "fold1", "fold2", "fold3", "mean", "fb_iou"}
    notes = " ".join(note["text"] for note in table["footnotes"])
    assert "its difference to what was printed" in notes
    assert "printed: iFSL paper (CVPR 2022), FS-S table, PASCAL-5i" in notes
    assert "no verdict" not in notes
    write_run(tmp_path / "two", run_of("hsnet", dataset="pascal5i", protocol="pfenet", episodes=40), iou=0.6)
    assert "by the protocol hsnet, not that of the measured row" in " ".join(run("--compare", "./two").stdout.split())
    # Another backbone than any that was printed: nothing to subtract.
    write_run(tmp_path / "three", run_of("hsnet", dataset="pascal5i", protocol="hsnet", backbone="small"), iou=0.6)
    assert "minus printed" not in run("--compare", "./three").stdout


def test_an_ablation_is_shown_with_the_runs_in_the_folder(tmp_path: Path) -> None:
    assert "shapes20i†" not in run("--ablation", "mmt").stdout
    write_run(tmp_path / "runs" / "one", run_of("mmt", variant="cons", backbone="small"), iou=0.123)
    shown = run("--ablation", "mmt", "--format", "markdown").stdout
    row = next(line for line in shown.splitlines() if "| cons |" in line)
    assert [cell.strip() for cell in row.split("|")[3:-1]] == ["62.8", *["12.3"] * 5]
    assert "12.3" not in run("--ablation", "mmt", "--source", "published").stdout
    assert run("--ablation", "mmt", "--dataset", "pascal5i").stdout.count("shapes20i") == 0
    run("--ablation", "mmt", "--format", "latex", "--out", tmp_path / "table.tex")
    assert "12.3" in (tmp_path / "table.tex").read_text()


@pytest.mark.parametrize("what", ["--compare', 'hsnet", "--ablation', 'mmt"])
def test_printed_numbers_need_neither_torch_nor_pandas(what: str) -> None:
    code = (
        "import sys, typer; from fssbench.cli.table import table; app = typer.Typer(); app.command()(table)\n"
        f"try: app(['{what}'])\n"
        "except SystemExit: print({'torch', 'pandas', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_more_ways_are_shown_as_classification_and_segmentation() -> None:
    assert "classification and segmentation, 2-way" in run("--dataset", "pascal5i", "--ways", "2").stdout
    assert "exact ratio" not in run("--dataset", "pascal5i", "--ways", "1").stdout
    assert "exact ratio" in run("--dataset", "pascal5i", "--ways", "1", "--layout", "fscs").stdout


def test_a_run_folder_has_no_place_among_printed_numbers_only(tmp_path: Path) -> None:
    write_run(tmp_path / "one", run_of())
    assert "one is a run" in str(run("--compare", "./one", "--source", "published").exception)
    assert "of one on coco20i" in str(run("--compare", "./one", "--dataset", "coco20i").exception)


def test_a_run_folder_that_can_not_be_read_is_named_and_costs_no_table(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "good", run_of("hsnet", backbone="small"), iou=0.5)
    alone = run("--dataset", "shapes20i").stdout
    for name in ("torn", "foreign", "without-rows", "empty", "damaged"):
        write_run(runs / name, run_of("asnet", backbone="small"), iou=0.6)
    text = (runs / "torn" / "run.json").read_text()
    (runs / "torn" / "run.json").write_text(text[: len(text) // 2])
    (runs / "foreign" / "run.json").write_text('{"name": "something else"}')
    (runs / "without-rows" / "rows.jsonl").unlink()
    (runs / "empty" / "rows.jsonl").write_text("")
    (runs / "damaged" / "rows.jsonl").write_text("no row\n")
    for asked in ((), ("--runs", "runs"), ("--compare", "./runs"), ("--compare", "runs/good,runs")):
        shown = run("--dataset", "shapes20i", *asked)
        assert (shown.exit_code, shown.stdout) == (0, alone), asked
        warned = [line.split(" is left out: ")[0] for line in shown.stderr.splitlines()]
        assert sorted(warned) == [
            f"warning: runs/{name}" for name in ("damaged", "empty", "foreign", "torn", "without-rows")
        ]
        assert all(f"runs/{name}" in shown.stderr.split(f"runs/{name} is left out: ")[1] for name in ("torn", "empty"))
    # One that is named itself is a mistake to be told, as is a folder without any that can be read.
    for name in ("torn", "foreign", "without-rows", "empty", "damaged"):
        for asked in (("--runs", f"runs/{name}"), ("--compare", f"runs/{name},runs/good")):
            assert getattr(run("--dataset", "shapes20i", *asked).exception, "exit_code", None) == 2, asked
    (runs / "good" / "run.json").unlink()
    none = run("--dataset", "shapes20i")
    assert isinstance(none.exception, MissingError)
    assert none.stderr.count("is left out") == 5
    assert run("--dataset", "pascal5i").exit_code == 0


def test_damaged_runs_are_left_out_of_an_ablation(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", run_of("asnet", backbone="resnet50", task="fscs", protocol="ifsl-fscs"))
    alone = run("--ablation", "asnet").stdout
    write_run(tmp_path / "runs" / "b", run_of("asnet", backbone="resnet50")).joinpath("run.json").write_text("{}")
    shown = run("--ablation", "asnet")
    assert (shown.exit_code, shown.stdout) == (0, alone)
    assert shown.stderr.startswith("warning: runs/b is left out: ")


def test_the_name_of_a_method_is_the_method_though_a_folder_of_runs_has_it(tmp_path: Path) -> None:
    write_run(tmp_path / "hsnet", run_of("copy-mask", backbone=None, dataset="pascal5i", protocol="hsnet"), iou=0.5)
    write_run(tmp_path / "mine", run_of("asnet", dataset="pascal5i", protocol="hsnet"), iou=0.5)
    printed = run("--compare", "hsnet", "--dataset", "pascal5i")
    assert "HSNet [1]" in printed.stdout
    assert "copy-mask" not in printed.stdout
    assert "--compare ./hsnet is the folder" in printed.stderr
    folder = run("--compare", "./hsnet", "--dataset", "pascal5i")
    assert "copy-mask [†" in folder.stdout
    assert "HSNet" not in folder.stdout
    assert folder.stderr == ""
    both = run("--compare", "HSNet,./hsnet", "--dataset", "pascal5i").stdout
    assert "HSNet [1]" in both
    assert "copy-mask [†" in both
    assert "ASNet [†" in run("--compare", "mine", "--dataset", "pascal5i").stdout, "no method is called so"


def test_own_runs_decide_the_tables_and_are_called_as_the_user_says(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "mine", run_of("my.py:Net", backbone="small"), iou=0.5)
    shown = run("--label", "MyNet (ours)").stdout
    assert shown.startswith("shapes20i, 1-way\n")
    assert "MyNet (ours) [†a]" in shown
    assert "PASCAL" not in shown
    assert "ViT-B/16\nMyNet" in run("--label", "MyNet", "--label-backbone", "ViT-B/16").stdout


def test_a_named_run_that_is_left_out_is_named_with_the_reason(tmp_path: Path) -> None:
    write_run(tmp_path / "mine", run_of("mynet", backbone="small", dataset="pascal5i", protocol="hsnet"))
    asked = ("--compare", "hsnet,./mine", "--dataset", "pascal5i", "--backbone", "resnet50")
    shown = run(*asked)
    assert "HSNet [1]" in shown.stdout
    assert shown.stderr == "warning: mine is left out: its backbone is small\n"
    alone = run("--runs", "mine", "--shots", "5")
    assert alone.stderr.startswith("warning: mine is left out: it is 1-shot\n")
    write_run(tmp_path / "runs" / "a", run_of("mynet", backbone="small"))
    write_run(tmp_path / "runs" / "b", run_of("mynet", backbone="vgg16"))
    assert run("--runs", "runs", "--backbone", "vgg16").stderr == (
        "note: not shown of the runs in runs: its backbone is small (1)\n"
    )
    assert run("--backbone", "vgg16").stderr == "", "nobody has named the folder"


def test_what_footnotes_warn_of_is_said_where_they_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "mine", limited(run_of("mynet", (0, 1)), 2))
    shown = run("--no-footnotes")
    assert "[" not in shown.stdout
    assert "only the first 2 episodes of each list; mean over folds 0, 1 alone" in shown.stderr
    write_run(tmp_path / "runs" / "other", limited(run_of("othernet", (0, 1)), 2))
    (both,) = [line for line in run("--no-footnotes").stderr.splitlines() if "only the first 2" in line]
    assert "nothing says of mynet, othernet: " in both, "rows of the same warning share a line"


def test_a_caption_is_for_one_table(tmp_path: Path) -> None:
    wrong = run("--compare", "hsnet", "--caption", "On PASCAL").exception
    assert isinstance(wrong, UsageError)
    assert "--caption is for one table, and these are 2: PASCAL-5i, 1-way; COCO-20i, 1-way" in str(wrong)
    assert "On PASCAL" in run("--compare", "hsnet", "--dataset", "pascal5i", "--caption", "On PASCAL").stdout
    for shot in (1, 5):
        write_run(tmp_path / "runs" / str(shot), run_of("mynet", (0,), backbone="small", shot=shot))
    by_class = run("--per-class", "--caption", "Classes").exception
    assert "--caption is for one table, and these are 2" in str(by_class)
    assert "Classes" in run("--per-class", "--shots", "1", "--caption", "Classes").stdout


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_has_the_format_of_its_ending(ending: str, tmp_path: Path) -> None:
    run("--compare", "hsnet", "--out", tmp_path / f"table{ending}")
    run("--compare", "hsnet", "--format", ENDINGS[ending], "--out", tmp_path / "table.out")
    assert (tmp_path / f"table{ending}").read_text() == (tmp_path / "table.out").read_text()


def test_classes_are_shown_and_drawn(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "mine", run_of("mynet", (0,), backbone="small"))
    assert "class 1  " in run("--per-class").stdout
    assert run("--per-class", "--format", "csv").stdout.startswith("dataset,data,task")
    assert run("--per-class", "--out", tmp_path / "iou.svg").exit_code == 0
    assert (tmp_path / "iou.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "iou.svg"], "would be a chart, which --per-class draws"),
        (["--per-class", "--source", "published"], "no source prints the IoU of each class"),
        (["--ablation", "mmt", "--label", "Ours"], "--label has no place there"),
        (["--columns", "men"], "did you mean mean"),
        (["--decimals", "7"], "--decimals is 0 to 4"),
        (["--latex-label", "a{b"], "is no key"),
        (["--label", "Ours"], "there is no run"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (
            ("--dataset", "shapes20i_to_shapes20i-underwater"),
            "fssbench eval --method hsnet --train-dataset shapes20i --dataset shapes20i-underwater measures it",
        ),
        (
            ("--dataset", "Shapes-20i", "--compare", "asnet"),
            "fssbench eval --method asnet --dataset shapes20i ",
        ),
    ],
)
def test_before_the_first_run_the_command_that_makes_one_is_named(
    fssbench, elsewhere, arguments: tuple[str, ...], command: str
) -> None:
    code, out, err = fssbench("table", *arguments)
    assert (code, out) == (2, "")
    assert "unknown data set" not in err
    assert "there is neither a printed number nor a run" in err
    assert command in err
