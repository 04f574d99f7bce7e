"""What the tests of the commands share: asking as a person does, and a backbone from the tests of training."""

from __future__ import annotations

import sys

import pytest

from fssbench import cli
from tests.training.conftest import backbone_weights

__all__ = ["backbone_weights", "fssbench"]


@pytest.fixture
def fssbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Give a function that runs a command and returns its exit code, output and messages."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fssbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return run
