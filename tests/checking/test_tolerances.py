"""The tiers, by the figures that they were derived from."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from fssbench.checking import tolerances as module
from fssbench.checking.tolerances import Printed, Tier, Tolerances, stated_tolerance, tolerance_of, tolerances
from fssbench.checking.verdict import Check, Report, Subject, Tolerance, judge, not_comparable
from fssbench.errors import BrokenFileError, UsageError
from fssbench.protocols.rules import list_protocols
from fssbench.publications.load import publications


@pytest.mark.parametrize(("thousands", "fold"), [((1, 1), 3.6), ((1, 5), 2.8), ((5, 5), 1.6), ((20, 20), 0.8)], ids=str)
def test_other_episodes_move_a_fold_by_what_the_draw_does(thousands: tuple[float, float], fold: float) -> None:
    its = tolerance_of("drawn", "miou", mean=False, thousands=thousands)
    assert its is not None
    assert its.above == pytest.approx(fold, abs=0.05)
    assert its.below == pytest.approx(its.above + 0.4)
    mean = tolerance_of("drawn", "miou", mean=True, thousands=thousands)
    assert mean is not None
    assert mean.above == pytest.approx(its.above / 2)


def test_more_shots_damp_the_draw() -> None:
    one, five = (tolerance_of("drawn", "miou", mean=False, shot=shot, thousands=(1, 1)) for shot in (1, 5))
    assert one is not None
    assert five is not None
    assert (five.above - 0.05) == pytest.approx(0.7 * (one.above - 0.05))
    four = tolerance_of("drawn", "miou", mean=False, shot=4, thousands=(1, 1))
    assert four == one, "0.7 is assumed from 5 shots on"


@pytest.mark.parametrize(
    ("tier", "measure", "mean", "points"),
    [
        ("same", "miou", False, 0.3),
        ("same", "miou", True, 0.15),
        ("same", "fb_iou", True, 0.225),
        ("same", "exact_ratio", False, 0.3),
        ("same", "exact_ratio", True, 0.2),
        ("drawn", "exact_ratio", False, 2.8),
        ("drawn", "exact_ratio", True, 1.4),
        ("trained", "miou", False, 2.0),
        ("trained", "miou", True, 1.0),
        ("exact", "miou", False, 0.0),
        ("versions", "fb_iou", False, 0.45),
    ],
)
def test_tier(tier, measure: str, mean: bool, points: float) -> None:
    its = tolerance_of(tier, measure, mean=mean, thousands=(1.0, 1.0))
    assert its is not None
    assert its.above == pytest.approx(points)
    assert its.tier
    assert its.source
    low_side = 0.4 if (tier, measure) == ("drawn", "miou") else 0.0
    assert its.below == pytest.approx(its.above + low_side), "the exact ratio was not selected on"


def test_nobody_knows_how_far_retraining_moves_the_exact_ratio() -> None:
    assert tolerance_of("trained", "exact_ratio", mean=True) is None


def test_the_bound_itself_is_admitted_and_no_more() -> None:
    its = stated_tolerance(0.3)
    assert its.admits(64.3 - 64.0)
    assert its.admits(64.0 - 64.3)
    assert not its.admits(0.301)
    assert not Tolerance(0.0, 1.0, "t", "s").admits(-0.01)


@pytest.mark.parametrize("points", [-0.1, float("nan"), float("inf"), 101.0])
def test_no_distance(points: float) -> None:
    with pytest.raises(UsageError, match="tolerance is 0 to 100"):
        stated_tolerance(points)


def test_the_data_names_what_there_is() -> None:
    known = tolerances()
    assert set(known.printed) <= set(list_protocols())
    held_against = {release for its in known.printed.values() for release in its.release.values()}
    assert set(known.printed) - held_against <= set(publications().protocols)
    assert held_against <= set(known.printed)
    assert {entry.method for entry in known.without} <= set(publications().methods)


@pytest.mark.parametrize("points", [0.0, 0.1, 0.3])
def test_a_bound_is_admitted_however_its_binary_digits_fall(points: float) -> None:
    tolerance = stated_tolerance(points)
    # 1.3 - 1.0 is 0.30000000000000004.
    assert tolerance.admits((1.0 + points) - 1.0)
    assert tolerance.admits(1.0 - (1.0 + points))
    assert not tolerance.admits(points + 1e-6)
    assert not tolerance.admits(-points - 1e-6)


@pytest.mark.parametrize(
    ("below", "above", "text"),
    [
        (0.0, 0.0, "exact"),
        (0.3, 0.3, "±0.30"),
        (0.0, 0.3, "-0.00 +0.30"),
        (0.3, 0.0, "-0.30 +0.00"),
        (4.0, 3.6, "-4.00 +3.60"),
    ],
)
def test_a_tolerance_is_said_as_it_is(below: float, above: float, text: str) -> None:
    assert str(Tolerance(below, above, "t", "s")) == text


def test_both_bounds_are_their_own() -> None:
    tolerance = Tolerance(1.0, 0.5, "t", "s")
    assert tolerance.admits(-0.9)
    assert not tolerance.admits(-1.1)
    assert tolerance.admits(0.4)
    assert not tolerance.admits(0.6)


def test_a_verdict_is_of_measured_less_expected() -> None:
    subject, tolerance = Subject("hsnet", "runs/a"), Tolerance(1.0, 0.5, "t", "s")

    def verdict(expected: float, measured: float) -> Check:
        return judge(subject, "miou", 0, (expected, measured), tolerance, None, "a paper")

    low, high, same = verdict(60.0, 59.2), verdict(59.2, 60.0), verdict(60.0, 60.0)
    assert [low.verdict, high.verdict, same.verdict] == ["pass", "miss", "pass"]
    assert low.difference == pytest.approx(-0.8)
    none = not_comparable(subject, "fb_iou", None, None, 60.0, "a paper", "other episodes")
    assert none.difference is None
    assert none.tolerance is None
    assert [low.title, none.title] == ["fold 0 mIoU", "mean FB-IoU"]
    report = Report("printed numbers", (low, high, none), ())
    assert report.missed == (high,)
    assert report.decided == 2


def test_a_tolerance_of_everything_can_be_stated() -> None:
    assert stated_tolerance(100.0) == Tolerance(100.0, 100.0, "stated", "given with --tolerance")
    assert stated_tolerance(0.0).above == 0.0


@pytest.mark.parametrize(
    ("row", "tier"),
    [
        (("ntrenet", "resnet50", "pascal5i"), "trained"),
        (("ntrenet", "resnet101", "coco20i"), "trained"),
        (("mmt", "resnet50", "pascal5i"), "none"),
        (("pfenet", "resnet101", "coco20i"), "trained"),
        (("pfenet", "resnet50", "coco20i"), None),
        (("pfenet", "resnet101", "pascal5i"), None),
        (("hsnet", "resnet50", "pascal5i"), None),
    ],
)
def test_rows_whose_weights_were_not_released(row: tuple[str, str, str], tier: str | None) -> None:
    found = tolerances().unreleased(*row)
    assert (found and found.tier) == tier


def test_a_tier_allows_nothing_that_it_does_not_name() -> None:
    tier = Tier(title="t", source="s")
    assert (tier.fold, tier.mean, tier.er_fold, tier.er_mean) == (None,) * 4
    assert (tier.low_side, tier.rounding, tier.sigmas, tier.s_1shot, tier.s_5shot) == (0.0,) * 5
    assert not Printed(thousands={"default": 1.0}).fixed


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The path of a copy of tolerances.toml that is read instead."""
    shutil.copy(Path(module.__file__).parent / "tolerances.toml", tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "tolerances.py"))
    tolerances.cache_clear()
    yield tmp_path / "tolerances.toml"
    tolerances.cache_clear()


def test_a_damaged_file_is_named(content: Path) -> None:
    text = content.read_text(encoding="utf-8")
    for damaged in ("[exact", text.replace("[exact]", "[exakt]"), None):
        content.unlink()
        if damaged is not None:
            content.write_text(damaged, encoding="utf-8")
        with pytest.raises(BrokenFileError, match=r"tolerances.toml can't be read"):
            tolerances()
        content.write_text(text, encoding="utf-8")
    assert tolerances() is tolerances(), "read once"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [("fb_factor", 0.0, False), ("fb_factor", 0.5, True), ("widest", 0.0, False), ("widest", 0.5, True),
     ("widest", float("nan"), False), ("widest", float("inf"), False)],
)  # fmt: skip
def test_factors_are_above_zero_and_finite(key: str, value: float, allowed: bool) -> None:
    path = Path(module.__file__).parent / "tolerances.toml"
    known = tomllib.loads(path.read_text(encoding="utf-8")) | {key: value}
    if allowed:
        assert getattr(Tolerances.model_validate(known), key) == value
    else:
        with pytest.raises(ValidationError):
            Tolerances.model_validate(known)
