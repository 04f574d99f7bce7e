"""Pictures that were read last, for whoever asks them again soon: another network at another size, another episode."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np

Picture = TypeVar("Picture", bound=np.ndarray[Any, Any])


class LRUCache(Generic[Picture]):
    """Reads pictures and keeps those asked last. Threads that ask the same one at once wait for one reading.

    Args:
        read: Reads a picture by its name. What it gives is not changed by those who are given it.
        budget: Bytes that are kept; the last one, whatever it takes.
    """

    def __init__(self, read: Callable[[str], Picture], budget: int) -> None:
        self._read, self._budget = read, budget
        self._lock = Lock()
        self._pictures: OrderedDict[str, Future[Picture]] = OrderedDict()
        self._bytes: dict[str, int] = {}

    def of(self, name: str) -> Picture:
        """Return a picture; whatever reading it raises is raised to all who wait for it."""
        with self._lock:
            picture = self._pictures.get(name)
            if first := picture is None:
                picture = self._pictures[name] = Future()
            self._pictures.move_to_end(name)
        if first:
            self._fill(name, picture)
        return picture.result()

    def _fill(self, name: str, picture: Future[Picture]) -> None:
        try:
            read = self._read(name)
        except BaseException as error:
            with self._lock:
                del self._pictures[name]
            picture.set_exception(error)
            return
        with self._lock:
            self._bytes[name] = read.nbytes
            # Those that are being read are not counted, and stay.
            for oldest in [its for its in self._pictures if its in self._bytes and its != name]:
                if sum(self._bytes.values()) <= self._budget:
                    break
                del self._pictures[oldest], self._bytes[oldest]
        picture.set_result(read)
