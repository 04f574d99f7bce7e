"""`fssbench report`, `show` and `plot`, as they are typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench.figures.palette import VERMILION
from tests.reports.conftest import two_runs

__all__ = ["two_runs"]

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_report_writes_a_page_and_says_what_is_left_out(fssbench, two_runs: Path, tmp_path: Path) -> None:
    code, out, err = fssbench("report", str(two_runs), "--episodes", "2", "--no-similarity", "--out", "page.html")
    size = (tmp_path / "page.html").stat().st_size / 1e6
    assert (code, out) == (0, f"page.html: {size:.1f} MB, 2 episodes in the gallery\n")
    assert err.startswith("note: The predictions of copy-mask, all-foreground were not all saved")
    page = (tmp_path / "page.html").read_text()
    assert page.count('<article class="episode"') == 2
    code, out, _ = fssbench(
        "report",
        str(two_runs / "copied"),
        "--episodes",
        "1",
        "--episode",
        "5",
        "--no-similarity",
        "--split",
        "--out",
        "folder",
    )
    assert code == 0
    assert 'id="fold0-00005"' in (tmp_path / "folder" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "gone"], "there is no run in gone"),
        (["report", "RUNS", "--episodes", "-1"], "--episodes is 0 or more, not -1"),
        (["report", "RUNS", "--episode", "1:4"], "the runs have no row of fold 1, episode 4"),
        (["report", "RUNS", "--episode", "last"], "an episode is a number, fold:number or its id, not 'last'"),
        (["report", "RUNS", "--out", "gone/page.html"], "can't write gone/page.html: its folder gone is not there"),
        (["show"], "name a run, --dataset or --episodes"),
        (["show", "RUNS", "--dataset", "shapes20i"], "RUN shows a run; --dataset and --episodes show a data set"),
        (["show", "RUNS", "--class", "geer"], "unknown class 'geer'; did you mean gear"),
        (["show", "RUNS", "--fold", "3"], "no episode of the runs fits --class and --fold"),
        (["show", "RUNS", "--disagree", "copy-mask,hsnet"], "there is no run of 'hsnet' here"),
        (["show", "RUNS", "--worst", "0"], "--worst is 1 or more, not 0"),
        (["show", "--dataset", "shapes20i", "--fold", "7"], "shapes20i has no fold 7"),
        (
            ["show", "--dataset", "shapes20i", "--fold", "1", "--class", "gear"],
            "shapes20i has no image of gear in the lists",
        ),
        (["plot", "RUNS", "--kind", "fold", "--out", "figure.doc"], "a figure ends in .pdf"),
        (["plot", "RUNS", "--kind", "fold", "--width", "0"], "--width is 1 to 40 inches, not 0"),
        (["plot", "RUNS", "--kind", "history"], "there is no training in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_a_sentence(fssbench, two_runs: Path, arguments: list[str], message: str) -> None:
    code, _, err = fssbench(*(str(two_runs) if word == "RUNS" else word for word in arguments))
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_show_draws_the_worst_the_disputed_and_the_named_episode(fssbench, two_runs: Path, tmp_path: Path) -> None:
    code, out, err = fssbench(
        "show",
        str(two_runs),
        "--worst",
        "1",
        "--disagree",
        "copy-mask,all-foreground",
        "--count",
        "1",
        "--episode",
        "0:2",
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    names = [line.partition(":")[0] for line in lines]
    assert "pictures/fold0-00002.png" in names
    assert 2 <= len(names) <= 3
    rows = [json.loads(line) for line in (two_runs / "everything" / "rows.jsonl").read_text().splitlines()]
    iou = 100 * rows[2]["intersection"][1] / rows[2]["union"][1]
    assert f"all-foreground {iou:.1f} %" in next(line for line in lines if "00002" in line)
    with Image.open(tmp_path / "pictures" / "fold0-00002.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert min(pixels.shape[:2]) > 300
    # The errors of all-foreground: most of the picture is wrongly predicted.
    assert (np.abs(pixels - VERMILION).sum(axis=-1) < 90).mean() > 0.05


def test_pictures_are_named_after_a_file(fssbench, two_runs: Path, tmp_path: Path) -> None:
    code, out, _ = fssbench("show", str(two_runs / "copied"), "--episode", "2", "--out", "sheets/x.png")
    assert (code, out.partition(":")[0]) == (0, "sheets/x.png")
    code, out, _ = fssbench("show", str(two_runs / "copied"), "--episode", "2", "--episode", "4", "--out", "x.png")
    assert [line.partition(":")[0] for line in out.splitlines()] == ["x-fold0-00002.png", "x-fold0-00004.png"]
    fssbench("show", "--dataset", "shapes20i", "--fold", "0", "--count", "2", "--out", "y.png")
    fssbench("show", "--dataset", "shapes20i", "--fold", "0", "--count", "26", "--out", "z.png")
    pictures = {"x-fold0-00002.png", "x-fold0-00004.png", "y.png", "z-1.png", "z-2.png"}
    assert {path.name for path in tmp_path.iterdir() if path.is_file() and path.suffix == ".png"} == pictures
    code, _, err = fssbench("show", "--dataset", "shapes20i", "--out", "x.jpg")
    assert (code, err) == (2, "error: pictures are PNG, not .jpg\n  try: --out x.png\n")


def test_a_report_of_two_lists_has_a_section_for_each(fssbench, two_runs: Path, tmp_path: Path) -> None:
    on = ("--dataset", "shapes20i", "--fold", "0", "--limit", "2", "--quiet")
    assert fssbench("eval", "--method", "nothing", *on, "--shots", "5", "--out", "five")[0] == 0
    few = ("--episodes", "1", "--no-similarity", "--predict", "none")
    code, out, err = fssbench("report", str(two_runs), "five", *few, "--out", "page.html")
    assert code == 0
    assert "2 episodes in the gallery" in out
    assert "shapes20i, 1-way 1-shot, 6 episodes: copy-mask, all-foreground\n" in err
    assert "note: the runs are of several lists of episodes: each is a section, and compared within it" in err
    assert (tmp_path / "page.html").read_text().count('<section class="list"') == 2


def test_show_names_the_other_run_by_its_folder(fssbench, two_runs: Path) -> None:
    code, out, _ = fssbench(
        "show",
        str(two_runs / "copied"),
        "--disagree",
        str(two_runs / "everything"),
        "--count",
        "1",
        "--preview",
        "kitty",
    )
    assert code == 0
    assert out.startswith("\x1b_Ga=T,f=100,")
    assert "copy-mask" in out.splitlines()[-1]
    assert "all-foreground" in out.splitlines()[-1]


def test_show_draws_contact_sheets_of_data_and_lists(fssbench, two_runs: Path, tmp_path: Path) -> None:
    code, out, _ = fssbench("show", "--dataset", "shapes20i", "--fold", "0", "--class", "gear", "--count", "7")
    assert (code, out.partition(":")[0]) == (0, "pictures/shapes20i-fold0-gear.png")
    code, out, _ = fssbench("show", "--dataset", "shapes20i", "--fold", "1", "--rim", "--count", "2", "--out", "rim")
    assert (code, out.partition(":")[0]) == (0, "rim/shapes20i-fold1-ignoreregion-255.png")
    listed = two_runs / "copied" / "episodes-fold0.json"
    code, out, _ = fssbench("show", "--episodes", str(listed), "--count", "5")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        "pictures/episodes-fold0-1.png",
        "pictures/episodes-fold0-2.png",
    ]
    with Image.open(tmp_path / "pictures" / "episodes-fold0-1.png") as sheet:
        assert sheet.height > 4 * 150


@pytest.mark.parametrize("kind", ["fold", "class", "size", "scatter", "histogram", "errors"])
def test_plot_writes_each_kind(fssbench, two_runs: Path, tmp_path: Path, kind: str) -> None:
    code, out, err = fssbench("plot", str(two_runs), "--kind", kind, "--out", "figure.svg")
    assert (code, out, err) == (0, f"figure.svg: {kind}, 3.25 inches wide\n", "")
    text = (tmp_path / "figure.svg").read_text()
    assert 'width="234pt"' in text
    assert "all-foreground" in text


def test_plot_draws_the_course_of_a_training(fssbench, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    with (folder / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "learning_rate", "loss", "validation"])
        writer.writerows([[step, 0.1, 1 / step, step if step % 10 == 0 else ""] for step in range(1, 31)])
    from fssbench.reports import plot

    line = plot([folder], "history", column="validation").axes[0].lines[0]
    assert line.get_xydata().tolist() == [[10, 10], [20, 20], [30, 30]]
    assert fssbench("plot", "training", "--kind", "history")[0] == 0
    assert fssbench("plot", "training", "--kind", "history", "--column", "colour")[2].startswith(
        "error: the trainings have no colour; they have learning_rate, loss, validation"
    )
    (folder / "log.csv").write_text("a,b\n1,2\n")
    assert "is no table of steps" in fssbench("plot", "training", "--kind", "history")[2]


def test_saved_predictions_in_the_run_folder_are_taken(fssbench, tmp_path: Path) -> None:
    run = ["--dataset", "shapes20i", "--fold", "0", "--episodes", "2", "--quiet", "--out", "run"]
    assert fssbench("eval", "--method", "copy-mask", *run, "--save-predictions", "run/predictions")[0] == 0
    assert fssbench("report", "run", "--no-similarity")[2] == ""
    assert "prediction, saved" in (tmp_path / "report.html").read_text()
    saved = tmp_path / "run/predictions/fold0-00001.png"
    with Image.open(saved) as prediction:
        Image.new("L", prediction.size, 1).save(saved)
    err = fssbench("report", "run", "--no-similarity")[2]
    assert "1 of 2 saved predictions of copy-mask have other counts than its rows: they are not" in err
    assert "1 of 2 predictions of copy-mask in the gallery have other counts than its rows: they are marked." in err


def test_site_leaves_out_what_is_damaged_and_writes_over_nothing_else(fssbench, two_runs: Path, tmp_path: Path) -> None:
    (tmp_path / "runs/broken").mkdir(parents=True)
    (tmp_path / "runs/broken/run.json").write_text("{")
    code, out, err = fssbench("site", str(two_runs), "runs", "--out", "site")
    assert (code, "2 of them measured" in out, "runs/broken is left out" in err) == (0, True, True)
    assert fssbench("site", "gone")[0] == 2
    code, _, err = fssbench("site", "--out", "runs")
    assert (code, "runs has files, and is no site" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "site"]
