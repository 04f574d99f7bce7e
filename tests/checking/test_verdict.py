"""What a tolerance admits, to the last digit that counts, and what a report says of its checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fssbench.checking.verdict import Check, Report, Subject, Tolerance, judge, not_comparable

SUBJECT = Subject("hsnet, pascal5i, 1-way 1-shot", "runs/hsnet")


def tolerance(below: float, above: float) -> Tolerance:
    return Tolerance(below, above, "same weights", "measured twice")


@pytest.mark.parametrize(
    ("difference", "admitted"),
    [
        *((-0.51, False), (-0.5 - 1e-6, False), (-0.5, True), (-0.1, True), (0.0, True)),
        *((0.2, True), (0.2 + 1e-6, False), (0.3, False), (0.5, False), (1.0, False), (-1.2, False)),
    ],
)
def test_a_tolerance_ends_where_it_says(difference: float, admitted: bool) -> None:
    assert tolerance(0.5, 0.2).admits(difference) == admitted


def test_a_difference_that_is_as_large_as_the_tolerance_is_admitted_however_it_is_rounded() -> None:
    assert 64.4 - 64.1 > 0.3
    assert tolerance(0.0, 0.3).admits(64.4 - 64.1)
    assert tolerance(0.3, 0.0).admits(64.1 - 64.4)


def test_an_exact_tolerance_admits_nothing_else() -> None:
    assert tolerance(0.0, 0.0).admits(0.0)
    assert not tolerance(0.0, 0.0).admits(1e-6)
    assert not tolerance(0.0, 0.0).admits(-1e-6)


@pytest.mark.parametrize(
    ("below", "above", "text"),
    [(0, 0, "exact"), (0.3, 0.3, "±0.30"), (0.0, 0.5, "-0.00 +0.50"), (0.5, 0.0, "-0.50 +0.00"), (1.0, 1.0, "±1.00")],
)
def test_a_tolerance_as_text(below: float, above: float, text: str) -> None:
    assert str(tolerance(below, above)) == text


def test_a_check_passes_or_misses_by_measured_minus_expected() -> None:
    passed = judge(SUBJECT, "miou", None, (64.0, 64.15), tolerance(0.1, 0.2), None, "Table 1")
    missed = judge(SUBJECT, "fb_iou", 0, (64.15, 64.0), tolerance(0.1, 0.2), None, "Table 1", "few episodes")
    assert (passed.verdict, passed.title, passed.remark) == ("pass", "mean mIoU", "")
    assert (missed.verdict, missed.title, missed.remark) == ("miss", "fold 0 FB-IoU", "few episodes")
    assert passed.difference == pytest.approx(0.15)
    assert missed.difference == pytest.approx(-0.15)
    assert (passed.expected, passed.measured) == (64.0, 64.15)


@pytest.mark.parametrize(("expected", "measured"), [(None, 64.0), (64.0, None), (None, None)])
def test_there_is_no_difference_unless_both_numbers_are_known(expected: float | None, measured: float | None) -> None:
    check = not_comparable(SUBJECT, "miou", 3, expected, measured, "Table 1", "another protocol")
    assert (check.difference, check.verdict, check.tolerance, check.remark) == (None, "none", None, "another protocol")
    assert check.title == "fold 3 mIoU"


def test_a_report_counts_what_was_decided_and_names_what_was_missed() -> None:
    passed: Check = judge(SUBJECT, "miou", 0, (64.0, 64.0), tolerance(0, 0), None, "Table 1")
    missed, undecided = replace(passed, verdict="miss"), replace(passed, verdict="none")
    report = Report("printed numbers", (passed, missed, undecided, passed), ())
    assert report.decided == 3
    assert report.missed == (missed,)
