"""What several test files need: the shared reference data where it is at hand, and an empty user environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# Of this process and those that tests start: several run side by side, and the last digits of a sum depend on it.
os.environ["OMP_NUM_THREADS"] = "1"


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


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tests ask for more threads where they are about them."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def threads_restored() -> Iterator[None]:
    """How many threads torch is told to compute with holds for one test."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's cache, configuration and data roots."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.delenv("FSSBENCH_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
