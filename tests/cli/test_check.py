"""`fssbench check` as a person, and a CI server, meet it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench import cli
from tests.checking.runs import baselines_of, on, released
from tests.tables.runs import limited, run_of, write_run


@pytest.fixture
def fssbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    write_run(tmp_path / "hit", on(run_of()), 0.5)
    write_run(tmp_path / "missed", on(run_of()), 0.6)
    write_run(tmp_path / "part", limited(on(run_of()), 2), 0.5)
    baselines_of(tmp_path / "known", tmp_path / "hit")
    (tmp_path / "empty").mkdir()

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fssbench", "check", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return run


BASELINE = ("--against", "baseline", "--baselines", "known")


def test_a_hit(fssbench) -> None:
    code, out, err = fssbench(*BASELINE, "hit")
    assert (code, err) == (0, "")
    first = out.splitlines()[1].split()
    assert first[4:] == "1-shot fold 0 mIoU 50.00 50.00 +0.00 exact".split() + first[12:]  # noqa: SIM905
    assert "ok" in first
    assert out.splitlines()[-1] == "8 checks passed against baselines"
    assert "tolerance, same weights, episodes and versions: counts are integers" in out


def test_a_miss_ends_with_1_after_the_table(fssbench) -> None:
    code, out, err = fssbench(*BASELINE, "hit", "missed")
    assert code == 1
    assert out.count("MISS") == 8
    assert err.startswith("error: 8 of 16 checks missed, first hsnet")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*BASELINE, "part"), "only the first 2 of 4 episodes"),
        ((*BASELINE, "hit", "part"), "only the first 2 of 4 episodes"),
        (("hit",), "no source prints"),
        (("gone",), "there is no run in gone"),
        (("empty",), "there is no run in empty"),
        (("--against", "baseline", "--baselines", "gone", "hit"), "no folder of baselines"),
        (("--baselines", "known", "hit"), "needs --against baseline"),
        ((*BASELINE, "--tolerance", "-1", "hit"), "tolerance is 0 to 100"),
        ((*BASELINE, "--junit", "gone/it.xml", "hit"), "can't write"),
    ],
)
def test_nothing_to_compare_ends_with_2(fssbench, arguments: tuple[str, ...], told: str) -> None:
    code, _, err = fssbench(*arguments)
    assert code == 2
    assert told in err
    assert len(err.splitlines()) <= 2


def test_printed_numbers_are_the_default(fssbench, tmp_path: Path) -> None:
    write_run(tmp_path / "released", released((0,)), 0.643)
    code, out, _ = fssbench("released")
    assert code == 0
    assert "64.30" in out
    assert "HSNet" in out or "iFSL" in out


def test_a_stated_tolerance(fssbench) -> None:
    assert fssbench(*BASELINE, "--tolerance", "10.1", "missed")[0] == 0
    assert fssbench(*BASELINE, "--tolerance", "9.9", "missed")[0] == 1


def test_files_for_ci_are_written_on_a_miss_too(fssbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    (tmp_path / "step.md").write_text("before\n")
    assert fssbench(*BASELINE, "--junit", "it.xml", "missed")[0] == 1
    assert '<failure type="miss"' in (tmp_path / "it.xml").read_text()
    step = (tmp_path / "step.md").read_text()
    assert step.startswith("before\n### fssbench check: 8 of 8 checks missed against baselines")
    assert fssbench(*BASELINE, "--step-summary", "own.md", "hit")[0] == 0
    assert "8 checks passed" in (tmp_path / "own.md").read_text()
    assert (tmp_path / "step.md").read_text() == step


def test_baselines_of_ones_own_are_written_and_replaced(fssbench, tmp_path: Path) -> None:
    code, out, _ = fssbench("--update", "--baselines", "mine", "hit")
    assert code == 0
    assert "fold 0: mIoU 50.00, new" in out
    assert fssbench("--against", "baseline", "--baselines", "mine", "hit")[0] == 0
    assert fssbench("--against", "baseline", "--baselines", "mine", "missed")[0] == 1
    _, out, _ = fssbench("--update", "--baselines", "mine/shapes20i.csv", "missed")
    assert "fold 0: mIoU 60.00, was 50.00" in out
    assert fssbench("--against", "baseline", "--baselines", "mine/shapes20i.csv", "missed")[0] == 0
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["shapes20i.csv"]
    assert len((tmp_path / "mine" / "shapes20i.csv").read_text().splitlines()) == 5


def test_the_first_episodes_are_compared_with_the_same_first_ones(fssbench, tmp_path: Path) -> None:
    write_run(tmp_path / "part-missed", limited(on(run_of()), 2), 0.6)
    write_run(tmp_path / "shorter", limited(on(run_of()), 1), 0.5)
    assert fssbench("--update", "--baselines", "known", "part")[0] == 0
    code, out, _ = fssbench(*BASELINE, "part")
    assert code == 0
    assert "a part: the first 2 of 4 episodes, here and there" in out
    assert fssbench(*BASELINE, "part-missed")[0] == 1
    code, _, err = fssbench(*BASELINE, "shorter")
    assert code == 2
    assert "only the first 1 of 4 episodes were evaluated (--limit), and the baseline is of 2" in err
    assert fssbench(*BASELINE, "hit")[0] == 0, "the baselines of whole lists stay"


def test_what_is_no_baseline_is_refused(fssbench, tmp_path: Path) -> None:
    code, _, err = fssbench("--update", "hit")
    assert (code, "no place was named" in err) == (2, True)
    write_run(tmp_path / "half", on(replace(run_of(), precision="bfloat16")), 0.5)
    code, _, err = fssbench("--update", "--baselines", "mine", "half")
    assert (code, "computed in bfloat16" in err) == (2, True)
    code, _, err = fssbench("--update", "--baselines", "mine/pascal5i.csv", "hit")
    assert (code, "is the file of baselines of pascal5i" in err) == (2, True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "shapes20i.csv").write_text("a,b\n1,2\n")
    assert fssbench("--update", "--baselines", "bad", "hit")[0] == 2
    assert (tmp_path / "bad" / "shapes20i.csv").read_text() == "a,b\n1,2\n"
    assert not (tmp_path / "mine").exists()
