"""What holds of a table of any runs, in any order."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fssbench.tables import Comparison, compare, render
from tests.properties import examples
from tests.tables.runs import run_of, write_run

RUNS = [("hsnet", 1), ("hsnet", 5), ("asnet", 1), ("pfenet", 1)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [
        write_run(folder / f"{method}-{shot}", run_of(method, (0, 1), shot=shot, episodes=8), 0.4 + 0.05 * place)
        for place, (method, shot) in enumerate(RUNS)
    ]


def numbers(folders: list[Path]) -> set[tuple[tuple[str, str], ...]]:
    tables = compare(Comparison(folders=tuple(folders), source="measured"))
    # The order of the rows is that of the arguments; what is in them is not.
    return {tuple(sorted(row.items())) for row in csv.DictReader(io.StringIO(render(tables, "csv")))}


@examples(3)
@given(st.randoms(use_true_random=False))
def test_the_order_of_runs_changes_no_number(runs: list[Path], order: random.Random) -> None:
    mixed = list(runs)
    order.shuffle(mixed)
    assert numbers(mixed) == numbers(runs)


@examples(2)
@given(st.sets(st.integers(0, len(RUNS) - 1), min_size=1))
def test_the_numbers_of_a_run_do_not_depend_on_the_others(runs: list[Path], chosen: set[int]) -> None:
    kept = ("method", "shot", "fold0", "fold1", "mean", "fb_iou", "mean_low", "mean_high", "fold0_low", "fold1_high")

    def of(folders: list[Path]) -> set[tuple[str, ...]]:
        return {tuple(dict(row).get(name, "") for name in kept) for row in numbers(folders)}

    assert of([runs[place] for place in sorted(chosen)]) <= of(runs)
