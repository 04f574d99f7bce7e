"""How far an mIoU, or a difference of two, spreads by chance: by class, query image, support image and episode.

The influence g_i of an episode on the mean over the folds is that of `fssbench.comparison.influences`.

Episodes that share a query image, or a support image, move mIoU alike. Let v_s be the variance of g_i in stratum s (a
class of a fold; the fold, if episodes have several ways), ρ_q and ρ_k the correlation of two episodes with the same
query, or the same supports, and κ_q and κ_k the share of all pairs that have. A list m times as long has the variance

    Var(m) = Σ_s n_s v_s / m · (1 + (m n_s - 1) (κ_q ρ_q + κ_k ρ_k))

Its limit for large m is not 0: the data set has only so many images, and further episodes use the same ones again.
κ is the probability that two draws give the same image, which the draw fixes; ρ is the mean product of the influences
of such pairs over v_s, an estimate by moments (crossed random effects: Searle, Casella and McCulloch, Variance
Components, 1992).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from fssbench.metrics.counts import Floats

if TYPE_CHECKING:
    import pandas as pd

FEW_PAIRS = 30
"""With fewer pairs of episodes that share an image, nothing is said of how much is the image's."""
_ROUNDS = 5
_MOST = 1500
"""Of a longer stratum only so many episodes are searched for pairs, of which there are plenty then."""


@dataclass(frozen=True)
class Stratum:
    """The episodes of a class in a fold, or of a fold if they have several ways.

    Attributes:
        fold: The fold.
        episodes: n_s.
        variance: v_s, in squared percentage points of the mean over the folds.
        same_query: κ_q.
        same_support: κ_k; supports of which a share is the same count by that share.
        queries: How many different query images there are.
        supports: How many different support images.
    """

    fold: int
    episodes: int
    variance: float
    same_query: float
    same_support: float
    queries: int
    supports: int


@dataclass(frozen=True)
class Correlation:
    """The correlation of the influences of episodes that share an image.

    Attributes:
        value: ρ, from 0 to 1.
        error: Its standard error.
        pairs: How many pairs of episodes share an image.
    """

    value: float
    error: float
    pairs: int

    @property
    def known(self) -> bool:
        """Whether there are enough pairs to say something."""
        return self.pairs >= FEW_PAIRS

    def moved(self, errors: float) -> float:
        """Return ρ moved by so many standard errors, from 0 to 1."""
        return float(np.clip(self.value + errors * self.error, 0.0, 1.0))


@dataclass(frozen=True)
class Components:
    """The spread of an mIoU or of a difference.

    Attributes:
        strata: The strata of the episodes.
        lengths: The number of episodes of each fold.
        query: ρ_q.
        support: ρ_k.
        between_classes: Standard deviation of the (difference of) IoU between the classes, without the noise of each,
            in points; None if there is only one class.
        classes: How many classes there are, over all folds.
    """

    strata: tuple[Stratum, ...]
    lengths: Mapping[int, int]
    query: Correlation
    support: Correlation
    between_classes: float | None
    classes: int

    def variance(self, episodes: float, errors: float = 0.0) -> float:
        """Return the variance of the mean over the folds from lists of some length, in squared points.

        Args:
            episodes: Episodes of each fold; infinity for the limit.
            errors: By how many standard errors the correlations are moved.
        """
        query, support = self._shares(errors)
        total = 0.0
        for one in self.strata:
            times = episodes / self.lengths[one.fold]
            shared = one.same_query * query + one.same_support * support
            once = one.episodes * one.variance
            total += once * (1.0 - shared) / times + once * one.episodes * shared
        return total

    def floor(self, errors: float = 0.0) -> float:
        """Return the variance that no number of episodes of these images goes below."""
        return self.variance(float("inf"), errors)

    def of_one_list(self) -> dict[str, float]:
        """Return which share of the variance of one further episode is the query's, the supports', and its own."""
        query, support = self._shares(0.0)
        return {"query": query, "support": support, "episode": 1.0 - query - support}

    def images(self, episodes: float, kind: str) -> float:
        """Return how many different images the lists are expected to have, each drawn equally often.

        Args:
            episodes: Episodes of each fold.
            kind: "query" or "support".
        """
        counts = [one.episodes * episodes / self.lengths[one.fold] for one in self.strata]
        same = self.pool(kind)
        # One stratum has few pairs, so the images of each are taken to be as many as those of all on average.
        return sum(count if not same else (1.0 - (1.0 - same) ** count) / same for count in counts)

    def pool(self, kind: str) -> float:
        """Return the probability that two draws of a stratum give the same image, over all strata; 0 if not known."""
        pairs = [one.episodes * (one.episodes - 1) for one in self.strata]
        known = self.query.known if kind == "query" else self.support.known
        same = [one.same_query if kind == "query" else one.same_support for one in self.strata]
        found = sum(share * count for share, count in zip(same, pairs, strict=True)) / max(sum(pairs), 1)
        return min(found, 1.0) if known else 0.0

    def _shares(self, errors: float) -> tuple[float, float]:
        query = self.query.moved(errors) if self.query.known else 0.0
        support = self.support.moved(errors) if self.support.known else 0.0
        both = max(1.0, query + support)
        return query / both, support / both


