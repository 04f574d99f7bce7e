"""Trigonometry and roots on integers.

Angles are in 1/4096 of a turn; sines in 1/16384. The tables are made with Python's own integers, not with the
machine's mathematical library, whose last digits differ between systems.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]

TURN = 4096
SINE_BITS = 14

_BITS = 96
_PI = 3141592653589793238462643383279502884197


def _small_sine_cosine() -> tuple[int, int]:
    """Return sine and cosine of one angle step by their series, in 2**-96."""
    angle = (2 * _PI << _BITS) // (TURN * 10**39)
    sine = cosine = 0
    term, order = 1 << _BITS, 0
    while term:
        sign = -1 if order & 2 else 1
        if order & 1:
            sine += sign * term
        else:
            cosine += sign * term
        order += 1
        term = (term * angle >> _BITS) // order
    return sine, cosine


def _sine_table() -> Ints:
    step_sine, step_cosine = _small_sine_cosine()
    sine, cosine = 0, 1 << _BITS
    quarter = []
    for _ in range(TURN // 4 + 1):
        quarter.append((sine + (1 << (_BITS - SINE_BITS - 1))) >> (_BITS - SINE_BITS))
        sine, cosine = (
            (sine * step_cosine + cosine * step_sine) >> _BITS,
            (cosine * step_cosine - sine * step_sine) >> _BITS,
        )
    half = quarter[:-1] + quarter[:0:-1]
    return np.array(half + [-value for value in half], dtype=np.int32)


def _arc_tangent_table() -> Ints:
    """Angles whose tangent is i/1024, for i in 0..1024: the largest angle whose tangent is not above it."""
    angle, table = 0, []
    for ratio in range(1025):
        while angle < TURN // 8 and int(SINE[angle + 1]) * 1024 <= ratio * int(SINE[angle + 1 + TURN // 4]):
            angle += 1
        table.append(angle)
    return np.array(table, dtype=np.int32)


SINE = _sine_table()
_ARC_TANGENT = _arc_tangent_table()


def sine(angle: int) -> int:
    """Return the sine of an angle, in 1/16384."""
    return int(SINE[angle % TURN])


def cosine(angle: int) -> int:
    """Return the cosine of an angle, in 1/16384."""
    return int(SINE[(angle + TURN // 4) % TURN])


def sines(angle: Ints) -> Ints:
    """Return the sines of an array of angles, in 1/16384."""
    found: Ints = SINE[angle & (TURN - 1)]
    return found


def arc_tangent(y: Ints, x: Ints) -> Ints:
    """Return the angles of the vectors (x, y), in [0, 4096); |x| and |y| below 2**20."""
    across, along = np.abs(x), np.abs(y)
    larger = np.maximum(np.maximum(across, along), 1)
    octant = _ARC_TANGENT[(np.minimum(across, along) << 10) // larger]
    angle = np.where(along > across, TURN // 4 - octant, octant)
    angle = np.where(x < 0, TURN // 2 - angle, angle)
    turned: Ints = np.where(y < 0, TURN - angle, angle) & (TURN - 1)
    return turned


def root(square: Ints) -> Ints:
    """Return the integer part of the square roots; IEEE 754 prescribes the root of a double to the last bit."""
    return np.sqrt(square.astype(np.float64)).astype(np.int32)


def length(x: Ints, y: Ints) -> Ints:
    """Return the lengths of the vectors (x, y); |x| and |y| below 2**14."""
    return root(x * x + y * y)
