"""What the tests and the examples in docstrings need: an empty user environment, one thread, and orders by chance."""

from __future__ import annotations

import gc
import itertools
import os
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

# Of this process and those that tests start: several run side by side, and the last digits of a sum depend on it.
os.environ["OMP_NUM_THREADS"] = "1"
# Where tests ask for more, a thread that waits for others leaves the core to them.
os.environ["OMP_WAIT_POLICY"] = "passive"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --shuffle and --long."""
    parser.addoption(
        "--shuffle", metavar="SEED", help="run files, and the tests of each, in an order drawn by this seed"
    )
    parser.addoption("--long", action="store_true", help="run tests marked long as well")


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collection, which would look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is long, unless asked for it; and shuffle the files, and the tests in each, if asked to.

    No test may depend on what ran before it.
    """
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    chance = random.Random(seed)  # noqa: S311 - an order of tests
    files = sorted({item.nodeid.partition("::")[0] for item in items})
    chance.shuffle(files)
    order = {name: number for number, name in enumerate(files)}
    chance.shuffle(items)
    items.sort(key=lambda item: order[item.nodeid.partition("::")[0]])


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tests ask for more threads where they are about them."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _scenes_drawn_once() -> Iterator[None]:
    """Keep all that was drawn of shapes-20i, about 200 kB a scene: many tests evaluate on the same few hundred."""
    from fssbench.datasets.shapes20i import dataset

    with pytest.MonkeyPatch.context() as patch:
        for name, kept in (("_rendered", 1000), ("_labelled", 2400), ("_submerged", 400)):
            patch.setattr(dataset, name, lru_cache(maxsize=kept)(getattr(dataset, name).__wrapped__))
        yield


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Names of folders, made by who needs them: mktemp would look through all that are there, for each test."""
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_user_folders(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's cache, configuration and data roots."""
    home = next(_homes)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.delenv("FSSBENCH_DATA", raising=False)
    # Tests may run in a job of an array, whose variables would make a shard of each evaluation.
    for name in [name for name in os.environ if name.startswith(("SLURM_ARRAY_TASK_", "FSSBENCH_SHARD"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
