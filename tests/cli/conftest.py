"""What the tests of the commands share: asking as a person does, and a backbone from the tests of training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fssbench import cli
from fssbench.progress import Activity
from fssbench.results import load_run
from fssbench.results.run_reader import Results
from tests.training.conftest import backbone_weights

__all__ = ["backbone_weights", "evaluated_here", "fssbench"]


@pytest.fixture
def fssbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Give a function that runs a command and returns its exit code, output and messages."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fssbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return run


def evaluated_here(fssbench: Any, evaluated: list[str]) -> Callable[..., Results]:
    """Return what benchmarks evaluate with, in this process instead of one for each case, which takes seconds to start.

    Args:
        fssbench: The fixture.
        evaluated: Gets what was evaluated.
    """

    def run(arguments: Sequence[str], out: Path, what: str, activity: Activity) -> Results:
        evaluated.append(what)
        code, _, err = fssbench("eval", *arguments, "--out", str(out), "--profile", "--quiet")
        assert (code, "error" in err) == (0, False), err
        return load_run(out)

    return run
