"""`fssbench score` as a person meets it: what `fssbench eval --save-predictions` wrote gives the same rows again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.results import load_run

REPOSITORY = Path(__file__).resolve().parents[2]
BAM = ("--method", "bam", "--random-weights", "--backbone", "small", "--seed", "510")
SCORE = ("score", "--predictions", "given", "--quiet")

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("elsewhere")


def answers(folder: str) -> list[dict[str, object]]:
    """The rows without the one thing that may differ."""
    rows = [json.loads(line) for line in (Path(folder) / "rows.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize(
    "asked",
    [
        ("--method", "copy-mask"),
        ("--method", "copy-mask", "--protocol", "hsnet"),
        ("--method", "pfenet", "--random-weights", "--backbone", "small", "--task", "fs-cs", "--ways", "2"),
        (*BAM, "--protocol", "bam"),
        (*BAM, "--protocol", "bam-gfss"),
    ],
    ids=lambda asked: " ".join(asked),
)
def test_saved_predictions_give_the_rows_and_numbers_of_the_run(asked: tuple[str, ...], fssbench: Run) -> None:
    native = ("eval", "--dataset", "shapes20i", "--fold", "1", "--episodes", "4", *asked, "--quiet")
    code, printed, _ = fssbench(*native, "--out", "native", "--save-predictions", "given")
    assert code == 0
    assert json.loads(Path("native/run.json").read_text())["predictions"] == "../given"
    code, scored, err = fssbench(*SCORE, "--episodes", "native/episodes-fold1.json", "--out", "scored")
    assert (code, err) == (0, "")
    assert answers("scored") == answers("native")
    assert Path("scored/summary.json").read_bytes() == Path("native/summary.json").read_bytes()
    notes = ("random weights: ", "episodes: ")  # of a method that is here, and of the list, at the end
    table = printed[: min(printed.index(note) for note in notes if note in printed)]
    assert scored.startswith(table), "the same table"
    assert f"label maps from {Path('given').resolve()}, not computed here" in scored


def test_several_folds_in_one_folder_and_in_tables(fssbench: Run) -> None:
    native = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--episodes", "2", "--quiet")
    assert fssbench(*native, "--out", "native", "--save-predictions", "given")[0] == 0
    lists = ("--episodes", "native/episodes-fold{fold}.json")
    code, _, err = fssbench(
        "score", "--predictions", "given", *lists, "--method-name", "Net & Co", "--out", "runs/scored"
    )
    assert code == 0
    lines = err.splitlines()
    assert lines[0] == (
        "Net & Co on shapes20i, 1-way 1-shot, protocol shapes, predictions in given; rows go to runs/scored"
    )
    assert "fold 3: 2/2" in lines[-1]
    assert "episodes/s" in lines[-1]
    assert answers("runs/scored") == answers("native")
    code, out, _ = fssbench("table", "--source", "measured", "--dataset", "shapes20i", "--runs", "runs")
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("Net & Co"))
    assert f"{load_run('native').summary().miou:.1f}" in row
    assert "predictions computed elsewhere and read from files" in out
    # One fold of them alone: what the folder holds of the others is passed over.
    assert fssbench(*SCORE, *lists, "--fold", "2", "--out", "one")[0] == 0
    assert answers("one") == [row for row in answers("native") if row["fold"] == 2]
    # The mean of three folds is not that of four.
    Path("native/episodes-fold3.json").unlink()
    code, _, err = fssbench(*SCORE, *lists, "--out", "three")
    assert (code, Path("three").exists()) == (2, False)
    assert "there is no episode list native/episodes-fold3.json, but all 4 folds were requested" in err


def test_a_run_with_saved_predictions_is_continued(fssbench: Run) -> None:
    native = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--episodes", "6", "--quiet")
    keep = ("--out", "native", "--save-predictions", "given")
    assert fssbench(*native, *keep, "--limit", "3")[0] == 0
    code, _, err = fssbench(*native, "--out", "other", "--save-predictions", "given")
    assert code == 2
    assert "holds predictions already" in err
    assert fssbench(*native, *keep, "--resume")[0] == 0
    assert fssbench(*SCORE, "--episodes", "native/episodes-fold0.json", "--out", "scored")[0] == 0
    assert answers("scored") == answers("native")


def test_torch_is_not_needed(fssbench: Run, tmp_path: Path, cache: Path) -> None:
    """Nor photos: the masks alone are counted on."""
    native = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--episodes", "3", "--quiet")
    for protocol in ("shapes", "hsnet", "pfenet@input"):
        where = ("--protocol", protocol, "--out", protocol, "--save-predictions", f"given-{protocol}")
        assert fssbench(*native, *where)[0] == 0
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    path = os.pathsep.join([str(tmp_path / "blocked"), str(REPOSITORY)])
    for protocol in ("shapes", "hsnet", "pfenet@input"):
        command = [sys.executable, "-m", "fssbench", "score", "--predictions", f"given-{protocol}", "--quiet"]
        command += ["--episodes", f"{protocol}/episodes-fold0.json", "--out", f"scored-{protocol}"]
        answer = subprocess.run(
            command, check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, timeout=60
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        assert answers(f"scored-{protocol}") == answers(protocol)


def test_mistakes_end_in_two_lines_and_leave_nothing(fssbench: Run) -> None:
    assert fssbench("episodes", "export", "--dataset", "shapes20i", "--protocol", "shapes", "--out", "l.json")[0] == 0
    Path("given").mkdir()
    for number in range(200):
        Path(f"given/fold0-{number:05d}.png").write_bytes(b"\x89PNG\r\n\x1a\n" if number % 2 else b"\x1b[31m")
    code, out, err = fssbench(*SCORE, "--episodes", "l.json", "--out", "scored")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("error: 200 of 200 predictions can't be counted: given/fold0-00000.png is not a PNG")
    assert lines[0].endswith("and 197 more")
    assert lines[1].startswith("  try: ")
    assert len(lines) == 2
    assert not Path("scored").exists()
