"""Tables and checks of many runs, or of huge ones: nothing is computed that is not shown, and nothing twice."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fssbench.metrics.columns
import fssbench.metrics.fold_counts
import fssbench.metrics.summary
import fssbench.results
import fssbench.results.counted
from fssbench.checking import report_of
from fssbench.checking.measured import measured
from fssbench.metrics.bootstrap import _product
from fssbench.tables import Comparison, compare, render
from fssbench.tables import measurements as tables_measurements
from fssbench.tables import neighbours as tables_neighbours
from fssbench.tables.measured import measured_entries
from fssbench.tables.measurements import MeasuredFold, group_folds, measurements
from fssbench.tables.neighbours import Majority
from fssbench.tables.row_annotations import half_widths
from tests.tables.runs import run_of, write_run


class Calls:
    """How often the slow steps were taken."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count: Counter[str] = Counter()
        self._watch(patch, fssbench.metrics.summary, "bootstrap", lambda _, draws, *__: draws > 0)
        self._watch(patch, fssbench.metrics.fold_counts, "cluster_counts")
        self._watch(patch, fssbench.metrics.columns, "_fold_counts")
        self._watch(patch, fssbench.results, "load_run")
        self._watch(patch, fssbench.results.counted, "counted_run")

    def _watch(
        self, patch: pytest.MonkeyPatch, place: object, name: str, counts: Callable[..., bool] = lambda *_: True
    ) -> None:
        real = getattr(place, name)

        def watched(*arguments: object) -> object:
            self.count[name] += counts(*arguments)
            return real(*arguments)

        patch.setattr(place, name, watched)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for method in ("hsnet", "pfenet"):
        for shot in (1, 5):
            write_run(folder / f"{method}-{shot}", run_of(method, shot=shot, dataset="pascal5i"))
    write_run(folder / "half", run_of("asnet", (0, 1), dataset="pascal5i"))
    return folder


def shown(runs: Path, form: str = "json", **more: object) -> str:
    return render(compare(Comparison(source="measured", runs=runs, **more)), form)


def test_each_fold_is_counted_once_and_drawn_of_once(runs: Path, calls: Calls) -> None:
    shown(runs)
    assert calls.count == {"counted_run": 5, "_fold_counts": 4 * 4 + 2, "bootstrap": 4 * 4 + 2}


def test_rows_of_another_form_are_counted_once_too(runs: Path, calls: Calls) -> None:
    folder = with_spaces(runs / "hsnet-1", runs.parent / f"{runs.name}-spaces")
    [slow], [fast] = measurements([folder]), measurements([runs / "hsnet-1"])
    assert calls.count == {"counted_run": 2, "load_run": 1, "cluster_counts": 4, "_fold_counts": 4}
    for fold, found in slow.folds.items():
        assert found.summary == fast.folds[fold].summary
        assert (found.missing, found.lost) == (fast.folds[fold].missing, fast.folds[fold].lost)
    [counts] = {fold.compute.func.__self__ for fold in slow.folds.values()}  # type: ignore[attr-defined]
    assert counts._results is None, "rows are let go when they are counted"


def with_spaces(run: Path, folder: Path) -> Path:
    """Write a run as it is, but for the spaces between the fields of its rows."""
    shutil.copytree(run, folder, dirs_exist_ok=True)
    rows = (run / "rows.jsonl").read_text()
    (folder / "rows.jsonl").write_text(rows.replace(',"', ', "'))
    return folder


def test_runs_of_other_shots_are_not_read(runs: Path, calls: Calls) -> None:
    shown(runs, shots=(5,))
    assert calls.count == {"counted_run": 2, "_fold_counts": 8, "bootstrap": 8}


def test_nothing_is_drawn_of_what_is_not_shown(runs: Path, calls: Calls) -> None:
    shown(runs, shots=(1,), methods=("hsnet",))
    assert calls.count == {"counted_run": 1, "_fold_counts": 4, "bootstrap": 4}


def test_where_means_alone_have_intervals_only_they_are_drawn(runs: Path, calls: Calls) -> None:
    whole, means = (
        list(csv.DictReader(io.StringIO(text)))
        for text in (shown(runs, "csv"), shown(runs, "csv", interval_columns=("mean",)))
    )
    assert {name for name in whole[0] if name.endswith("_low")} > {name for name in means[0] if name.endswith("_low")}
    assert [row["mean_low"] for row in whole] == [row["mean_low"] for row in means]
    assert all(float(row["mean_low"]) <= float(row["mean"]) <= float(row["mean_high"]) for row in means)
    calls.count.clear()
    shown(runs, "csv", interval_columns=("mean",), shots=(1,))
    assert calls.count["bootstrap"] == 10


def test_counts_of_a_fold_give_the_intervals_that_its_rows_give(runs: Path) -> None:
    from fssbench.results import load_run
    from fssbench.tables.row_annotations import DRAWS

    [one] = measurements([runs / "hsnet-1"])
    summary = load_run(runs / "hsnet-1").summary(draws=DRAWS)
    bounds = {"mean": summary.intervals["miou"], **{f"fold{its.fold}": its.intervals["miou"] for its in summary.folds}}
    numbers = {"mean": summary.miou, **{f"fold{its.fold}": its.miou for its in summary.folds}}
    assert half_widths(one, bounds) == {
        column: f"{max(numbers[column] - its.low, its.high - numbers[column]):.4f}" for column, its in bounds.items()
    }
    assert half_widths(one, ["learnable_params"]) == {}


