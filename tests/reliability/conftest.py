"""One server for all tests of a process, and a host on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.downloads.host import serving as hosting
from tests.reliability.processes import Order, Server, serving
from tests.reliability.works import CONTENT, OWN, own_data


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has imported what an evaluation needs."""
    folder = tmp_path_factory.mktemp("warm")
    own_data(folder)
    with serving() as found:
        found.warm(Order(folder, (*OWN, "--episodes", "2", "--out", "run")))
        yield found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a file."""
    with hosting() as host:
        host.files["/a.zip"] = CONTENT
        yield f"{host.address}/a.zip"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with data of one's own."""
    own_data(tmp_path)
    return tmp_path
