"""All folds of a run: planned together where they share an encoder, one after the other where they do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import fssbench
from fssbench.engine.order import order_of_work
from fssbench.engine.profiling.timers import StageTimers
from fssbench.engine.runner import run_plans
from fssbench.planning.plan import Plan, plan
from fssbench.planning.request import Request
from fssbench.planning.settings import Settings
from fssbench.results import Existing, Row
from fssbench.results.progress import Silent
from fssbench.results.run_reader import Results

FOLDS = 4
EPISODES = 3
pytestmark = pytest.mark.usefixtures("elsewhere", "narrow_heads")


class Noting(Silent):
    """Notes what it is told, and breaks the run off after some rows."""

    def __init__(self, rows: int = -1) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.left = rows

    def start(self, fold: int, total: int, *earlier: Sequence[Row]) -> None:
        self.told.append(("start", fold, total, *map(len, earlier)))

    def advance(self, row: Row, run: int = 0) -> None:
        self.told.append((row.fold, run))
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def close(self) -> None:
        self.told.append(("close",))


def write_checkpoints(folder: Path, *, one_encoder: bool) -> str:
    """Write one for each fold, each with a head of its own; return their name."""
    for fold in range(FOLDS):
        torch.manual_seed(fold)
        method = fssbench.build("hsnet", "small")
        if one_encoder:
            torch.manual_seed(9)
            method.backbone.load_state_dict(fssbench.build("hsnet", "small").backbone.state_dict())
        torch.save(method.state_dict(), folder / f"fold{fold}.pt")
    return str(folder / "fold{fold}.pt")


def planned(out: Path, **options: Any) -> Plan:
    settings = Settings(feature_cache=1 << 30)
    return plan(Request("hsnet", "shapes20i", out=out, episodes=str(EPISODES), settings=settings, **options))


def evaluated(*plans: Plan, **options: Any) -> tuple[list[Results], int]:
    """Run plans; return the results and how many images were encoded."""
    timers = StageTimers()
    return run_plans(plans, timers=timers, **options), timers.images


def counted(out: Path) -> list[dict[str, Any]]:
    """The rows in the order of the file, without the one thing that may differ."""
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def images_of(*plans: Plan) -> set[str]:
    return {
        name
        for one in plans
        for episodes in one.lists
        for episode in episodes
        for name in (episode.query, *(name for names in episode.supports for name in names))
    }


def fold_by_fold(checkpoints: str, **options: Any) -> tuple[list[dict[str, Any]], int]:
    rows, images = [], 0
    for fold in range(FOLDS):
        out = Path(f"alone{fold}")
        images += evaluated(planned(out, fold=str(fold), checkpoint=checkpoints.format(fold=fold)), **options)[1]
        rows += counted(out)
    return rows, images


def test_folds_that_share_an_encoder_encode_each_image_once(tmp_path: Path):
    checkpoints = write_checkpoints(tmp_path, one_encoder=True)
    whole = planned(Path("all"), checkpoint=checkpoints)
    progress = Noting()
    [results], images = evaluated(whole, progress=progress, save=Path("saved"))
    rows, encoded = fold_by_fold(checkpoints, save=Path("saved-alone"))
    assert images == len(images_of(whole)) < encoded
    assert counted(Path("all")) == rows
    assert len(results.summary(draws=0).folds) == FOLDS
    # The heads differ, and each fold was predicted by its own.
    assert len({tuple(row["union"]) for row in rows}) > 1
    assert [event for event in progress.told if event[0] in ("start", "close")] == [
        *(("start", fold, EPISODES, 0) for fold in range(FOLDS)),
        ("close",),
    ]
    assert progress.told[: EPISODES + 2] == [("start", 0, EPISODES, 0), *[(0, 0)] * EPISODES, ("start", 1, EPISODES, 0)]
    saved, alone = (
        {path.name: path.read_bytes() for path in Path(name).iterdir()} for name in ("saved", "saved-alone")
    )
    assert len(saved) == FOLDS * EPISODES + 1
    assert saved == alone


def test_folds_with_encoders_of_their_own_go_one_after_the_other(tmp_path: Path):
    checkpoints = write_checkpoints(tmp_path, one_encoder=False)
    whole = planned(Path("all"), checkpoint=checkpoints)
    _, images = evaluated(whole)
    rows, encoded = fold_by_fold(checkpoints)
    assert images == encoded > len(images_of(whole))
    assert counted(Path("all")) == rows


@pytest.mark.parametrize("one_encoder", [True, False])
def test_a_run_broken_off_in_its_second_fold_is_continued(tmp_path: Path, one_encoder: bool):
    checkpoints = write_checkpoints(tmp_path, one_encoder=one_encoder)
    with pytest.raises(KeyboardInterrupt):
        evaluated(planned(Path("parts"), checkpoint=checkpoints), progress=Noting(EPISODES + 2))
    assert [row["fold"] for row in counted(Path("parts"))] == [0] * EPISODES + [1] * 2
    progress = Noting()
    evaluated(planned(Path("parts"), checkpoint=checkpoints, existing=Existing.RESUME), progress=progress)
    assert [event for event in progress.told if event[0] == "start"] == [
        ("start", 0, EPISODES, EPISODES),
        ("start", 1, EPISODES, 2),
        ("start", 2, EPISODES, 0),
        ("start", 3, EPISODES, 0),
    ]
    assert [event[0] for event in progress.told if event[0] not in ("start", "close")] == [1] * (EPISODES - 2) + [
        2
    ] * EPISODES + [3] * EPISODES
    evaluated(planned(Path("whole"), checkpoint=checkpoints))
    assert counted(Path("parts")) == counted(Path("whole"))
    assert Path("parts/summary.json").read_bytes() == Path("whole/summary.json").read_bytes()
    again = Noting()
    assert evaluated(planned(Path("parts"), checkpoint=checkpoints, existing=Existing.RESUME), progress=again)[1] == 0
    assert again.told == [*(("start", fold, EPISODES, EPISODES) for fold in range(FOLDS)), ("close",)]


def test_methods_and_shots_and_folds_are_planned_as_one():
    plans = []
    for method in ("hsnet", "asnet"):
        for shots in (1, 2):
            request = Request(method, "shapes20i", shots=shots, out=Path(f"{method}{shots}"), random_weights=True)
            settings = Settings(feature_cache=1 << 30, batch_size=3)
            plans.append(plan(Request(**{**vars(request), "episodes": "2", "backbone": "small", "settings": settings})))
    _, images = evaluated(*plans)
    assert images == len(images_of(*plans))
    for one in plans:
        alone = plan(Request(**{**vars(one.request), "out": Path(f"{one.out}-alone")}))
        evaluated(alone)
        assert counted(one.out) == counted(alone.out)
        assert (one.out / "summary.json").read_bytes() == (alone.out / "summary.json").read_bytes()


def test_a_share_of_each_fold_is_as_it_is_alone(tmp_path: Path):
    from fssbench.results.shard import Shard

    checkpoints = write_checkpoints(tmp_path, one_encoder=True)
    half = planned(Path("half"), checkpoint=checkpoints, shard=Shard(2, 2), cut="order")
    evaluated(half)
    expected = [
        (episodes.fold, number) for episodes in half.lists for number in order_of_work(episodes, shard=Shard(2, 2))
    ]
    assert sorted((row["fold"], row["episode"]) for row in counted(half.out)) == sorted(expected)
