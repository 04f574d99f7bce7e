"""A local host for the tests of downloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fssbench.downloads import resumable
from tests.downloads.host import Host, serving


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host on this machine; further attempts come at once."""
    monkeypatch.setattr(resumable, "PAUSE", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        yield served
