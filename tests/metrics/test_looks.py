"""The looks of `fssbench eval --until`: their level keeps the coverage that looking several times would cost."""

from __future__ import annotations

from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest

from fssbench.errors import UsageError
from fssbench.metrics.looks import level_of_each, schedule_of
from fssbench.planning.until import until_of
from fssbench.results.until import Look, Until, decided_by_data


def rule(episodes: int = 1000, classes: int = 5) -> Until:
    """The rule of a list, as `fssbench eval --until` makes it."""

    class Listed(list[SimpleNamespace]):
        fold, way, run_length, references, absent = 0, 1, None, None, None

    listed = Listed(SimpleNamespace(classes=(number % classes,)) for number in range(episodes))
    return until_of(0.5, [listed])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("looks", "critical"), [(1, 1.960), (2, 2.178), (3, 2.289), (5, 2.413), (10, 2.555), (20, 2.672)]
)
def test_the_level_is_that_of_pocock_s_table(looks: int, critical: float) -> None:
    # Jennison and Turnbull, Group Sequential Methods, 2000, table 2.1, α = 5 %.
    level = level_of_each(tuple(range(1, looks + 1)), 0.95)
    assert NormalDist().inv_cdf(0.5 + level / 2) == pytest.approx(critical, abs=0.0006)


def test_looks_grow_and_end_at_the_end() -> None:
    assert schedule_of(1000, 100) == (100, 150, 225, 338, 507, 761, 1000)
    assert schedule_of(110, 100) == (110,)
    assert schedule_of(50, 100) == (50,)
    for last in (121, 1000, 9999):
        looks = schedule_of(last, 100)
        assert looks[0] == 100
        assert looks[-1] == last
        assert looks[-1] >= 1.2 * looks[-2]


@pytest.mark.parametrize("end", ["narrow", "any reason"])
def test_coverage_is_kept_where_naive_peeking_loses_it(end: str) -> None:
    """Fails if the correction is dropped: `until_of` decides the level that is simulated."""
    found = rule()
    generator, lists = np.random.default_rng(0), 2000
    # Episodes with a long tail, whose spread and mean go together as those of small and large objects do.
    episodes = 1.0 - generator.exponential(1.0, (lists, found.schedule[-1])) ** 1.25
    truth = 1.0 - 1.1330030963193478  # Γ(2.25)
    shares = {}
    for name, level in (("naive", 0.95), ("corrected", found.level_of_each)):
        critical = NormalDist().inv_cdf(0.5 + level / 2)
        held, widths = [], []
        for number in found.schedule:
            part = episodes[:, :number]
            widths.append(critical * part.std(axis=1, ddof=1) / number**0.5)
            held.append(np.abs(part.mean(axis=1) - truth) <= widths[-1])
        narrow = np.array(widths) <= np.median(widths[2])
        narrow[-1] = True
        ends = narrow.argmax(axis=0)
        shares[name] = np.array(held)[ends, np.arange(lists)] if end == "narrow" else np.array(held).all(axis=0)
    # The long tail costs two points at every look, whatever is done.
    assert shares["corrected"].mean() >= (0.95 if end == "narrow" else 0.92)
    assert shares["naive"].mean() < (0.93 if end == "narrow" else 0.82)


def test_the_correction_is_part_of_the_record() -> None:
    found = rule()
    assert found.level_of_each == level_of_each(found.schedule, 0.95) > 0.98
    with pytest.raises(ValueError, match="do not fit"):
        Until(0.5, found.schedule, 0.95)
    with pytest.raises(ValueError, match="do not fit"):
        Until(0.5, found.schedule, found.level_of_each, looks=(Look(99, 50.0, 1.0),))
    for schedule in ((), (0, 1), (2, 1), (1, 10**400), tuple(range(1, 1000))):
        with pytest.raises(ValueError, match="do not fit"):
            Until(0.5, schedule, 0.99)
    assert decided_by_data([None, None], 0.95) == 0.95
    assert decided_by_data([None, found], 0.95) == found.level_of_each
    other = rule(700)
    assert decided_by_data([other, found], 0.95) > max(found.level_of_each, other.level_of_each)


def test_a_list_that_is_too_short_for_a_look_is_refused() -> None:
    with pytest.raises(UsageError, match="after 100 episodes of each fold"):
        rule(110)
    with pytest.raises(UsageError, match="above 0 and below 50"):
        until_of(float("nan"), [])
