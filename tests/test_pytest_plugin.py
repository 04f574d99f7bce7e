"""The fixture `fssbench_check` in somebody else's repository."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.checking.runs import baselines_of, on
from tests.tables.runs import limited, run_of, write_run

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    write_run(pytester.path / "mine", on(run_of()), 0.661)
    write_run(pytester.path / "part", limited(on(run_of()), 2), 0.661)
    baselines_of(pytester.path / "known", pytester.path / "mine")
    return pytester


def outcome(repository: pytest.Pytester, line: str) -> pytest.RunResult:
    repository.makepyfile(f"def test_it(fssbench_check):\n    {line}\n")
    return repository.runpytest_inprocess("-p", "fssbench.pytest_plugin", "-p", "no:cacheprovider")


@pytest.mark.parametrize(
    "line",
    [
        "fssbench_check.number('mine', miou=66.1, tolerance=0.4)",
        "fssbench_check.number('mine', miou=66.4, fold=2, tolerance=0.4)",
        "fssbench_check.against('mine', to='baseline', baselines='known')",
        "import fssbench.results as r; fssbench_check.number(r.load_run('mine'), miou=66.1, tolerance=0.4)",
    ],
)
def test_still_the_same(repository: pytest.Pytester, line: str) -> None:
    outcome(repository, line).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "fssbench_check.number('mine', miou=67.0, tolerance=0.4)",
            "*mean mIoU is 66.10, expected 67.00 (difference -0.90, tolerance ±0.40)*",
        ),
        (
            "fssbench_check.number('mine', fb_iou=50, fold=1, tolerance=0.4)",
            "*fold 1 FB-IoU is 83.05, expected 50.00*",
        ),
        ("fssbench_check.number('part', miou=66.1, tolerance=0.4)", "*can't be checked: only the first 2 of 4*"),
        ("fssbench_check.number('.', miou=66.1, tolerance=0.4)", "*several measurements*"),
        ("fssbench_check.number('mine', miou=66.1, fold=7, tolerance=0.4)", "*has no fold 7*"),
        ("fssbench_check.number('mine', exact_ratio=50, tolerance=1)", "*has no exact ratio*"),
        ("fssbench_check.number('mine', tolerance=0.4)", "*no number is stated*"),
        ("fssbench_check.against('mine')", "*nothing to compare with*"),
    ],
)
def test_a_miss_fails_the_test_in_words(repository: pytest.Pytester, line: str, told: str) -> None:
    result = outcome(repository, line)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])


def test_pytest_finds_it_once_it_is_installed() -> None:
    entries = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    # The name is the module's, so that `-p fssbench.pytest_plugin` does not register it a second time.
    assert entries == {"fssbench.pytest_plugin": "fssbench.pytest_plugin"}


def test_it_costs_nothing_at_pytests_start() -> None:
    heavy = ("torch", "pandas", "numpy", "pydantic", "rich", "fssbench.checking")
    code = f"import sys, fssbench.pytest_plugin; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY)
    assert answer.stdout.strip() == "[]"
