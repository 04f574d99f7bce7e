"""Rows for the tests of reading and writing them."""

from __future__ import annotations

from dataclasses import replace

from fssbench.results import Row

ROW = Row(
    episode=0,
    fold=2,
    query="val2014/COCO_val2014_000000000139.jpg",
    classes=(3, 17),
    supports=(("a", "b"), ("c", "d")),
    intersection=(159_000, 0, 2**40),
    union=(160_000, 12, 2**41),
    present=(True, False),
    truth=(False, False),
    seconds=0.123456,
)
NEXT = replace(ROW, episode=1)
ROWS = [replace(ROW, episode=number, query=f"bild-{number}-é") for number in range(3)]
