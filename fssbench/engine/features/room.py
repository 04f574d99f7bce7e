"""The room of the feature cache where nobody has chosen it: what the rest of the command leaves of 4 GiB.

What a method needs besides kept features is known only once it has predicted: its code, weights, the maps of a few
episodes in flight, and what heads compute with. It is read from the largest memory of the process, so the cache gets
smaller with the first calls, and not at all where an earlier part of the process took more memory than this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

import torch

from fssbench.engine.features.cache import FeatureCache
from fssbench.engine.features.jobs import AnyMethod
from fssbench.engine.profiling.memory import WHOLE, peak_memory
from fssbench.fast.pytree import bytes_of

Key = TypeVar("Key", bound=Hashable)

LEAST = 1 << 30
"""Bytes of features that there is always room for, because encoding images again and again would take long."""


class Room(Generic[Key]):
    """Keeps a command within `WHOLE` by the features it keeps.

    Args:
        cache: Its budget gets smaller, never larger.
        peak: Returns the largest memory of the process so far, in bytes.
    """

    def __init__(self, cache: FeatureCache[Key], peak: Callable[[], int] = peak_memory) -> None:
        self._cache, self._peak = cache, peak
        self._seen, self._rest, self._held = peak(), 0, 0

    @property
    def most(self) -> int | None:
        """How many bytes features may have, those of a call included; None as long as nothing is known."""
        return max(LEAST, WHOLE - self._rest) if self._rest else None

    def before(self, found: Mapping[Key, object], step: int) -> None:
        """Keep fewer features, where a prediction with these would need too much memory.

        Args:
            found: The features of the call.
            step: The step after the call.
        """
        apart = bytes_of([value for key, value in found.items() if key not in self._cache])
        if self.most is not None:
            self._cache.evict(self._cache.bytes + apart - self.most, step, found)
        self._held = self._cache.bytes + apart

    def after(self, step: int) -> None:
        """Read what the call has needed besides features."""
        peak = self._peak()
        if peak > self._seen:
            self._seen, self._rest = peak, max(self._rest, peak - self._held)
        if self.most is not None and self.most < self._cache.budget:
            self._cache.shrink(self.most, step)


def room_of(
    cache: FeatureCache[Key], chosen: int | None, methods: Collection[AnyMethod], device: torch.device
) -> Room[Key] | None:
    """Return the room of a cache; None if its size was chosen, on a graphics card, or if several methods share it."""
    if chosen is not None or device.type != "cpu" or len(set(map(type, methods))) > 1:
        return None
    return Room(cache)
