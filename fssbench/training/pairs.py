"""Which pictures a training step asks: pairs of two pictures of one base class. No torch, no pixels.

What a step draws depends on the seed and the number of the step alone, so a run that was killed goes on with the
very pairs it would have drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fssbench.datasets.dataset import Dataset
from fssbench.errors import MissingError


class Pair(NamedTuple):
    """A 1-way 1-shot training episode: label `class_id` in `query`, given `support`."""

    class_id: int
    query: str
    support: str


@dataclass(frozen=True)
class PairSampler:
    """Draws pairs from the lists of the base classes.

    Attributes:
        lists: For each base class the names of its training pictures.
        seed: Seed of the draw.
    """

    lists: Mapping[int, tuple[str, ...]]
    seed: int

    @classmethod
    def of_fold(cls, dataset: Dataset, fold: int, seed: int) -> PairSampler:
        """Return the sampler of a fold's training lists: base classes alone.

        Raises:
            MissingError: If no class has two pictures.
            UsageError: If there is no such fold.
        """
        lists = {
            class_id: tuple(dict.fromkeys(names)) for class_id, names in dataset.class_lists(fold, "train").items()
        }
        usable = {class_id: names for class_id, names in lists.items() if len(names) > 1}
        if not usable:
            raise MissingError(
                f"{dataset.name} fold {fold} lists no class with two training pictures: there is nothing to learn from",
                f"fssbench data check {dataset.name}",
            )
        return cls(usable, seed)

    def generator(self, step: int) -> np.random.Generator:
        """Return the random numbers of a step; the pairs are its first draws."""
        return np.random.default_rng([self.seed, step])

    def draw(self, rng: np.random.Generator, count: int) -> list[Pair]:
        """Draw `count` pairs: a class, evenly; then two different pictures of it."""
        classes = list(self.lists)
        pairs = []
        for choice in rng.integers(len(classes), size=count):
            class_id = classes[choice]
            names = self.lists[class_id]
            query, support = rng.choice(len(names), size=2, replace=False)
            pairs.append(Pair(class_id, names[query], names[support]))
        return pairs
