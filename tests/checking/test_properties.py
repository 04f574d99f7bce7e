"""What holds of any verdict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fssbench.checking.tolerances import tolerance_of
from fssbench.checking.verdict import Subject, Tolerance, judge
from tests.properties import examples

PERCENT = st.floats(0, 100)
SUBJECT = Subject("hsnet", "runs/hsnet")


def verdict(expected: float, measured: float, tolerance: Tolerance) -> str:
    return judge(SUBJECT, "miou", 0, (expected, measured), tolerance, None, "a paper").verdict


@examples(30)
@given(PERCENT, PERCENT, st.floats(0, 1), st.floats(0, 20), st.floats(0, 20))
def test_a_number_nearer_to_what_is_printed_never_loses_its_pass(
    expected: float, measured: float, share: float, below: float, above: float
) -> None:
    tolerance = Tolerance(below, above, "a tier", "a reason")
    nearer = expected + share * (measured - expected)
    if verdict(expected, measured, tolerance) == "pass":
        assert verdict(expected, nearer, tolerance) == "pass"
        assert verdict(expected, measured, Tolerance(below + 1, above + 1, "a tier", "a reason")) == "pass"
    assert verdict(expected, expected, tolerance) == "pass"
    assert verdict(expected, expected + above + 1e-6, tolerance) == "miss"
    assert verdict(expected, expected - below - 1e-6, tolerance) == "miss"


@examples(20)
@given(st.floats(0.1, 20), st.floats(0.1, 20), st.floats(0, 20), st.booleans(), st.sampled_from((1, 5)))
def test_more_episodes_never_allow_a_larger_distance(
    printed: float, measured: float, more: float, mean: bool, shot: int
) -> None:
    few, many = (
        tolerance_of("drawn", "miou", mean=mean, shot=shot, thousands=(printed, count))
        for count in (measured, measured + more)
    )
    assert few is not None
    assert many is not None
    assert many.above <= few.above
    assert many.below <= few.below