def test_runs_that_are_drawn_together_have_the_intervals_that_each_has_alone(runs: Path) -> None:
    from fssbench.metrics.summary import summary_of, totals_together

    counts = [[fold.counts for fold in one.folds.values()] for one in measurements(sorted(runs.glob("*-*")))]
    assert len(counts) > 1
    together = totals_together(counts, 60)
    for folds, totals in zip(counts, together, strict=True):
        alone = summary_of(folds, draws=60, by_class=False)
        found = summary_of(folds, draws=60, by_class=False, totals=totals)
        for name, bounds in alone.intervals.items():
            assert found.intervals[name].reason == bounds.reason
            assert found.intervals[name].text(".6f") == bounds.text(".6f")


def test_rows_are_let_go_when_they_are_counted(runs: Path) -> None:
    [one] = measurements([runs / "hsnet-1"])
    kept = [part for fold in one.folds.values() for part in fold.compute.args]  # type: ignore[attr-defined]
    assert {type(part).__name__ for part in kept} == {"FoldCounts", "FoldSummary"}


class Looks(dict[int, MeasuredFold]):
    """Folds that count how often one looks which they are."""

    count = 0

    def keys(self):
        Looks.count += 1
        return super().keys()


def test_the_place_of_a_repeat_is_found_without_a_look_at_all_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looks, "count", 0)
    run = run_of("hsnet", (0,))
    found = group_folds((run, Looks({number % 2: object()})) for number in range(400))
    assert Looks.count <= 3 * 400
    assert [sorted(one.folds) for one in found] == [[0, 1]] * 200
    assert [one.repeat for one in found] == list(range(200))


def test_each_measurement_is_held_against_all_others_at_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: Counter[str] = Counter()
    traits, configuration = tables_neighbours._traits, tables_measurements.configuration

    def watched(one: object) -> object:
        looks["traits"] += 1
        return traits(one)

    monkeypatch.setattr(tables_neighbours, "_traits", watched)
    [one] = measurements([runs / "half"])
    many = [replace(one, repeat=number, run=replace(one.run, split=f"s{number}")) for number in range(300)]
    assert configuration(many[0].run) != configuration(many[1].run)
    entries = measured_entries(many, {})
    assert len(entries) == 300
    assert looks["traits"] == 2 * 300


def test_a_majority_is_what_more_have_than_anything_else() -> None:
    generator = np.random.default_rng(0)
    for size in (1, 2, 3, 5, 8) * 20:
        values = generator.integers(0, 4, size).tolist()
        majority = Majority()
        for value in values:
            majority.add(value)
        for value in values:
            times = Counter(values)
            assert majority.excludes(value) == any(times[other] >= times[value] for other in times if other != value), (
                values
            )
        for value in range(5):
            times = Counter([*values, value])
            assert majority.excludes(value, uncounted=True) == any(
                times[other] >= times[value] for other in times if other != value
            )


def test_nothing_is_computed_of_a_run_that_nothing_was_printed_of(tmp_path: Path, calls: Calls) -> None:
    write_run(tmp_path / "own", run_of("mynet", dataset="pascal5i"))
    report = report_of([tmp_path / "own"], "published")
    assert "no source prints this method" in report.uncompared[0]
    assert calls.count["cluster_counts"] == calls.count["bootstrap"] == 0


def test_no_interval_is_drawn_of_a_run_that_has_no_baseline_or_is_not_comparable(tmp_path: Path, calls: Calls) -> None:
    write_run(tmp_path / "own", run_of("mynet"))
    (tmp_path / "baselines").mkdir()
    report = report_of([tmp_path / "own"], "baseline", baselines=tmp_path / "baselines")
    assert len(report.uncompared) == 4
    assert [check.measured for check in report.checks] == pytest.approx([50.0] * 4)
    write_run(tmp_path / "printed", run_of("hsnet", dataset="pascal5i", protocol="shapes"))
    assert report_of([tmp_path / "printed"], "published").uncompared
    assert calls.count["bootstrap"] == 0


def test_the_numbers_of_a_check_are_those_of_the_run(runs: Path) -> None:
    from fssbench.results import load_run

    [one] = measured([runs / "hsnet-1"])
    summary = load_run(runs / "hsnet-1").summary()
    assert one.numbers.miou == one.summary.miou == summary.miou
    assert one.summary.intervals == summary.intervals
    assert [fold.interval("fb_iou") for fold in one.folds] == [its.intervals["fb_iou"] for its in summary.folds]
    assert [fold.numbers.miou for fold in one.folds] == [its.miou for its in summary.folds]


@pytest.mark.parametrize(("draws", "clusters"), [(0, 5), (1, 1), (131, 1000), (3, 40_000), (7, 100)])
def test_weights_are_multiplied_in_parts_that_one_thread_takes(
    draws: int, clusters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, multiply, taken = np.random.default_rng(0), np.matmul, []
    counts, weights = chance.integers(0, 9, (14, clusters)).astype(float), chance.integers(0, 9, (clusters, draws))

    def matmul(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
        taken.append((left.size * right.shape[1], right.shape[1]))
        return multiply(left, right, out=out)

    monkeypatch.setattr(np, "matmul", matmul)
    assert np.array_equal(_product(counts, weights.astype(float)), counts @ weights)
    assert all(size <= 1 << 18 or wide == 1 for size, wide in taken)
