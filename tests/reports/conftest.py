"""Runs that the tests of reports look at: two methods without weights on the same few episodes of shapes20i."""

from __future__ import annotations

from pathlib import Path

import pytest

import fssbench
from fssbench.reports.runs import Compared, read
from fssbench.reports.scene import Scene, open_scene


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, "copied" and "everything", of six episodes each."""
    folder = tmp_path_factory.mktemp("runs")
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=6)
    for name, method in (("copied", "copy-mask"), ("everything", "all-foreground")):
        fssbench.evaluate(fssbench.build(method), dataset, episodes, out=folder / name)
    return folder


@pytest.fixture
def compared(two_runs: Path) -> Compared:
    return read([two_runs])


@pytest.fixture
def scene(compared: Compared) -> Scene:
    return open_scene(compared.run)
