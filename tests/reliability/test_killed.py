"""SIGKILL at some moments of every command that writes; `make soak` kills at hundreds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.reliability.killing import Killing
from tests.reliability.processes import Server
from tests.reliability.works import works

SLOW = ("eval", "eval with label maps", "merge", "score", "train")
"""They take longer to prepare. Rows are written and continued by "eval on own data" too."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(work.name, marks=[pytest.mark.slow] if work.name in SLOW else []) for work in works("")],
)
def test_what_a_killed_command_leaves_is_continued_to_the_same_end(
    name: str, server: Server, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    [work] = [one for one in works(address) if one.name == name]
    killing = Killing(server, work, tmp_path)
    generator = np.random.default_rng(len(name))
    events = generator.integers(0, killing.undisturbed.events, 2).tolist()
    killing.at_events(iter([(events[0], "kill"), (events[1], "torn")]))
    assert killing.kills
    assert killing.ended == 2
