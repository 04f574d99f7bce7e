"""What is said of mutants that survive is still about lines that exist."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
MODULES: Mapping[str, list[str]] = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
EXPLAINED = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
SURVIVORS: list[Mapping[str, str]] = EXPLAINED.get("survivor", [])


def lines_of(module: str) -> list[str]:
    path = REPOSITORY / "fssbench" / f"{module.replace('.', '/')}.py"
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_their_tests_exist(module: str) -> None:
    assert lines_of(module)
    assert MODULES[module]
    assert [name for name in MODULES[module] if not (REPOSITORY / name).exists()] == []


def test_every_explanation_is_of_a_line_that_exists() -> None:
    for one in SURVIVORS:
        assert one.keys() == {"module", "line", "mutant", "why"}, one
        assert one["module"] in MODULES
        assert one["line"] in lines_of(one["module"]), f"{one['module']} has no line {one['line']!r}; make mutation"
        assert one["mutant"] != one["line"]
        assert len(one["why"]) > 20
    every = [(one["module"], one["line"], one["mutant"]) for one in SURVIVORS]
    assert len(every) == len(set(every))
