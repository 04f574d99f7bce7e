"""Episodes predicted by several threads at once: the settings of each thread, and those of the caller."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from fssbench.fast import threads as in_threads
from fssbench.fast.threads import MAX_AT_ONCE, Call, episodes_at_once, predict_calls, predict_in_threads
from fssbench.methods.base.method import Prediction
from fssbench.methods.floors import CopyMask

CPU = torch.device("cpu")


@pytest.fixture(params=[2])
def threads(request: pytest.FixtureRequest, threads_restored: None) -> int:
    """Torch has so many threads."""
    count: int = request.param
    torch.set_num_threads(count)
    return count


def _predict_all(predict: Any, count: int) -> list[Prediction]:
    return predict_in_threads([partial(predict, torch.full((1,), float(n)), [], (n + 1, 1)) for n in range(count)])


def _named(query: Tensor, _: object, size: tuple[int, int]) -> Prediction:
    return Prediction(query.expand(size), torch.zeros(size, dtype=torch.uint8), torch.ones(1, dtype=torch.bool))


@torch.inference_mode()
def test_answers_come_in_the_order_of_the_episodes_from_as_many_threads_at_once(threads: int) -> None:
    meeting, names = threading.Barrier(threads, timeout=30), set()

    def predict(*episode: Any) -> Prediction:
        meeting.wait()  # passes only if the others are under way as well
        names.add(threading.current_thread().name)
        return _named(*episode)

    for n, prediction in enumerate(_predict_all(predict, 3 * threads)):
        assert prediction.logits.shape == (n + 1, 1)
        assert (prediction.logits == n).all()
    assert len(names) == threads
    assert threading.main_thread().name not in names


@pytest.mark.parametrize(("threads", "each"), [(2, 1), (3, 1), (2 * MAX_AT_ONCE, 2)], indirect=["threads"])
@pytest.mark.parametrize("count", [1, 5])
@torch.inference_mode()
def test_an_answer_has_as_many_threads_to_itself_whatever_else_is_asked(threads: int, each: int, count: int) -> None:
    found = set()

    def predict(*episode: Any) -> Prediction:
        found.add(torch.get_num_threads())
        return _named(*episode)

    _predict_all(predict, count)
    assert found == {each}
    assert torch.get_num_threads() == threads
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [threads]


@pytest.mark.usefixtures("threads_restored")
def test_as_many_are_under_way_as_torch_has_threads_up_to_a_bound() -> None:
    found = []
    for count in (1, 2, 5, 12, 40):
        torch.set_num_threads(count)
        found.append((episodes_at_once(CPU), episodes_at_once(torch.device("cuda"))))
    assert found == [(1, 1), (2, 1), (5, 1), (6, 1), (MAX_AT_ONCE, 1)]


@pytest.mark.usefixtures("threads")
def test_they_are_in_the_callers_modes() -> None:
    found = []

    def predict(query: Tensor, *rest: Any) -> Prediction:
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        found.append((threading.current_thread() is threading.main_thread(), product.dtype, product.is_inference()))
        return _named(query, *rest)

    with torch.inference_mode():
        _predict_all(predict, 1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _predict_all(predict, 1)
    # With gradients, or with a dispatch mode, everything is computed in the calling thread.
    _predict_all(predict, 1)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        _predict_all(predict, 1)
    assert found == [
        (False, torch.float32, True),
        (False, torch.bfloat16, True),
        (True, torch.float32, False),
        (True, torch.float32, True),
    ]
    assert counter.get_total_flops() == 2 * 2**3


@pytest.mark.usefixtures("threads")
@torch.inference_mode()
def test_a_mistake_reaches_the_caller() -> None:
    def predict(*_: Any) -> Prediction:
        raise ValueError("no such size")

    with pytest.raises(ValueError, match="no such size"):
        _predict_all(predict, 4)
    assert len(_predict_all(_named, 4)) == 4


class Meeting(CopyMask):
    """Answers once as many others are at it."""

    predicts_in_threads = True

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__("fss", 1, 1)
        self.barrier = barrier

    def predict(self, query: None, supports: Any, size: tuple[int, int]) -> Prediction:
        self.barrier.wait()
        return super().predict(query, supports, size)


class Inverted(Meeting):
    """Says nothing of threads."""

    def predict(self, query: None, supports: Any, size: tuple[int, int]) -> Prediction:
        assert threading.current_thread() is threading.main_thread()
        prediction = CopyMask.predict(self, query, supports, size)
        return Prediction(-prediction.logits, 1 - prediction.labels, prediction.present)


class OneByOne(Meeting):
    """Asks itself."""

    def predict_many(self, queries: Any, supports: Any, sizes: Any) -> list[Prediction]:
        return [CopyMask.predict(self, *one) for one in zip(queries, supports, sizes, strict=True)]


@pytest.mark.usefixtures("threads")
@torch.inference_mode()
def test_threads_take_the_episodes_of_several_methods_as_one_call() -> None:
    barrier = threading.Barrier(2, timeout=30)
    masks = [torch.eye(4)[None], torch.ones(1, 4, 4)]
    methods = [Meeting(barrier), Inverted(barrier), OneByOne(barrier), Meeting(barrier)]
    # Two calls for one episode each meet: neither waits for the other's end.
    calls = [Call(method, [None], [[[masks[n % 2]]]], [(4, 4)]) for n, method in enumerate(methods)]
    predictions = predict_calls(calls)
    assert [len(call) for call in predictions] == [1, 1, 1, 1]
    labels = [call[0].labels.sum().item() for call in predictions]
    assert labels == [4, 0, 4, 16]


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.usefixtures("threads")
@torch.inference_mode()
def test_a_child_process_has_threads_of_its_own() -> None:
    _predict_all(_named, 4)
    child = os.fork()
    if child == 0:
        os._exit(0 if in_threads._thread_pool.cache_info().currsize == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
