"""What is said of mutants that survive is still about lines that exist."""

from __future__ import annotations

import csv
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


def test_the_figures_leave_no_survivor_without_an_explanation() -> None:
    with (HERE / "figures.csv").open(encoding="utf-8", newline="") as file:
        figures = {row["module"]: row for row in csv.DictReader(file)}
    assert list(figures) == [name for name in MODULES if name in figures]
    for name, row in figures.items():
        pairs = sum(one["module"] == name for one in SURVIVORS)
        assert int(row["killed"]) + int(row["explained"]) == int(row["mutants"]), name
        # Two places of a line may become the same line.
        assert pairs <= int(row["explained"]) <= 3 * pairs, name
