"""The components of a variance that is known."""

from __future__ import annotations

import numpy as np
import pytest

from fssbench.metrics.variance_components import components


def test_components_are_unbiased_for_known_variances() -> None:
    generator = np.random.default_rng(0)
    sizes, references = (4, 9, 6, 12, 5), 5
    keys = [(0, c) for c, size in enumerate(sizes) for _ in range(size)]
    found = []
    for _ in range(1500):
        of_class = np.repeat(generator.normal(0, 3, len(sizes)), sizes)
        of_query = generator.normal(0, 2, len(keys))
        ious = 50 + (of_class + of_query)[:, None] + generator.normal(0, 4, (len(keys), references))
        parts = components(ious, keys)
        assert parts.reference is not None
        found.append((parts.reference, parts.query, parts.of_class, bool(parts.below_zero)))
    reference, query, of_class, below = np.array(found, dtype=float).mean(axis=0)
    assert reference == pytest.approx(16, rel=0.02)
    assert query == pytest.approx(4, rel=0.05)
    # Cut at 0 in some of the runs, which is why it is a little larger than 9.
    assert 8.7 < of_class < 10.0
    assert below < 0.1


def test_degenerate_designs_say_what_cannot_be_given() -> None:
    one_class = components(np.array([[10.0, 30.0], [40.0, 60.0]]), [(0, 1), (0, 1)])
    assert (one_class.reference, one_class.query, one_class.of_class) == (200.0, 350.0, None)
    assert one_class.missing == {"class": "there is one class"}
    assert one_class.shares is None
    one_query_each = components(np.array([[10.0, 30.0], [40.0, 60.0]]), [(0, 1), (0, 2)])
    assert (one_query_each.query, one_query_each.of_class) == (None, None)
    nothing = components(np.zeros((0, 0)), [])
    assert (nothing.reference, nothing.query, nothing.of_class) == (None, None, None)
    equal = components(np.full((4, 3), 7.0), [(0, 1), (0, 1), (0, 2), (0, 2)])
    assert (equal.reference, equal.query, equal.of_class, equal.shares) == (0.0, 0.0, 0.0, None)
    noise = components(np.array([[0.0, 10.0], [10.0, 0.0], [0.0, 10.0], [10.0, 0.0]]), [(0, 1), (0, 1), (0, 2), (0, 2)])
    assert noise.below_zero == ("query",)
    assert noise.shares == {"reference": 100.0, "query": 0.0, "class": 0.0}
