"""The components of the variance of the IoU of an episode: class, query of the class, reference of the query.

y(c, q, r) is the IoU in per cent of class c in query q with reference r, of R (`fssbench.metrics.references`), and

    y(c, q, r) = mean + C(c) + Q(c, q) + E(c, q, r)

with independent random effects. The design is balanced in r, so with the mean squares of the nested analysis of
variance

    s2(reference) = MS(r within q)
    s2(query)     = (MS(q within c) - MS(r within q)) / R
    s2(class)     = (MS(c) - MS(q within c)) / (R n0),  n0 = (n - sum n_c^2 / n) / (C - 1)

for n queries, n_c of them of class c, of C classes (Searle, Casella and McCulloch, Variance Components, 1992, 3.6 and
5.2: the estimator by the analysis of variance; it is unbiased). An estimate below 0 counts as 0, and is marked: the
component is not distinguishable from 0. Limits: the part of the reference includes how well a support fits this query,
which a support that is good for every query can't be told apart from; the classes are few, so their part is uncertain;
IoU is bounded, so its variance depends on its mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fssbench.metrics.counts import Floats

_ROUNDING = 1e-15
"""Variances of equal numbers are as small as this by rounding, in squared percentage points."""


@dataclass(frozen=True)
class Components:
    """The components of the variance of the IoU, in squared percentage points; None where one can't be estimated.

    Attributes:
        reference: Of the references of a query.
        query: Of the queries of a class.
        of_class: Of the classes.
        below_zero: Names of the components whose estimate was below 0 and counts as 0.
        missing: Why a component can't be estimated, by its name.
    """

    reference: float | None
    query: float | None
    of_class: float | None
    below_zero: tuple[str, ...] = ()
    missing: Mapping[str, str] | None = None

    @property
    def shares(self) -> dict[str, float] | None:
        """The share of each component in their sum, in per cent; None unless all are known and their sum is not 0."""
        parts = {"reference": self.reference, "query": self.query, "class": self.of_class}
        known = {name: value for name, value in parts.items() if value is not None}
        total = sum(known.values())
        if len(known) < len(parts) or total <= 0:
            return None
        return {name: 100.0 * value / total for name, value in known.items()}


def components(ious: Floats, keys: Sequence[tuple[int, int]]) -> Components:
    """Return the components of the variance of IoU by the nested analysis of variance.

    Args:
        ious: IoU in per cent, (queries, R).
        keys: The class of each query.
    """
    count, references = ious.shape if ious.size else (0, 0)
    missing: dict[str, str] = {}
    if count == 0 or references < 2:
        reason = "no query has two references"
        return Components(None, None, None, missing={"reference": reason, "query": reason, "class": reason})
    found: dict[str, float] = {"reference": float(ious.var(axis=1, ddof=1).mean())}
    means = ious.mean(axis=1)
    classes = sorted(set(keys))
    of_class = np.array([classes.index(key) for key in keys])
    sizes = np.bincount(of_class)
    centres = np.bincount(of_class, weights=means) / sizes
    within = count - len(classes)
    between_queries = float(((means - centres[of_class]) ** 2).sum() / within) if within else None
    if between_queries is None:
        missing["query"] = "no class has two queries"
    else:
        found["query"] = between_queries - found["reference"] / references
    if len(classes) < 2:
        missing["class"] = "there is one class"
    elif between_queries is None:
        missing["class"] = "no class has two queries"
    else:
        size = (count - float((sizes**2).sum()) / count) / (len(classes) - 1)
        squares = float((sizes * (centres - means.mean()) ** 2).sum() / (len(classes) - 1))
        found["class"] = (squares - between_queries) / size
    below = tuple(name for name, value in found.items() if value < -_ROUNDING)
    kept = {name: value if value > _ROUNDING else 0.0 for name, value in found.items()}
    return Components(kept["reference"], kept.get("query"), kept.get("class"), below, missing or None)
