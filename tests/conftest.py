"""What several test files need; what the examples in docstrings need too is in the conftest.py above."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
collect_ignore = ["fuzz/guided.py", "mutation/mutants.py"]
"""Modules without a test or example, which import what only `make fuzz-guided` and `make mutation` have."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real samples, official lists and released outputs; skips where it is absent."""
    path = Path(os.environ.get("FSSBENCH_SHARED", REPOSITORY.parent / "shared"))
    if not (path / "reference").is_dir():
        pytest.skip("the shared reference data is not on this machine (set FSSBENCH_SHARED)")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of all tests of a file that are `elsewhere`: one index for all of them."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def elsewhere(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with the cache of the file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture
def threads_restored() -> Iterator[None]:
    """How many threads torch is told to compute with holds for one test."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def narrow_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    """HSNet and ASNet have few channels where none are asked for: what is tested is not what they compute."""
    from fssbench.methods.asnet import ASNet
    from fssbench.methods.hsnet import HSNet

    for network, channels in ((HSNet, (4, 8, 8)), (ASNet, (16, 16))):
        *others, _ = network.__init__.__defaults__ or ()
        monkeypatch.setattr(network.__init__, "__defaults__", (*others, channels))
