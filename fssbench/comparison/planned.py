"""The result of sample-size planning: `SamplePlan`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CORRELATION = 0.8
"""The assumed correlation of two methods where there is only one run (docs/statistics.md has measured ones)."""
HABIT = 1000
"""Episodes of each fold in most papers."""
SEEDS = 5
"""Lists that papers with several seeds evaluate."""


@dataclass(frozen=True)
class Size:
    """What lists of some length can tell.

    Attributes:
        episodes: Episodes of each fold.
        queries: Different query images, counted for each class; of the stored rows as they are, else expected.
        supports: Different support images, likewise.
        measured: Standard deviation of the difference by the bootstrap, in points; None where there are no such rows.
        spread: Standard deviation by the components of the variance.
        detectable: The smallest difference that is found with the power; from `measured` if that is known.
    """

    episodes: int
    queries: float
    supports: float
    measured: float | None
    spread: float
    detectable: float


@dataclass(frozen=True)
class Needed:
    """How many episodes it takes.

    Attributes:
        episodes: Episodes of each fold; None if no number is enough, or it is too far from the stored rows to say.
        why: Why there is no number: "images" (the data set has too few), "far"; else empty.
        per_class: Episodes of each class.
        queries: Different query images among them, expected.
        supports: Different support images.
        likely: The numbers of episodes with the correlations one standard error lower, and higher; None as above.
    """

    episodes: int | None
    why: str = ""
    per_class: float = 0.0
    queries: float = 0.0
    supports: float = 0.0
    likely: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True)
class SamplePlan:
    """How many episodes a comparison takes, and what some numbers of episodes can tell.

    All differences are in points of mIoU, the mean over the folds.

    Attributes:
        names: The method of each run.
        title: Data set, ways, shots, folds.
        detect: The difference that is to be told.
        power: The probability of telling it.
        alpha: The level of the two-sided test.
        difference: The measured difference of two runs; None for one run.
        correlation: The correlation of the two methods' influences: measured of two runs, assumed of one.
        needed: How many episodes it takes.
        sizes: What lists of several lengths can tell, by length.
        stored: Episodes of each fold in the stored rows; the longest if folds differ.
        floor: The smallest difference that any number of episodes of these images can tell; 0 if not known.
        floor_up_to: The same with correlations two standard errors higher.
        shares: Which share of the variance of one more episode is the query image's, the supports' and its own.
        pairs: How many pairs of episodes share a query image, and how many a support image.
        images: How many query images a class (a fold, if episodes have several ways) seems to have, by how often two
            episodes have the same; None if too few have.
        reach: Sizes of more episodes than this are far from the stored rows, and a rough guess.
        classes: Over how many classes the mean is.
        between_classes: Standard deviation of the difference (of one run: the IoU) between classes; None of one class.
        other_classes: The smallest difference that can be told of classes in general, with any number of episodes.
        seeds_spread: The expected standard deviation of the first method's mIoU over lists of 1,000 with other seeds.
        unpaired: What `HABIT` episodes of each fold can tell if each method has its own.
        notes: Caveats.
    """

    names: tuple[str, ...]
    title: str
    detect: float
    power: float
    alpha: float
    difference: float | None
    correlation: float
    needed: Needed
    sizes: tuple[Size, ...]
    stored: int
    floor: float
    floor_up_to: float
    shares: Mapping[str, float]
    pairs: Mapping[str, int]
    images: float | None
    reach: int
    classes: int
    between_classes: float | None
    other_classes: float | None
    seeds_spread: float
    unpaired: float
    notes: tuple[str, ...]

    def size(self, episodes: int) -> Size:
        """Return what lists of a length among `sizes` can tell."""
        return next(one for one in self.sizes if one.episodes == episodes)
