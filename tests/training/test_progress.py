"""What a training prints off a terminal: a line every ten seconds at most, and one at the end of each stage."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fssbench.training import progress
from fssbench.training.state import Step
from tests.training.tiny import tiny_recipe


def test_off_a_terminal_a_line_is_printed_every_ten_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    stage = {"network": "hsnet", "variant": "fss", "dataset": SimpleNamespace(name="squares"), "fold": 0}
    plan: Any = SimpleNamespace(**stage, recipes={"": tiny_recipe("hsnet")}, tensorboard=False)
    with progress.progress_callback(plan) as report:
        for step in range(1, 101):
            now += 0.3
            report("", 100, Step(step, 0.1, {"loss": 0.5}))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1].split(",")[0] for line in lines] == ["step 34/100", "step 68/100", "step 100/100"]
