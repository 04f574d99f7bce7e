"""Random numbers that depend on a key alone: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) on Python integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def _mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Stream:
    """A sequence of random integers, the same for the same key.

    Args:
        key: Non-negative integers that name the sequence.
    """

    __slots__ = ("_state",)

    def __init__(self, *key: int) -> None:
        state = _mix(len(key) + _STEP)
        for part in key:
            state = _mix(((state ^ part) + _STEP) & _MASK)
        self._state = state

    def bits(self) -> int:
        """Return the next 64 random bits."""
        self._state = (self._state + _STEP) & _MASK
        return _mix(self._state)

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        return (self.bits() * bound) >> 64

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of 100 cases."""
        return self.below(100) < percent

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of `choices`."""
        return choices[self.below(len(choices))]

    def sign(self) -> int:
        """Return -1 or 1."""
        return 1 - 2 * self.below(2)
