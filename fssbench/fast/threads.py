"""Predicts several episodes on a CPU, each in its own thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from fssbench.fast.form import FastForm, flag_of
from fssbench.fast.pytree import tensors_of
from fssbench.layers.devices import serial_on
from fssbench.methods.base.method import Method, Prediction
from fssbench.stopping import requested

T = TypeVar("T")

PredictEpisode = Callable[[], Prediction]
"""Predicts an episode."""

MAX_AT_ONCE = 8
"""Largest number of episodes that a CPU predicts at the same time: each needs its own memory."""


def device_of(features: object) -> torch.device:
    """Return the device of features; the CPU if they have no tensors."""
    return next((tensor.device for tensor in tensors_of(features)), torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class Call:
    """The arguments of `Method.predict_many`."""

    method: Method[Any, Any]
    queries: Sequence[Any]
    supports: Sequence[Sequence[Sequence[Any]]]
    sizes: Sequence[tuple[int, int]]

    @property
    def takes_threads(self) -> bool:
        """Whether several threads may predict with the method at the same time; see `Method.predicts_in_threads`."""
        return isinstance(self.method, FastForm) or flag_of(
            type(self.method), "predicts_in_threads", "predict", "predict_many"
        )

    @property
    def episodes(self) -> list[PredictEpisode]:
        """A function for each episode that predicts it."""
        each = zip(self.queries, self.supports, self.sizes, strict=True)
        return [partial(self.method.predict, *episode) for episode in each]


def predict_calls(calls: Sequence[Call]) -> list[list[Prediction]]:
    """Return the predictions of each method; see `Method.predict_many` and `predict_in_threads`.

    If the command is told to end, no further episode begins: the predictions of the last ones are not there.

    The episodes of all calls are given to the threads together: fewer threads are idle at the end than with call after
    call.
    """
    in_threads = [call for call in calls if call.takes_threads and serial_on(device_of(call.queries))]
    begun = [partial(_unless_stopped, episode) for call in in_threads for episode in call.episodes]
    predicted = iter(predict_in_threads(begun))
    return [
        list(_there(list(islice(predicted, len(call.sizes)))))
        if call in in_threads
        else call.method.predict_many(call.queries, call.supports, call.sizes)
        for call in calls
    ]


def _unless_stopped(predict: PredictEpisode) -> Prediction | None:
    return None if requested() else predict()


def _there(predictions: Sequence[Prediction | None]) -> Iterator[Prediction]:
    """Yield the predictions before the first one that is not there."""
    for one in predictions:
        if one is None:
            return
        yield one


def episodes_at_once(device: torch.device) -> int:
    """Return how many episodes are predicted at the same time; see `predict_in_threads`."""
    return _split_threads(torch.get_num_threads())[0] if serial_on(device) else 1


def predict_in_threads(episodes: Sequence[Callable[[], T]]) -> list[T]:
    """Return the predictions of several episodes, in their order, as many at once as torch has threads.

    Each episode is computed by one thread, or by more where torch has more threads than `MAX_AT_ONCE`. Such a thread
    does not wait for others after every layer: on two cores this takes up to a quarter less time than one episode after
    the other on both cores. A prediction has as many threads in a call for one episode as in a call for many.

    Args:
        episodes: A function for each episode that predicts it and leaves its method unchanged.
    """
    threads = torch.get_num_threads()
    # A dispatch mode, such as a counter of operations, sees the operations of its own thread only.
    if threads == 1 or not torch.is_inference_mode_enabled() or _get_current_dispatch_mode() is not None:
        return [predict() for predict in episodes]
    cast, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def in_modes(predict: Callable[[], T]) -> T:
        with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=cast):
            return predict()

    try:
        return list(_thread_pool(*_split_threads(threads)).map(in_modes, episodes))
    finally:
        # The last call of set_num_threads applies to all threads that start later.
        torch.set_num_threads(threads)


def _split_threads(threads: int) -> tuple[int, int]:
    """Return how many predictions run at the same time on `threads` threads, and how many threads each has."""
    each = -(-threads // MAX_AT_ONCE)
    return threads // each, each


@lru_cache(maxsize=1)
def _thread_pool(size: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, "fssbench-predict", use_threads, (threads,))


def use_threads(threads: int) -> None:
    """Set how many threads torch uses in the calling thread, independently of other threads.

    Otherwise each thread would use as many threads as the main thread, and all would compete for the same cores.
    """
    # torch forgets a thread's setting when another thread changes its own, unless the thread has read it first.
    torch.get_num_threads()
    torch.set_num_threads(threads)


if hasattr(os, "register_at_fork"):
    # A child process does not inherit the threads of its parent.
    os.register_at_fork(after_in_child=_thread_pool.cache_clear)
