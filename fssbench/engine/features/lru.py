"""A cache of the images or label maps that were read last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np

Array = TypeVar("Array", bound=np.ndarray[Any, Any])


class LRUCache(Generic[Array]):
    """Reads arrays by name and keeps those that were used last. Threads that need the same array share one reading.

    Args:
        read: Reads an array by its name. Callers must not change the array.
        budget: How many bytes are kept. The array that was read last is kept even if it is larger.
    """

    def __init__(self, read: Callable[[str], Array], budget: int) -> None:
        self._read, self._budget = read, budget
        self._lock = Lock()
        self._arrays: OrderedDict[str, Future[Array]] = OrderedDict()
        self._bytes: dict[str, int] = {}

    def get(self, name: str) -> Array:
        """Return an array. An error while reading it is raised in every thread that waits for it."""
        with self._lock:
            array = self._arrays.get(name)
            if first := array is None:
                array = self._arrays[name] = Future()
            self._arrays.move_to_end(name)
        if first:
            self._fill(name, array)
        return array.result()

    def _fill(self, name: str, array: Future[Array]) -> None:
        try:
            read = self._read(name)
        except BaseException as error:
            with self._lock:
                del self._arrays[name]
            array.set_exception(error)
            return
        with self._lock:
            self._bytes[name] = read.nbytes
            # Arrays that are being read are not counted, and are not evicted.
            for oldest in [key for key in self._arrays if key in self._bytes and key != name]:
                if sum(self._bytes.values()) <= self._budget:
                    break
                del self._arrays[oldest], self._bytes[oldest]
        array.set_result(read)
