"""What samplers draw from, and the one way in which they draw."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class ImageLists:
    """The lists of one fold and side of a data set, in the order that the draws index into.

    Attributes:
        entries: (image name, label value) pairs in list order.
        by_class: For each label value of the fold, rising, its image names in list order.
    """

    entries: tuple[tuple[str, int], ...]
    by_class: dict[int, tuple[str, ...]]

    def without(self, classes: Collection[int]) -> ImageLists:
        """Return the lists with some classes left out."""
        return ImageLists(
            entries=tuple(entry for entry in self.entries if entry[1] not in classes),
            by_class={c: names for c, names in self.by_class.items() if c not in classes},
        )


def draw_one(random: np.random.RandomState, choices: Sequence[T]) -> T:
    """Draw one of `choices` as the releases do.

    `np.random.choice(choices, 1, replace=False)` permutes all of them and takes the first, so how far the
    stream moves depends on how many there are. The permutation is the same call without the copy of the list.
    """
    return choices[int(random.permutation(len(choices))[0])]