def components(
    frame: pd.DataFrame, parts: Mapping[tuple[int, int], Floats], ious: Mapping[tuple[int, int], float]
) -> Components:
    """Return the spread of an mIoU, or of a difference of two.

    Args:
        frame: The rows; of a difference, those of one of the two runs, which have the same episodes.
        parts: The influences on each class's part of the mean, or their differences, from `influences`.
        ious: The IoU of each class in per cent, or the differences.
    """
    several_ways = any(len(classes) > 1 for classes in frame["classes"])
    keys = [(int(f), 0 if several_ways else int(c[0])) for f, c in zip(frame["fold"], frame["classes"], strict=True)]
    total = np.sum(list(parts.values()), axis=0)
    queries = [str(name) for name in frame["query"]]
    supports = [{str(name) for names in row for name in names} for row in frame["supports"]]
    strata: list[Stratum] = []
    pairs: dict[str, list[_Pairs]] = {"query": [], "support": []}
    for key in sorted(set(keys)):
        places = [place for place, own in enumerate(keys) if own == key]
        moved = total[places]
        variance = float((moved**2).sum() / max(len(places) - 1, 1))
        some = places[:_MOST]
        for kind, images in (("query", [{queries[n]} for n in some]), ("support", [supports[n] for n in some])):
            pairs[kind].append(_pairs_of(moved[: len(some)], _shared(images)))
        names = [{queries[n] for n in places}, set().union(*(supports[n] for n in places))]
        same = (pairs["query"][-1].same, pairs["support"][-1].same)
        strata.append(Stratum(key[0], len(places), variance, *same, *map(len, names)))
    lengths = {fold: sum(1 for one, _ in keys if one == fold) for fold in sorted({fold for fold, _ in keys})}
    query, support = _correlations(strata, pairs["query"], pairs["support"])
    return Components(tuple(strata), lengths, query, support, _between(parts, ious), len(ious))


def _of_mean(stratum: Stratum, query: float, support: float) -> float:
    """Return the variance of the mean influence of a stratum, in units of that of one episode."""
    shared = stratum.same_query * query + stratum.same_support * support
    return (1.0 + (stratum.episodes - 1) * shared) / stratum.episodes


def _correlations(
    strata: Sequence[Stratum], by_query: Sequence[_Pairs], by_support: Sequence[_Pairs]
) -> tuple[Correlation, Correlation]:
    """Return ρ_q and ρ_k.

    The influences sum to 0, so the product of a pair is too small by the variance of their mean. This depends on ρ_q
    and ρ_k again, which a few rounds settle.
    """
    query = support = Correlation(0.0, 0.0, 0)
    for _ in range(_ROUNDS):
        means = [_of_mean(one, query.value, support.value) for one in strata]
        query = _correlation(strata, by_query, [0.0] * len(means))  # the leverage is accounted for
        support = _correlation(strata, by_support, means)
    return query, support


def _correlation(strata: Sequence[Stratum], pairs: Sequence[_Pairs], means: Sequence[float]) -> Correlation:
    product = weight = error = 0.0
    for one, of, mean in zip(strata, pairs, means, strict=True):
        products = of.products + one.variance * mean
        product += float((of.shares * products).sum())
        weight += float((of.shares**2).sum()) * one.variance * (1.0 + mean)
        error += float(((of.shares * products) ** 2).sum())
    count = sum(len(of.shares) for of in pairs)
    if not weight:
        return Correlation(0.0, 0.0, count)
    return Correlation(float(np.clip(product / weight, 0.0, 1.0)), error**0.5 / weight, count)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The pairs of episodes of a stratum that share an image.

    Attributes:
        products: The products of their influences, (pairs,).
        shares: Which share of their images is the same, (pairs,).
        same: κ.
    """

    products: Floats
    shares: Floats
    same: float


def _pairs_of(moved: Floats, shared: Mapping[tuple[int, int], float]) -> _Pairs:
    places = np.array(list(shared), dtype=np.int64).reshape(-1, 2)
    shares = np.array(list(shared.values()), dtype=np.float64)
    every = len(moved) * (len(moved) - 1)
    products = moved[places[:, 0]] * moved[places[:, 1]]
    return _Pairs(products, shares, 2.0 * float(shares.sum()) / every if every else 0.0)


def _shared(images: Sequence[set[str]]) -> dict[tuple[int, int], float]:
    """Return the pairs of episodes that share an image, with the share of their images that is the same."""
    users: dict[str, list[int]] = {}
    for place, names in enumerate(images):
        for name in names:
            users.setdefault(name, []).append(place)
    found: dict[tuple[int, int], float] = {}
    for places in users.values():
        for pair in combinations(places, 2):
            found[pair] = found.get(pair, 0.0) + 1.0 / max(len(images[pair[0]]), len(images[pair[1]]))
    return found


def _between(parts: Mapping[tuple[int, int], Floats], ious: Mapping[tuple[int, int], float]) -> float | None:
    """Return the standard deviation between the classes, without the noise of each class."""
    if len(ious) < 2:
        return None
    folds = {fold for fold, _ in ious}
    sizes = {fold: sum(1 for one, _ in ious if one == fold) for fold in folds}
    noise = [float((moved**2).sum()) * (len(folds) * sizes[key[0]]) ** 2 for key, moved in parts.items() if key in ious]
    values = np.array(list(ious.values()))
    return float(max(0.0, values.var(ddof=1) - np.mean(noise)) ** 0.5)
