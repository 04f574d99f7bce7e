"""Sample-size planning: the spread of lists of other lengths, from the rows of one or two runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fssbench.comparison.components import components
from fssbench.comparison.influences import class_ious, difference, influences
from fssbench.comparison.plan_text import as_text, sentences
from fssbench.comparison.planned import SamplePlan
from fssbench.comparison.sample_size import _Planning
from fssbench.errors import UsageError

_PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage" / "planning.py"
_SPEC = importlib.util.spec_from_file_location("planning_simulation", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
simulation = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(simulation)


def frames(episodes: int = 200, queries: int = 20, supports: int = 20, seed: int = 0) -> list[pd.DataFrame]:
    return simulation.frames_of(simulation.Population(np.random.default_rng(seed), queries, supports).draw(episodes))


def planned(
    *runs: pd.DataFrame, detect: float = 3.0, power: float = 0.8, alpha: float = 0.05, correlation: float = 0.8
) -> SamplePlan:
    names = ("mine", "theirs")[: len(runs)]
    return _Planning(list(runs), {}, 200, 0).plan(names, "made up, fold 0", detect, power, alpha, correlation, ())


def test_influences_are_the_derivative_of_miou() -> None:
    first = frames(60)[0]
    parts = influences(first, {})
    ious = class_ious(first, parts)
    step = 1e-6
    for place in (0, 7, 31):
        # The episode a little more often.
        (class_id,) = first["classes"][place]
        rows = [n for n, classes in enumerate(first["classes"]) if classes == (class_id,)]
        both, either = (np.array([first[c][n][1] for n in rows], dtype=float) for c in ("intersection", "union"))
        weights = np.array([1.0 + step * (n == place) for n in rows])
        moved = (100.0 * (weights @ both) / (weights @ either) - ious[0, class_id]) / step / len(ious)
        # With the leverage of its image, so that images that pull the mean to themselves do not look typical.
        same = [first["query"][n] == first["query"][place] for n in rows]
        leverage = either[same].sum() / either.sum()
        assert parts[0, class_id][place] == pytest.approx(moved / (1.0 - leverage) ** 0.5, rel=1e-4)


def test_the_spread_is_that_of_the_bootstrap_and_falls_to_a_floor() -> None:
    planning = _Planning(frames(), {}, 1000, 0)
    assert planning.of.variance(200) ** 0.5 == pytest.approx(planning.whole, rel=0.2)
    spreads = [planning.of.variance(n) for n in (50, 200, 1000, 10_000, float("inf"))]
    assert spreads == sorted(spreads, reverse=True)
    # Of 20 query images the images' part stays: four times the episodes do not halve the deviation.
    assert planning.of.floor() > 0.2 * planning.of.variance(200)
    assert planning.of.variance(800) > 0.4 * planning.of.variance(200)
    assert planning.of.pool("query") == pytest.approx(1 / 20, rel=0.3)


def test_images_that_are_seldom_used_twice_set_no_floor() -> None:
    planning = _Planning(frames(100, 10_000, 10_000), {}, 200, 0)
    assert planning.of.floor() == 0.0
    assert planning.of.variance(400) == pytest.approx(planning.of.variance(100) / 4)
    text = " ".join(sentences(planned(*frames(100, 10_000, 10_000))))
    assert "can't be told apart here" in text


def test_more_is_needed_for_less_and_never_enough_below_the_floor() -> None:
    runs = frames()
    found = [planned(*runs, detect=detect).needed for detect in (9.0, 6.0)]
    assert found[0].episodes < found[1].episodes
    assert found[0].per_class == pytest.approx(found[0].episodes / 5)
    at = planned(*runs, detect=6.0)
    planning = _Planning(runs, {}, 200, 0)
    spread = planning.of.variance(at.needed.episodes) ** 0.5
    assert 2.8 * spread < 6.1 < 2.9 * planning.of.variance(at.needed.episodes - 10) ** 0.5 * 1.05
    assert planned(*runs, detect=0.1).needed.why == "images"
    assert "no number of episodes of these images is enough" in sentences(planned(*runs, detect=0.1))[0]
    far = frames(100, 10_000, 10_000)
    assert planned(*far, detect=0.2).needed.why == "far"
    assert planned(*runs, power=0.95).size(200).detectable > planned(*runs, power=0.8).size(200).detectable


def test_one_run_is_held_against_a_copy_of_assumed_correlation() -> None:
    first = frames()[0]
    alike, apart = planned(first, correlation=0.9), planned(first, correlation=0.6)
    assert alike.size(1000).spread == pytest.approx(apart.size(1000).spread / 2)
    assert (alike.difference, alike.other_classes, alike.correlation) == (None, None, 0.9)
    assert "One run cannot tell how alike two methods err" in " ".join(sentences(alike))
    # Two runs that err alike are told apart by fewer episodes than two that do not.
    two = planned(*frames())
    assert 0.5 < two.correlation < 1.0
    assert two.size(1000).detectable < two.unpaired


def test_components_find_what_is_the_query_s() -> None:
    found = []
    for seed in range(100, 104):
        runs = frames(1000, 30, 30, seed)
        parts = [influences(frame, {}) for frame in runs]
        ious = [class_ious(frame, own) for frame, own in zip(runs, parts, strict=True)]
        whole = components(runs[0], difference(*parts), {key: ious[1][key] - iou for key, iou in ious[0].items()})
        found.append(whole.of_one_list())
        assert whole.images(1e9, "query") == pytest.approx(5 * 30, rel=0.2)
    # What pairs of a million episodes of 100,000 images have; of few images whose sizes differ it is somewhat less.
    assert np.mean([one["query"] for one in found]) == pytest.approx(0.37, abs=0.12)
    assert np.mean([one["support"] for one in found]) == pytest.approx(0.06, abs=0.06)
    mixed = runs[0].assign(query=np.random.default_rng(0).permutation(runs[0]["query"]))
    assert components(mixed, parts[0], ious[0]).query.value < 0.1 < components(runs[0], parts[0], ious[0]).query.value


def test_what_shows_no_spread_gives_no_plan() -> None:
    first, second = frames(40)
    with pytest.raises(UsageError, match="differ by the same in all episodes"):
        planned(first, first)
    single = [frame.assign(query=[f"{c[0]}" for c in frame["classes"]]) for frame in (first, second)]
    with pytest.raises(UsageError, match="from 5 query images, counted for each of 5 classes"):
        planned(*single)
    one_class = [frame[[c == (1,) for c in frame["classes"]]].reset_index(drop=True) for frame in frames(400)]
    found = planned(*one_class)
    assert (found.classes, found.between_classes) == (1, None)
    assert "There is one class" in as_text(found, 80)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_text_fits_the_terminal(width: int) -> None:
    lines = as_text(planned(*frames()), width).split("\n")
    assert max(map(len, lines)) <= width
    assert any(line.split()[:1] == ["1,000"] for line in lines)
