"""The small data set under its name."""

from __future__ import annotations

import pytest

from tests.engine.stub import Patches


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.datasets.open_dataset", lambda *asked, **options: Patches())
