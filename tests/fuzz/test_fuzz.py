"""A file from outside is read, or refused with one of fssbench's errors, whatever is in it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fssbench.errors import FSSBenchError
from tests.fuzz.changes import CHANGES, Change, changed
from tests.fuzz.readers import READERS

FINDINGS = Path(__file__).with_name("findings")
"""A folder for each reader, with files on which it once failed."""


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    return tuple(READERS[name].seeds())


def attempt(name: str, content: bytes, folder: Path) -> FSSBenchError | None:
    """Have a reader read a file, and return the error if it refuses it; all other errors are raised."""
    path = folder / READERS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        READERS[name].read(path)
    except FSSBenchError as error:
        return error
    return None


@pytest.mark.parametrize("name", READERS)
def test_what_is_valid_is_read(name: str, tmp_path: Path) -> None:
    assert [attempt(name, content, tmp_path) for content in seeds(name)] == [None] * len(seeds(name))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_what_is_changed_is_read_or_refused(name: str, tmp_path: Path) -> None:
    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(seeds(name)), CHANGES)
    def check(seed: bytes, changes: list[Change]) -> None:
        attempt(name, changed(seed, changes), tmp_path)

    check()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", sorted(FINDINGS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_read_or_refused(path: Path, tmp_path: Path) -> None:
    attempt(path.parent.name, path.read_bytes(), tmp_path)
