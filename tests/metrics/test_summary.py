"""Numbers from rows, against the releases' definitions and against a bootstrap written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from fssbench.errors import UsageError
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.metrics.summary import DRAWS, NOT_DRAWN, Interval, summarise, summary_of, totals_together

CLASSES = (6, 7, 8, 9, 10)


def random_rows(way: int, count: int = 120, fold: int = 1, seed: int = 0) -> pd.DataFrame:
    """Rows of random answers, whose queries come round again."""
    generator = np.random.default_rng(seed)
    rows = []
    for episode in range(count):
        union = generator.integers(50, 4000, way + 1)
        intersection = (union * generator.random(way + 1)).astype(int)
        truth = generator.random(way) < 0.6
        said = truth ^ (generator.random(way) < 0.3)
        rows.append(
            {
                "episode": episode,
                "fold": fold,
                "query": f"image{episode % 40}",
                "classes": tuple(int(c) for c in generator.permutation(CLASSES)[:way]),
                "intersection": tuple(intersection.tolist()),
                "union": tuple(union.tolist()),
                "present": tuple(said.tolist()),
                "truth": tuple(truth.tolist()),
            }
        )
    return pd.DataFrame(rows)


def released_fss(frame: pd.DataFrame, classes: tuple[int, ...]) -> tuple[float, float]:
    """HSNet and fs-s: two buffers [background, foreground] x classes, float32."""
    intersection, union = torch.zeros(2, 21), torch.zeros(2, 21)
    for row in frame.itertuples():
        place = torch.tensor([row.classes[0]])
        intersection.index_add_(1, place, torch.tensor(row.intersection, dtype=torch.float32)[:, None])
        union.index_add_(1, place, torch.tensor(row.union, dtype=torch.float32)[:, None])
    ratios = (intersection / union.clamp(min=1))[:, list(classes)]
    parts = intersection[:, list(classes)].sum(dim=1) / union[:, list(classes)].sum(dim=1)
    return float(ratios[1].mean() * 100), float(parts.mean() * 100)


def released_fscs(frame: pd.DataFrame, classes: tuple[int, ...]) -> tuple[float, float, float]:
    """fs-cs: one buffer over background and all classes; FB-IoU as its source has it, commented out; exact ratio."""
    intersection, union = torch.zeros(21), torch.zeros(21)
    exact = 0.0
    for row in frame.itertuples():
        places = torch.tensor([0, *row.classes])
        intersection.scatter_add_(0, places, torch.tensor(row.intersection, dtype=torch.float32))
        union.scatter_add_(0, places, torch.tensor(row.union, dtype=torch.float32))
        exact += float(torch.all(torch.tensor(row.present) == torch.tensor(row.truth)))
    both, either = intersection[list(classes)], union[list(classes)]
    parts = (both.sum() / either.sum() + intersection[0] / union[0]) / 2
    return float((both / either.clamp(min=1)).mean() * 100), float(parts * 100), exact / len(frame) * 100


@pytest.mark.parametrize("seed", range(5))
def test_one_way_equals_the_release(seed: int) -> None:
    frame = random_rows(1, seed=seed)
    summary = summarise(frame, CLASSES)
    assert (summary.miou, summary.fb_iou) == pytest.approx(released_fss(frame, CLASSES), rel=1e-6)


@pytest.mark.parametrize("way", [1, 2, 5])
def test_many_ways_equal_the_release(way: int) -> None:
    frame = random_rows(way)
    summary = summarise(frame, CLASSES)
    got = (summary.miou, summary.fb_iou, summary.exact_ratio)
    assert got == pytest.approx(released_fscs(frame, CLASSES), rel=1e-6)


def test_a_class_never_asked_counts_0_if_it_is_named() -> None:
    frame = random_rows(1)
    frame = frame[[row != (8,) for row in frame["classes"]]]
    asked, all_five = summarise(frame, draws=0), summarise(frame, CLASSES, draws=0)
    assert all_five.miou == pytest.approx(released_fss(frame, CLASSES)[0], rel=1e-6)
    assert asked.miou == pytest.approx(all_five.miou * 5 / 4)
    assert asked.folds[0].classes == all_five.folds[0].asked == (6, 7, 9, 10)
    assert asked.intervals == {}


def test_sums_come_before_the_ratio() -> None:
    frame = random_rows(1, count=2).assign(classes=[(6,), (6,)], intersection=[(5, 1), (5, 9)], union=[(9, 2), (9, 98)])
    summary = summarise(frame)
    assert summary.miou == pytest.approx(100 * 10 / 100)
    table = summary.per_class
    assert table[["fold", "class_id", "episodes", "intersection", "union"]].to_numpy().tolist() == [[1, 6, 2, 10, 100]]


def test_folds_are_averaged_plainly() -> None:
    first, second = random_rows(1, count=30, fold=0), random_rows(1, count=90, fold=3, seed=1)
    summary = summarise(pd.concat([first, second]))
    apart = [summarise(frame) for frame in (first, second)]
    assert [fold.fold for fold in summary.folds] == [0, 3]
    for name in ("miou", "fb_iou", "exact_ratio"):
        assert getattr(summary, name) == pytest.approx(np.mean([getattr(fold, name) for fold in apart]))
        # The mean of two folds is known better than either.
        widths = [each.intervals[name].high - each.intervals[name].low for each in (summary, *apart)]
        assert widths[0] < max(widths[1:])
    assert summary.folds[1].intervals == apart[1].intervals


@pytest.mark.parametrize("way", [1, 3])
def test_the_order_of_rows_changes_no_digit(way: int) -> None:
    frame = random_rows(way)
    one, other = summarise(frame), summarise(frame.sample(frac=1, random_state=3))
    assert (one.miou, one.fb_iou, one.exact_ratio) == (other.miou, other.fb_iou, other.exact_ratio)
    assert one.intervals == other.intervals


def drawn_anew(frame: pd.DataFrame, draws: int) -> dict[str, list[float]]:
    """The bootstrap written out for one way: queries drawn within each class, all their episodes with them."""
    generator = np.random.default_rng(99)
    groups = [
        [episodes for _, episodes in group.groupby("query")] for _, group in frame.groupby(frame["classes"].map(str))
    ]
    found: dict[str, list[float]] = {"miou": [], "fb_iou": []}
    for _ in range(draws):
        picked = [group[i] for group in groups for i in generator.integers(0, len(group), len(group))]
        summary = summarise(pd.concat(picked), CLASSES, draws=0)
        found["miou"].append(summary.miou)
        found["fb_iou"].append(summary.fb_iou)
    return found


def test_intervals_equal_those_of_a_bootstrap_written_out() -> None:
    frame = random_rows(1)
    summary = summarise(frame, CLASSES)
    clusters = len(set(zip(frame["classes"], frame["query"], strict=True)))
    for name, values in drawn_anew(frame, 300).items():
        interval = summary.intervals[name]
        assert (interval.low + interval.high) / 2 == pytest.approx(getattr(summary, name))
        # n draws of n spread less than n - 1 of n, here about 20 of them.
        reach = scipy.stats.t.ppf(0.975, clusters - len(CLASSES)) * np.std(values) * np.sqrt(20 / 19)
        assert interval.high - interval.low == pytest.approx(2 * reach, rel=0.15)


def test_episodes_of_one_query_are_not_independent() -> None:
    frame = random_rows(1, count=40)
    again = pd.concat([frame] * 3).assign(episode=range(120))
    for name, interval in summarise(again).intervals.items():
        once = summarise(frame).intervals[name]
        assert (interval.low, interval.high) == pytest.approx((once.low, once.high), rel=1e-12)


def test_many_ways_draw_queries_of_the_whole_fold() -> None:
    frame = random_rows(2, count=200).assign(query=[f"image{i}" for i in range(200)])
    right = [p == t for p, t in zip(frame["present"], frame["truth"], strict=True)]
    summary = summarise(frame)
    share = np.mean(right)
    expected = 100 * 1.96 * np.sqrt(share * (1 - share) / 200)
    interval = summary.intervals["exact_ratio"]
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.15)


def test_large_sums_are_exact() -> None:
    large = 3 * 2**52 + 1
    frame = random_rows(1, count=2).assign(
        classes=[(6,), (6,)], intersection=[(1, 1), (1, 0)], union=[(1, large), (1, 2)]
    )
    assert summarise(frame, draws=0).per_class["union"].tolist() == [large + 2]


@pytest.mark.parametrize("pixels", [2**62, 10**30])
def test_sums_that_64_bits_do_not_hold_are_refused(pixels: int) -> None:
    row = {"fold": 0, "query": "a", "classes": (1,), "present": (True,), "truth": (True,)}
    counts = {"intersection": (1, pixels), "union": (1, pixels)}
    with pytest.raises(UsageError, match="more than images can have"):
        summarise(pd.DataFrame([row | counts] * 3))
    base = {"intersection": (1, 1), "union": (1, 1), "base": ((5, pixels, pixels, pixels),)}
    with pytest.raises(UsageError, match="more than images can have"):
        summarise(pd.DataFrame([row | base] * 3))


def test_what_does_not_fit_is_refused() -> None:
    frame = random_rows(1)
    with pytest.raises(UsageError, match="no episode"):
        summarise(frame.iloc[:0])
    with pytest.raises(UsageError, match="'truth'"):
        summarise(frame.drop(columns="truth"))
    with pytest.raises(UsageError, match="class 8, which is not among"):
        summarise(frame, (6, 7, 9, 10))
    with pytest.raises(UsageError, match="classes of each"):
        summarise(pd.concat([frame, frame.assign(fold=2)]), CLASSES)
    with pytest.raises(UsageError, match="fold 1, but `classes` has no classes"):
        summarise(frame, {0: CLASSES})
    with pytest.raises(UsageError, match="another number"):
        summarise(frame.assign(union=[(1, 2, 3)] * len(frame)))


@pytest.mark.parametrize(
    ("draws", "level"), [(-1, 0.95), (10, 0.0), (10, 1.0), (10, -0.1), (10, 1.5), (10, float("nan"))]
)
def test_numbers_of_draws_and_levels_that_there_are_not(draws: int, level: float) -> None:
    with pytest.raises(UsageError, match="draws are 0 or more and a level is between 0 and 1"):
        summarise(random_rows(1, count=10), draws=draws, level=level)


def half(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def answers(*correct: int, fold: int = 0, class_id: int = 1, union: int = 100) -> pd.DataFrame:
    """Rows of one class, a query each, with so many pixels right."""
    return pd.DataFrame(
        [
            {
                "episode": number,
                "fold": fold,
                "query": f"q{number}",
                "classes": (class_id,),
                "intersection": (50, right),
                "union": (50, union),
                "present": (True,),
                "truth": (True,),
            }
            for number, right in enumerate(correct)
        ]
    )


def test_folds_are_drawn_apart_from_each_other() -> None:
    # Two folds alike in all but their number: the spread of the mean is that of one over √2.
    one = random_rows(1, count=80, fold=0)
    freedom = len(set(zip(one["classes"], one["query"], strict=True))) - len(CLASSES)
    summary = summarise(pd.concat([one, one.assign(fold=1)]))
    single = summary.folds[0].intervals["miou"]
    spread = half(single) / scipy.stats.t.ppf(0.975, freedom)
    assert half(summary.intervals["miou"]) == pytest.approx(
        scipy.stats.t.ppf(0.975, 2 * freedom) * spread / np.sqrt(2), rel=0.03
    )
    assert single != summary.folds[1].intervals["miou"]


def test_folds_of_few_queries_are_known_better_together() -> None:
    frames = [answers(50, 52, 54, fold=fold) for fold in range(4)]
    summary = summarise(pd.concat(frames))
    # s / √n with n - 1: 2 / √3; of four such folds half as much. Degrees of freedom add up: 2 each, 8 together.
    assert half(summary.folds[0].intervals["miou"]) == pytest.approx(scipy.stats.t.ppf(0.975, 2) * 2 / 3**0.5, rel=0.03)
    assert half(summary.intervals["miou"]) == pytest.approx(scipy.stats.t.ppf(0.975, 8) / 3**0.5, rel=0.03)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_a_level_is_what_student_gives_for_it(level: float) -> None:
    summary = summarise(answers(50, 52, 54), level=level)
    expected = scipy.stats.t.ppf(0.5 + level / 2, 2) * 2 / 3**0.5
    assert half(summary.intervals["miou"]) == pytest.approx(expected, rel=0.03)
    table = summary.per_class.iloc[0]
    assert half(Interval(table["low"], table["high"])) == pytest.approx(expected, rel=0.03)


def test_how_sure_a_class_is_depends_on_its_own_queries() -> None:
    few, many = answers(40, 50, 60), answers(*range(20, 80), class_id=2)
    many["query"] = [f"p{number}" for number in range(len(many))]
    together = summarise(pd.concat([few, many]), draws=500).per_class.set_index("class_id")
    for class_id, alone in ((1, few), (2, many)):
        row, freedom = together.loc[class_id], len(alone) - 1
        spread = np.std([right for _, right in alone["intersection"]], ddof=1) / np.sqrt(len(alone))
        expected = scipy.stats.t.ppf(0.975, freedom) * spread
        assert half(Interval(row["low"], row["high"])) == pytest.approx(expected, rel=0.12)


def test_classes_may_be_given_in_any_order() -> None:
    frame = random_rows(1)
    rising = summarise(frame, CLASSES, draws=50)
    for given in (CLASSES[::-1], {1: (9, 7, 6, 10, 8)}):
        summary = summarise(frame, given, draws=50)
        assert summary.folds[0].classes == CLASSES
        assert summary.per_class.equals(rising.per_class)
        assert summary.intervals == rising.intervals


def test_episodes_of_several_ways_belong_to_no_one_class() -> None:
    # Drawn within the class that is asked first, what is left over would differ.
    frame = random_rows(2, count=60)
    turned = frame.assign(
        classes=[row[::-1] for row in frame["classes"]],
        **{name: [(b, y, x) for b, x, y in frame[name]] for name in ("intersection", "union")},
        **{name: [row[::-1] for row in frame[name]] for name in ("present", "truth")},
    )
    one, other = summarise(frame, draws=100), summarise(turned, draws=100)
    assert one.intervals == other.intervals
    assert one.per_class.equals(other.per_class)


@pytest.mark.parametrize("count", [0, 1])
def test_draws_may_be_as_few_as_none(count: int) -> None:
    assert set(summarise(random_rows(1), draws=count).intervals) == {"miou", "fb_iou", "exact_ratio"} - (
        set() if count else {"miou", "fb_iou", "exact_ratio"}
    )


def test_a_number_that_one_fold_lacks_has_no_mean() -> None:
    frame = pd.concat([answers(50, 60, 70, 80, fold=fold) for fold in (0, 1)], ignore_index=True)
    base = [((7, 10, 20, 20),) if fold == 0 else None for fold in frame["fold"]]
    for run_length in (None, 2):
        summary = summarise(frame.assign(base=base), run_length=run_length, draws=20)
        assert [fold.base_miou for fold in summary.folds] == [50.0, None]
        assert summary.base_miou is None
        assert [run.base_miou for run in summary.runs] == [None] * (2 if run_length else 0)
        assert "base_miou" in summary.folds[0].intervals
        assert "base_miou" not in summary.intervals


@pytest.mark.parametrize(("pixels", "refused"), [(2**62 - 1, False), (2**62, True)])
def test_the_largest_sum_that_is_counted(pixels: int, refused: bool) -> None:
    frame = answers(1).assign(union=[(0, pixels)], intersection=[(0, pixels)])
    if not refused:
        assert summarise(frame, draws=0).per_class["union"].tolist() == [pixels]
        return
    with pytest.raises(UsageError, match="more than images can have"):
        summarise(frame, draws=0)


def test_the_draws_are_those_that_the_documentation_names() -> None:
    text = (Path(__file__).parents[2] / "docs/statistics.md").read_text(encoding="utf-8")
    assert f"bootstrap of {DRAWS:,} draws" in text


def test_without_a_seed_draws_are_those_of_seed_0() -> None:
    frame = random_rows(1)
    folds = count_folds(frame, CountingRules())
    zero, one = (summarise(frame, draws=50, seed=seed).intervals for seed in (0, 1))
    assert zero != one
    assert summarise(frame, draws=50).intervals == zero
    assert summary_of(folds, draws=50).intervals == zero
    (totals,) = totals_together([folds], 50)
    (same,) = totals_together([folds], 50, seed=0)
    assert totals[0] is not None
    assert same[0] is not None
    assert np.array_equal(totals[0], same[0])


def test_runs_that_are_drawn_together_have_the_draws_that_each_has_alone() -> None:
    many = [count_folds(pd.concat([random_rows(1, fold=fold, seed=seed) for fold in (0, 1)]), CountingRules())
            for seed in (0, 1)]  # fmt: skip
    for folds, totals in zip(many, totals_together(many, 50, seed=3), strict=True):
        assert [total is None for total in totals] == [False, False]
        alone, together = (summary_of(folds, draws=50, seed=3, totals=known) for known in ((), totals))
        assert [fold.intervals for fold in together.folds] == [fold.intervals for fold in alone.folds]
        assert together.intervals == alone.intervals


def test_a_list_of_several_runs_is_not_drawn_together_with_others() -> None:
    folds = count_folds(random_rows(1), CountingRules(run_length=60))
    assert len(folds[0].runs) == 2
    assert totals_together([folds], 50) == [[None]]


def test_without_draws_no_class_has_an_interval() -> None:
    table = summarise(random_rows(1), draws=0).per_class
    assert set(table["no_interval"]) == {NOT_DRAWN}
    assert table["low"].isna().all()


def test_novel_and_base_classes_were_predicted_apart_unless_it_is_said() -> None:
    frame = random_rows(1).assign(base=[((11, 5, 20, 10),)] * 120)
    assert summarise(frame, draws=0).total_miou is None
    assert summarise(frame, draws=0, generalised=True).total_miou is not None


def test_why_a_class_has_no_interval() -> None:
    seen, unseen = answers(30, 60, 40, 50, 45, 55), answers(0, class_id=2, union=0).assign(query="last")
    once = answers(10, class_id=3).assign(query="other")
    table = summarise(pd.concat([seen, unseen, once]), draws=50).per_class
    assert table["no_interval"].tolist() == [
        "",
        "no query image has a pixel of it",
        "one query image has a pixel of it",
    ]
    both = summarise(pd.concat([seen, answers(30, 60, fold=1)]), draws=50).per_class
    assert both.index.tolist() == [0, 1]


def test_why_a_fold_has_no_interval() -> None:
    apart = pd.concat([answers(30), answers(60, class_id=2).assign(query="other")])
    assert summarise(answers(30), draws=50).intervals["miou"].reason == "there is one query image"
    alone = summarise(apart, draws=50)
    assert alone.intervals["miou"].reason == "no class has two query images"
    assert alone.per_class["no_interval"].tolist() == ["one query image has a pixel of it"] * 2
