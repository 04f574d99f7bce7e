"""`fssbench bench`: what is measured is kept and printed, whatever ends it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fssbench.engine.profiling import bench
from fssbench.engine.profiling.bench import Case, Measured
from fssbench.engine.profiling.profile import Line, Profile
from fssbench.errors import UsageError
from fssbench.progress import Activity

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("elsewhere")


def profile(seconds: float) -> Profile:
    lines = tuple(Line(stage, seconds, 0.2, 0) for stage in ("decode", "encode", "condition", "predict", "score"))
    return Profile(lines, 20, 0, 0, 0, 0, 0, 2**30, 1e9, 1, "cpu")


@pytest.mark.parametrize(("end", "expected"), [(KeyboardInterrupt(), 130), (UsageError("no weights"), 2)])
def test_what_is_measured_is_kept_and_printed(
    end: BaseException, expected: int, fssbench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def measure(cases: Sequence[Case], options: Sequence[str], episodes: int | None) -> Iterator[Measured]:
        assert episodes == 80  # of four folds
        yield Measured(cases[0], profile(1.0), "small", 10, 40.0, random=False)
        yield Measured(cases[1], profile(2.0), "small", 10, 30.0, random=False)
        written.append(Path("numbers.csv").read_text())
        raise end

    monkeypatch.setattr(bench, "measure", measure)
    code, out, err = fssbench("bench", "--method", "hsnet,asnet,pfenet", "--fold", "all", "--out", "numbers.csv")
    assert code == expected
    assert [line.split()[:5] for line in out.splitlines()[1:3]] == [
        ["hsnet", "small", "1", "float32", "4.00"],
        ["asnet", "small", "1", "float32", "2.00"],
    ]
    assert "hsnet, 1-shot, float32: 4.00 episodes/s" in err.splitlines(), "told when it is measured"
    assert "not measured: pfenet, 1-shot, float32" in err.splitlines()
    assert written == [Path("numbers.csv").read_text()]
    assert [line.split(",")[0] for line in written[0].splitlines()] == ["method", "hsnet", "asnet"]


def test_an_interrupt_ends_the_process_that_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    def interrupted(process: subprocess.Popen[str], rows: Path, activity: Activity) -> str:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(bench.measure([Case("copy-mask", 1, "float32")], ["--dataset", "shapes20i", "--fold", "0"]))
    assert started[0].returncode is not None


def test_a_case_that_fails_says_why(fssbench: Run) -> None:
    code, _, err = fssbench("bench", "--method", "copy-mask", "--dataset", "pascal5i")
    assert code == 2
    assert "error: copy-mask, 1-shot, float32: " in err
