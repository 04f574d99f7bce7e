"""`fssbench check` as a person, and a CI server, meet it."""

from __future__ import annotations

import sys
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
