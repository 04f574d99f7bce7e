"""An evaluation that may end at looks: what it keeps from one to the next, and that it does nothing ahead of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.order import order_of_work
from fssbench.engine.profiling.timers import StageTimers
from fssbench.engine.runner import run_plans
from fssbench.planning import until as planning
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.planning.settings import Settings
from fssbench.results.rows import Row
from tests.engine.stub import NearestColour, Patches, questions, rules

CPU = torch.device("cpu")
LOOKS = (6, 14, 24)
ENTRY = 3 * 24 * 24 * 4 + 50
"""Bytes of a kept image, and a little for the means of supports."""


class Noting(NearestColour):
    """Counts predictions, and shares what it makes of an image, which is the image, with others of its kind."""

    predicted = 0

    @property
    def shared_encoder(self) -> torch.nn.Module:
        return torch.nn.Identity()

    def predict(self, *arguments: Any) -> Any:
        self.predicted += 1
        return super().predict(*arguments)


def jobs_of(folds: int, numbers: range = range(LOOKS[-1])) -> list[FoldJob]:
    lists = [replace(questions(seed=fold, count=LOOKS[-1]), fold=fold) for fold in range(folds)]
    order = [[number for number in order_of_work(part) if number in numbers] for part in lists]
    return [
        FoldJob(Noting(radius=1.1 + part.fold / 10).eval(), part, rules(), own)
        for part, own in zip(lists, order, strict=True)
    ]


def results(
    jobs: Sequence[FoldJob], cache: int, timers: StageTimers, counts: CacheCounts | None = None, **more: Any
) -> list[Row]:
    settings = Settings(feature_cache=cache, batch_size=5, workers=0)
    found = evaluate_jobs(jobs, Patches(), CPU, settings, timers, cache_counts=counts, **more)
    return [replace(row, seconds=0.0) for _, row, _ in found]


@pytest.mark.parametrize(("folds", "images"), [(1, 0), (1, 3), (2, 9), (2, 100)])
def test_looks_share_one_cache_of_the_same_size_and_change_no_row(folds: int, images: int) -> None:
    kept, anew, counts, cache = StageTimers(), StageTimers(), CacheCounts(), images * ENTRY
    rows = results(jobs_of(folds), cache, kept, counts, looks=LOOKS)
    parts = [range(*bounds) for bounds in pairwise([0, *LOOKS])]
    assert rows == [row for part in parts for row in results(jobs_of(folds, part), cache, anew)]
    whole = results(jobs_of(folds), cache, StageTimers())
    assert sorted(rows, key=lambda row: (row.fold, row.episode)) == sorted(whole, key=lambda r: (r.fold, r.episode))
    assert counts.peak_bytes <= cache
    assert kept.images < anew.images if images else kept.images > 24
    assert kept.images == 12 or images < 100


def test_nothing_is_predicted_ahead_of_a_look() -> None:
    [job] = jobs_of(1)
    found = evaluate_jobs([job], Patches(), CPU, Settings(batch_size=5, workers=0), looks=LOOKS)
    for first, end in pairwise([0, *LOOKS]):
        numbers = [next(found)[1].episode for _ in range(first, end)]
        assert numbers == [number for number in job.numbers if first <= number < end]
        assert job.method.predicted == end
    assert list(found) == []


@pytest.mark.usefixtures("elsewhere")
def test_a_run_until_its_interval_is_narrow_encodes_each_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "PER_CLASS", 2)
    settings = Settings(feature_cache=1 << 30)
    request = Request(
        "hsnet",
        "shapes20i",
        backbone="small",
        random_weights=True,
        fold="0",
        limit=24,
        settings=settings,
        until=0.001,
        out=Path("run"),
    )
    one, timers = plan(request), StageTimers()
    [done] = run_plans([one], timers=timers)
    assert done.run.until is not None
    assert [look.episodes for look in done.run.until.looks] == [10, 15, 24]
    episodes = one.lists[0][:24]
    names = [{name for e in part for name in (e.query, *e.supports[0])} for part in (episodes[:10], episodes[10:])]
    assert names[0] & names[1]
    assert timers.images == len(names[0] | names[1])
