"""What torchrun says of a process, and what it is told wrongly."""

from __future__ import annotations

import pytest

from fssbench.engine.processes import ALONE, Processes, processes_here
from fssbench.errors import UsageError

TOLD = {"MASTER_ADDR": "localhost", "RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)


def test_a_process_that_is_told_nothing_is_alone(monkeypatch: pytest.MonkeyPatch):
    assert processes_here() is ALONE
    monkeypatch.setenv("RANK", "1")  # a batch system's own, without torchrun
    assert processes_here() is ALONE
    ALONE.wait()
    with ALONE.process_group("cpu"):
        assert ALONE.first


def test_a_process_among_others(monkeypatch: pytest.MonkeyPatch):
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    found = processes_here()
    assert found == Processes(rank=2, size=4, local_rank=0, local=2)
    assert (found.first, str(found.shard)) == (False, "3/4")
    assert found.device("cpu") == "cpu"
    assert found.device("cuda") == "cuda:0"
    assert found.launcher == ("torchrun", "--nnodes", "2", "--nproc-per-node", "2", "-m", "fssbench")
    assert Processes(size=4, local=4).launcher == ("torchrun", "--nproc-per-node", "4", "-m", "fssbench")
    assert ALONE.launcher == ("fssbench",)


@pytest.mark.parametrize("wrong", [{"RANK": "4"}, {"RANK": "x"}, {"LOCAL_RANK": "2"}, {"WORLD_SIZE": "0"}])
def test_impossible_processes_are_refused(monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]):
    for name, value in (TOLD | wrong).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"do not fit each other|no valid values"):
        processes_here()
