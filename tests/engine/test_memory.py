"""Memory that runs out: fewer episodes in a call, the same rows, and it is said and on record."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from fssbench import evaluate
from fssbench.engine.batch_sizes import BatchSizes, is_out_of_memory
from fssbench.engine.features.cache import FeatureCache
from fssbench.errors import UsageError
from fssbench.methods.base.method import Prediction
from fssbench.planning.settings import Settings
from fssbench.results import Results, load_run
from tests.engine.stub import NearestColour, Patches, questions, rules


class Scarce(NearestColour):
    """Raises what torch raises where memory runs out, for calls with more than so many images or episodes."""

    def __init__(self, images: int = 99, episodes: int = 99, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.images, self.episodes, self.error = images, episodes, error
        self.calls: list[int] = []

    def encode(self, image: Tensor) -> Tensor:
        if len(image) > self.images:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation.")
        return super().encode(image)

    def predict_many(
        self,
        queries: Sequence[Tensor],
        supports: Sequence[Sequence[Sequence[Tensor]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        self.calls.append(len(queries))
        if len(queries) > self.episodes:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation.")
        return super().predict_many(queries, supports, sizes)


def run(method: NearestColour, out: Path | None = None, **settings: int) -> Results:
    chosen = Settings(**{"batch_size": 8, **settings})
    return evaluate(method, Patches(), questions(count=12), protocol=rules(), settings=chosen, out=out)


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return run(NearestColour()).frame.drop(columns="seconds")


@pytest.mark.parametrize(
    ("method", "batches"),
    [(Scarce(episodes=2), (8, 4, 2)), (Scarce(images=3), (8, 4, 2)), (Scarce(images=1, episodes=5), (8, 4, 2, 1))],
)
@pytest.mark.parametrize("cache", [0, 1 << 20])
def test_calls_are_halved_and_rows_are_the_same(
    method: Scarce,
    batches: tuple[int, ...],
    cache: int,
    expected: pd.DataFrame,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    method.calls.clear()
    with caplog.at_level(logging.WARNING):
        found = run(method, tmp_path / "run", feature_cache=cache)
    pd.testing.assert_frame_equal(found.frame.drop(columns="seconds"), expected)
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        f"memory ran out on cpu; from here {size} episode{'' if size == 1 else 's'} in a call" for size in batches[1:]
    ]
    assert caplog.records[0].message.endswith("(CUDA out of memory. Tried to allocate 2.00 GiB.)")
    assert found.run.starts[-1].batches == load_run(tmp_path / "run").run.starts[-1].batches == batches
    if not cache:
        assert run(method).run.starts[-1].batches == batches, "without a folder"
    assert json.loads((tmp_path / "run" / "run.json").read_text())["starts"][-1]["batches"] == list(batches)
    assert max(method.calls[-2:]) <= batches[-1]


def test_without_need_nothing_is_on_record(tmp_path: Path) -> None:
    run(NearestColour(), tmp_path / "run")
    assert "batches" not in (tmp_path / "run" / "run.json").read_text()


def test_features_are_given_up_last(
    expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    method, budgets = Scarce(episodes=0), []
    shrink = FeatureCache.shrink

    def noted(cache: FeatureCache[object], budget: int, step: int) -> None:
        budgets.append(budget)
        shrink(cache, budget, step)
        if budget == 0:
            method.episodes = 1

    monkeypatch.setattr(FeatureCache, "shrink", noted)
    found = run(method, batch_size=4, feature_cache=1 << 20)
    assert budgets == [1 << 19, 1 << 18, 0]
    pd.testing.assert_frame_equal(found.frame.drop(columns="seconds"), expected)
    assert "from here no features are kept" in caplog.text


def test_where_one_episode_is_too_much_it_is_said_and_rows_are_kept(tmp_path: Path) -> None:
    method = Scarce(episodes=4)

    class Until(Patches):
        def image(self, name: str) -> object:  # type: ignore[override]
            if len(self.read) == 10:
                method.episodes = 0
            return super().image(name)

    episodes = questions(count=12)
    with pytest.raises(UsageError, match=r"memory runs out on cpu with one episode .*2\.00 GiB\.") as refused:
        evaluate(method, Until(), episodes, protocol=rules(), settings=Settings(batch_size=2), out=tmp_path / "run")
    assert refused.value.remedy is not None
    assert "--precision bfloat16" in refused.value.remedy
    kept = load_run(tmp_path / "run")
    assert 0 < len(kept.frame) < 12
    assert kept.run.starts[-1].batches == (2, 1)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        run(Scarce(episodes=2, error=RuntimeError))
    with pytest.raises(ValueError, match="CUDA out of memory"):
        run(Scarce(images=2, error=ValueError))


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_says_that_memory_has_run_out(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one


@pytest.mark.skipif(torch.cuda.is_available(), reason="a card measures itself")
def test_a_processor_that_can_not_give_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


@pytest.mark.parametrize(
    ("free", "size"), [(1 << 30, 8), (3 << 30, 8), (5 << 30, 16), (7 << 30, 16), (9 << 30, 32), (99 << 30, 32)]
)
def test_batches_on_a_card_grow_to_what_is_free(free: int, size: int) -> None:
    sizes = BatchSizes(Settings(), torch.device("cuda"), at_once=1)
    sizes.grow(held=2 << 30, peak=3 << 30, free=free)  # 128 MiB an episode
    assert (sizes.episodes, sizes.images) == (size, size)
    assert sizes.changes == ([8] if size == 8 else [8, size])
    sizes.halve("it ran out")
    assert sizes.episodes == size // 2
