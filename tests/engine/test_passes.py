"""What several runs share: encoders in memory, photos, and one time that is left."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import fssbench
from fssbench.datasets.dataset import Dataset, Image
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.fold_methods import share_encoder
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.order import order_of_work
from fssbench.engine.profiling.timers import StageTimers
from fssbench.planning.settings import Settings
from fssbench.protocols.rules import protocol
from fssbench.results.pace import Pace, RunningMeans
from fssbench.results.progress import Planned, Silent, TerminalBar
from fssbench.tracking.guarded import Watched

CPU = torch.device("cpu")


def test_equal_encoders_are_in_memory_once() -> None:
    first, equal, other = (fssbench.build(name, "small") for name in ("hsnet", "asnet", "hsnet"))
    equal.backbone.load_state_dict(first.backbone.state_dict())
    fold = copy.copy(equal)
    known: dict[object, torch.nn.Module] = {}
    for methods in ([first], [equal, fold], [other]):
        share_encoder(methods, methods[0].backbone, known)
    assert equal.backbone is fold.backbone is first.backbone
    assert other.backbone is not first.backbone
    assert len(known) == 2


class Counting:
    """A data set that notes which photos are decoded."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.decoded: list[str] = []

    def image(self, name: str) -> Image:
        self.decoded.append(name)
        return self._dataset.image(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)


def test_methods_of_different_sizes_decode_each_photo_once_and_take_turns_by_class() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, 0, protocol="shapes", count=8)
    names = {name for one in episodes for name in (one.query, *one.supports[0])}
    jobs = [
        FoldJob(fssbench.build("copy-mask"), episodes, protocol(rules).on("shapes20i"), order_of_work(episodes))
        for rules in ("shapes", "hsnet", "shapes", "hsnet")
    ]
    timers, counting = StageTimers(), Counting(dataset)
    found = list(evaluate_jobs(jobs, counting, CPU, Settings(), timers))  # type: ignore[arg-type]
    assert sorted(counting.decoded) == sorted(names)
    assert timers.images == 2 * len(names)  # once for each size
    classes = [row.classes[0] for _, row, _ in found]
    assert classes == sorted(classes)
    for class_id in set(classes):
        sizes = [place % 2 for place, row, _ in found if row.classes[0] == class_id]
        assert sizes == sorted(sizes)  # features of one size, then those of the other
    by_job = [[(row.episode, row.union) for place, row, _ in found if place == job] for job in range(4)]
    assert sorted(by_job[0]) == sorted(by_job[2])


def test_the_time_left_knows_how_slow_each_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("fssbench.results.pace.time.monotonic", lambda: now[0])
    whole = Pace(folds=2)
    whole.plan(10, [4, 2, 1])
    whole.start(7, 10)
    assert (whole.run, whole.left, whole.last) == ((10, 17), "-:--", False)
    for run, seconds in ((0, 1.0), (1, 10.0)):
        now[0] += seconds
        whole.advance(run, seconds)
    # 3 of a second, 1 of ten, and one of a run that has not begun, as the mean of the others.
    assert whole.left == "0:18"
    for run, seconds in ((0, 1.0), (0, 1.0), (0, 1.0), (1, 10.0), (2, 5.0)):
        now[0] += seconds
        whole.advance(run, seconds)
    assert (whole.run, whole.left, whole.last) == ((17, 17), "0:00", True)


def test_of_many_runs_the_lowest_and_the_highest_are_shown() -> None:
    assert str(RunningMeans(*[[]] * 3)) == "0.00 / 0.00 / 0.00"
    assert str(RunningMeans(*[[]] * 9)) == "0.00 to 0.00"


def test_a_progress_from_outside_need_not_be_told_the_plan() -> None:
    assert isinstance(TerminalBar(), Planned)
    assert not isinstance(Silent(), Planned)
    watched = Watched(Silent(), [])
    watched.plan(0, [1])
    watched.enter("shapes20i")
