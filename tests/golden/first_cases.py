"""Which golden cases `make test` runs: the first of each method; `make test-all` runs the others as well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet


def first_of_each_method(paths: Sequence[Path]) -> list[ParameterSet]:
    """Return a parameter per stored case, in the order given; those after a method's first are marked slow."""
    seen: set[str] = set()
    cases = []
    for path in paths:
        method = json.loads(path.read_text())["build"]["method"]
        cases.append(pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if method in seen else []))
        seen.add(method)
    return cases
