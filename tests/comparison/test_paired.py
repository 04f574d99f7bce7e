"""Comparing runs: the numbers, which runs are refused, and what a person reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from fssbench.comparison import Comparison, Duel, Episodes, compare
from fssbench.comparison.paired import _episodes, episode_ious
from fssbench.comparison.render import COLUMNS, render
from fssbench.errors import BrokenFileError, UsageError
from fssbench.metrics.looks import level_of_each
from fssbench.protocols.rules import BaseRule
from fssbench.results import Results, Run, load_run
from fssbench.results.until import Look, Until
from tests.tables.runs import limited, run_of, write_run


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Results]:
    def store(name: str, run: Run | None = None, iou: float = 0.5, answered: int | None = None) -> Results:
        return load_run(write_run(tmp_path / name, run or run_of(episodes=12), iou, answered, spread=0))

    return store


def noisy(results: Results, better: float, seed: int) -> Results:
    """The run with other answers, by chance and by `better` of the union."""
    generator = np.random.default_rng(seed)
    right = np.clip(generator.normal(500 + 1000 * better, 150, len(results.frame)), 0, 1000).astype(int)
    return replace(results, frame=results.frame.assign(intersection=[(1000, int(n)) for n in right]))


def of(duel: Duel, measure: str, fold: int | None):
    return next(its for its in duel.differences if (its.measure, its.fold) == (measure, fold))


def test_differences_are_those_of_the_summaries(stored: Callable[..., Results]) -> None:
    one, other = noisy(stored("a"), 0.0, 1), noisy(stored("b", run_of("asnet", episodes=12)), 0.1, 2)
    comparison = compare([one, other], draws=300)
    (duel,) = comparison.duels
    assert comparison.measures == ("miou", "fb_iou")
    first, second = one.summary(draws=0), other.summary(draws=0)
    for measure in comparison.measures:
        whole = of(duel, measure, None)
        assert (whole.reference, whole.value) == (getattr(first, measure), getattr(second, measure))
        assert whole.difference == whole.value - whole.reference
        assert whole.interval.low < whole.difference < whole.interval.high
        for mine, theirs in zip(first.folds, second.folds, strict=True):
            its = of(duel, measure, mine.fold)
            assert (its.reference, its.value) == pytest.approx((getattr(mine, measure), getattr(theirs, measure)))
    # One method against the reference: nothing to correct.
    assert all(its.p_holm == its.p_value for its in duel.differences)


@pytest.mark.parametrize("places", [(0, 1), (1, 0), (1, 2)])
def test_a_shard_is_refused_by_name(stored: Callable[..., Results], tmp_path: Path, places: tuple[int, int]) -> None:
    run = run_of(episodes=12)
    runs = [
        stored("whole", run),
        stored("part/shard-1-of-2", replace(run, shard=(1, 2))),
        stored("part/shard-2-of-2", replace(run, shard=(2, 2))),
    ]
    with pytest.raises(UsageError, match=r"shard-[12]-of-2 is shard [12]/2 of a run, a part of each list") as refused:
        compare([runs[place] for place in places], draws=10)
    assert refused.value.remedy == f"fssbench merge {tmp_path / 'part'}"


def test_what_is_missing_of_shards_put_together_is_asked_by_the_whole_run(stored: Callable[..., Results]) -> None:
    run = run_of(episodes=12)
    typed = ("fssbench", "eval", "--method", "hsnet", "--out", "a", "--shard", "2/2", "--quiet")
    for words in (typed, (*typed[:6], "--shard=2/2", "--quiet")):
        begun = replace(run, starts=(replace(run.starts[0], command=words),))
        name = f"a{len(words)}"
        with pytest.raises(UsageError, match="is unfinished") as refused:
            compare([stored(name, begun, answered=6), stored(f"{name}-other", run)], draws=10)
        assert refused.value.remedy == "fssbench eval --method hsnet --out a --quiet --resume"


def test_runs_in_two_precisions_are_told_apart_by_name(stored: Callable[..., Results]) -> None:
    exact = run_of(episodes=12)
    runs = [stored("a", exact), stored("b", replace(exact, precision="bfloat16"))]
    comparison = compare(runs, draws=10)
    assert [comparison.reference, comparison.duels[0].name] == ["hsnet resnet50", "hsnet resnet50 bfloat16"]


def test_who_is_compared_with_whom_changes_only_the_sign(stored: Callable[..., Results]) -> None:
    one, other = noisy(stored("a"), 0.0, 1), noisy(stored("b", run_of("asnet", episodes=12)), 0.1, 2)
    forth, back = compare([one, other], draws=300).duels[0], compare([other, one], draws=300).duels[0]
    for there, here in zip(forth.differences, back.differences, strict=True):
        assert there.difference == -here.difference
        assert there.interval.low == pytest.approx(-here.interval.high)
        assert there.p_value == here.p_value
    assert [(its.won, its.lost) for its in forth.episodes] == [(its.lost, its.won) for its in back.episodes]


def test_the_order_of_rows_changes_nothing(stored: Callable[..., Results]) -> None:
    runs = [noisy(stored("a"), 0.0, 1), noisy(stored("b", run_of("asnet", episodes=12)), 0.1, 2)]
    mixed = [replace(its, frame=its.frame.sample(frac=1, random_state=n)) for n, its in enumerate(runs)]
    assert compare(mixed, draws=100) == compare(runs, draws=100)


def test_what_both_find_hard_does_not_widen_the_interval(stored: Callable[..., Results]) -> None:
    one = noisy(stored("a"), 0.0, 1)
    by = [20 + number % 3 for number in range(len(one.frame))]
    counts = zip(one.frame["intersection"], by, strict=True)
    shifted = one.frame.assign(intersection=[(b, max(0, f - each)) for (b, f), each in counts])
    other = replace(stored("b", run_of("asnet", episodes=12)), frame=shifted)
    interval = of(compare([one, other], draws=300).duels[0], "miou", None).interval
    alone = one.summary(draws=300).intervals["miou"]
    assert interval.high - interval.low < 0.1 * (alone.high - alone.low)


def test_a_difference_that_all_queries_agree_on_has_no_interval(stored: Callable[..., Results]) -> None:
    one = noisy(stored("a"), 0.0, 1)
    shifted = one.frame.assign(intersection=[(b, f - 20) for b, f in one.frame["intersection"]])
    duel = compare([one, replace(stored("b", run_of("asnet", episodes=12)), frame=shifted)], draws=100).duels[0]
    for fold, where in ((0, ""), (None, "fold 0: ")):
        its = of(duel, "miou", fold)
        assert its.difference == pytest.approx(-2.0)
        assert its.interval.reason == f"{where}it is the same in all draws of the query images"
        # The test needs no spread: the sign of the difference of each image is swapped.
        assert (its.no_p, its.p_value < 0.05) == ("", True)


def test_holm_corrects_for_all_methods(stored: Callable[..., Results]) -> None:
    one = noisy(stored("a"), 0.0, 1)
    others = [noisy(stored(f"b{n}", run_of(f"m{n}", episodes=12)), 0.05 * n, n + 2) for n in range(3)]
    comparison = compare([one, *others], draws=500)
    values = [of(duel, "miou", None) for duel in comparison.duels]
    ranked = sorted(values, key=lambda its: its.p_value)
    expected = np.minimum(1.0, np.maximum.accumulate([its.p_value * (3 - n) for n, its in enumerate(ranked)]))
    assert [its.p_holm for its in ranked] == pytest.approx(expected.tolist())
    # What a method's numbers are does not depend on whom else they are shown with.
    alone = of(compare([one, others[1]], draws=500).duels[0], "miou", None)
    assert alone.p_value == values[1].p_value
    assert alone.interval == values[1].interval


def test_exact_ratio_is_compared_where_presence_is_asked(stored: Callable[..., Results]) -> None:
    runs = [stored(name, run_of(name, task="fscs", episodes=12)) for name in ("a", "b")]
    assert compare(runs, draws=10).measures == ("miou", "fb_iou", "exact_ratio")


def test_several_runs_are_compared_by_their_means(stored: Callable[..., Results]) -> None:
    pair = []
    for name, seed in (("a", 1), ("b", 2)):
        run = run_of(name, episodes=12)
        run = replace(run, folds=tuple(replace(fold, run_length=6) for fold in run.folds))
        pair.append(noisy(stored(name, run), 0.1 * seed, seed))
    its = of(compare(pair, draws=100).duels[0], "miou", None)
    first, second = (one.summary(draws=0) for one in pair)
    assert len(first.runs) == 2
    assert (its.reference, its.value) == pytest.approx((first.miou, second.miou))


def test_episodes_are_won_by_their_own_iou() -> None:
    frame = pd.DataFrame(
        {
            "intersection": [(9, 1), (9, 0), (9, 0), (9, 3, 1), (9, 3, 0)],
            "union": [(9, 2), (9, 0), (9, 7), (9, 4, 4), (9, 4, 0)],
        }
    )
    assert episode_ious(frame).tolist() == [50.0, 100.0, 0.0, 50.0, 87.5]


def test_won_lost_and_tied(stored: Callable[..., Results]) -> None:
    one, other = stored("a"), stored("b", run_of("asnet", episodes=12))
    answers = [(1000, 400 + 100 * (n % 3)) for n in range(len(other.frame))]
    duel = compare([one, replace(other, frame=other.frame.assign(intersection=answers))], draws=10).duels[0]
    assert duel.episodes == (*(Episodes(fold, 4, 4, 4) for fold in range(4)), Episodes(None, 16, 16, 16))


OTHERS: dict[str, tuple[Callable[[Run], Run], str, str]] = {
    "lists": (lambda run: replace(run, folds=run_of(lists="b", episodes=12).folds), "episode list of fold 0", "eval"),
    "data": (lambda run: replace(run, dataset=replace(run.dataset, fingerprint="x")), "data fingerprint", "eval"),
    "size": (
        lambda run: replace(run, protocol=replace(run.protocol, score_at="input")), "scoring size: original", "eval",
    ),
    "task": (lambda run: replace(run, method=replace(run.method, task="fscs")), "task: fss in", "eval"),
    "folds": (lambda run: replace(run, folds=run.folds[:1]), r"folds: \[0, 1, 2, 3\]", "eval"),
    "shots": (lambda run: replace(run, shot=5), "shots: 1 in", "eval"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told", "mend"), OTHERS.values(), ids=OTHERS.keys())
def test_runs_that_were_asked_or_counted_otherwise_are_refused(
    stored: Callable[..., Results], change: Callable[[Run], Run], told: str, mend: str
) -> None:
    one, other = stored("a"), stored("b", change(run_of("asnet", episodes=12)))
    with pytest.raises(UsageError, match=told) as error:
        compare([one, other])
    assert error.value.exit_code == 2
    assert str(one.folder) in error.value.message
    assert str(other.folder) in error.value.message
    assert (error.value.remedy or "").startswith(f"fssbench {mend} --method asnet --dataset shapes20i")
    assert f"{one.folder}/episodes-fold{{fold}}.json" in (error.value.remedy or "")


def test_unfinished_runs_and_the_same_run_twice_are_refused(stored: Callable[..., Results]) -> None:
    whole, part = stored("a"), stored("b", answered=3)
    with pytest.raises(UsageError, match="unfinished: 36 of 48 episodes are missing") as error:
        compare([whole, part])
    assert "--resume" in (error.value.remedy or "")
    with pytest.raises(UsageError, match="given twice"):
        compare([whole, load_run(f"{whole.folder}/../a")])
    with pytest.raises(UsageError, match="two runs or more"):
        compare([whole])


def test_changed_rows_are_refused(stored: Callable[..., Results]) -> None:
    one, other = stored("a"), stored("b", run_of("asnet", episodes=12))
    changed = other.frame.assign(query=["else", *other.frame["query"][1:]])
    with pytest.raises(BrokenFileError, match="fold 0, episode 0 has another query"):
        compare([one, replace(other, frame=changed)])


def test_parts_of_the_same_lists_are_compared_where_they_meet(stored: Callable[..., Results]) -> None:
    one, other = noisy(stored("a"), 0.0, 1), stored("b", limited(run_of("asnet", episodes=12), 8))
    comparison = compare([one, other], draws=50)
    assert [its.won + its.lost + its.tied for its in comparison.duels[0].episodes] == [8, 8, 8, 8, 32]
    (note,) = comparison.notes
    assert " has all; " in note
    assert "only the first 8" in note
    both = compare([stored("c", limited(run_of(episodes=12), 8)), other], draws=50)
    assert both.notes == ("--limit: only the first 8 episodes of each list were evaluated",)


@pytest.fixture
def comparison(stored: Callable[..., Results]) -> Comparison:
    runs = [noisy(stored(n, run_of(m, episodes=12)), b, s) for n, m, b, s in
            (("a", "hsnet", 0.0, 1), ("b", "asnet", 0.1, 2), ("c", "x|y\x1b[31m", 0.2, 3))]  # fmt: skip
    return compare(runs, draws=200)


def test_csv_has_a_line_per_number(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 2 * 2 * 5
    its = of(comparison.duels[0], "miou", None)
    row = next(r for r in rows if (r["method"], r["measure"], r["fold"]) == ("asnet resnet50", "miou", "mean"))
    assert (float(row["difference"]), float(row["low"])) == pytest.approx((its.difference, its.interval.low), abs=1e-4)
    assert int(row["won"]) + int(row["lost"]) + int(row["tied"]) == 48


def test_json_holds_everything(comparison: Comparison) -> None:
    record = json.loads(render(comparison, "json"))
    assert record["draws"] == 200
    assert record["duels"][1]["differences"][0]["p_holm"] == comparison.duels[1].differences[0].p_holm


@pytest.mark.parametrize("form", ["terminal", "markdown"])
def test_text_shows_the_numbers_and_no_foreign_control(comparison: Comparison, form: str) -> None:
    text = render(comparison, form)
    its = of(comparison.duels[0], "miou", None)
    assert f"{its.difference:+.2f}" in text
    assert f"{its.interval.low:+.2f} to {its.interval.high:+.2f}" in text
    assert "Holm" in text
    assert "\x1b" not in text
    if form == "terminal":
        # Folders are the user's: the tables below fit a terminal.
        assert max(len(line) for line in text.splitlines() if not line.startswith(("reference", "asnet", "x|y"))) <= 100
    else:
        assert "x\\|y" in text
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) == 1


def counting_base(results: Results, base: tuple[tuple[int, int, int, int], ...]) -> Results:
    rule = BaseRule("together")
    run = replace(results.run, protocol=replace(results.run.protocol, base=rule))
    return replace(results, run=run, frame=results.frame.assign(base=[base] * len(results.frame)))


@pytest.mark.parametrize("reversed_", [False, True])
def test_a_base_class_that_no_label_holds_is_no_class_of_the_mean(
    stored: Callable[..., Results], reversed_: bool
) -> None:
    one = counting_base(stored("a"), ((9, 50, 100, 60),))
    # Class 10 is in answers of one run alone, never in a label.
    other = counting_base(stored("b", run_of("asnet", episodes=12)), ((9, 60, 100, 60), (10, 0, 40, 0)))
    duel = compare([other, one] if reversed_ else [one, other], draws=10).duels[0]
    sign = -1 if reversed_ else 1
    # 50 and 60 % of class 9; with the two novel classes of a fold, 50 % each, means of three.
    assert of(duel, "base_miou", None).difference == pytest.approx(sign * 10.0)
    assert of(duel, "total_miou", None).difference == pytest.approx(sign * 10.0 / 3)
    assert {of(duel, "base_miou", 0).reference, of(duel, "base_miou", 0).value} == {50.0, 60.0}


def test_what_only_the_order_of_additions_makes_is_a_tie(stored: Callable[..., Results]) -> None:
    run = run_of(episodes=12)
    ways = [(0.1, 0.2, 0.3), (0.3, 0.2, 0.1)]
    pair = []
    for name, shares in zip(("a", "b"), ways, strict=True):
        frame = stored(name, replace(run, way=3)).frame
        counts = (1000, *(round(share * 1000) for share in shares))
        frame = frame.assign(
            classes=[(1, 2, 3)] * len(frame), intersection=[counts] * len(frame), union=[(1000,) * 4] * len(frame)
        )
        pair.append(frame)
    margins = episode_ious(pair[1]) - episode_ious(pair[0])
    assert 0 < abs(margins).max() < 1e-9
    for order in (pair, pair[::-1]):
        assert {(each.won, each.lost, each.tied) for each in _episodes(*order)} == {(0, 0, 12), (0, 0, 48)}


@pytest.mark.parametrize(("draws", "level"), [(0, 0.95), (10, 0.0), (10, 1.0), (10, float("nan"))])
def test_draws_and_levels_that_there_are_not(stored: Callable[..., Results], draws: int, level: float) -> None:
    with pytest.raises(UsageError, match="draws are 1 or more and a level is between 0 and 1"):
        compare([stored("a"), stored("b")], draws=draws, level=level)


def moved(results: Results, *correct: int) -> Results:
    """The run with so many of 1000 pixels right, in turn for each class of a fold."""
    answers = [(1000, correct[int(episode) // 2 % len(correct)]) for episode in results.frame["episode"]]
    return replace(results, frame=results.frame.assign(intersection=answers))


@pytest.mark.parametrize("count", [2, 3])
def test_folds_of_a_difference_are_drawn_apart_and_known_better_together(
    stored: Callable[..., Results], count: int
) -> None:
    folds = tuple(range(count))
    one = moved(stored("a", run_of(folds=folds, episodes=6)), 500)
    other = moved(stored("b", run_of("asnet", folds=folds, episodes=6)), 500, 530, 560)
    duel = compare([one, other], draws=4000).duels[0]
    assert [each.fold for each in duel.differences if each.measure == "miou"] == [*folds, None]
    assert [each.fold for each in duel.episodes] == [*folds, None]
    # Of a class three queries, 3 points apart: 3 / √3; of two classes over √2. Four degrees of freedom a fold.
    for fold in (*folds, None):
        folds_of_it = count if fold is None else 1
        bounds = of(duel, "miou", fold).interval
        spread = 3 / np.sqrt(6 * folds_of_it)
        expected = scipy.stats.t.ppf(0.975, 4 * folds_of_it) * spread
        assert (bounds.high - bounds.low) / 2 == pytest.approx(expected, rel=0.05)


def test_a_seed_decides_draws_and_swaps(stored: Callable[..., Results]) -> None:
    runs = [noisy(stored("a"), 0.0, 1), noisy(stored("b", run_of("asnet", episodes=12)), 0.02, 2)]
    first, again, other = (of(compare(runs, draws=200, seed=seed).duels[0], "miou", 0) for seed in (0, 0, 1))
    assert first == again
    assert first.interval != other.interval
    p_values = {of(compare(runs, draws=200, seed=seed).duels[0], "miou", 0).p_value for seed in range(4)}
    assert len(p_values) > 1


def test_a_class_without_a_pixel_is_said(stored: Callable[..., Results]) -> None:
    runs = [noisy(stored(name, run_of(name, episodes=12)), 0.0, 1) for name in ("hsnet", "asnet")]
    truth = [(row not in ((3,), (4,)),) for row in runs[0].frame["classes"]]
    changed = [replace(run, frame=run.frame.assign(truth=truth)) for run in runs]
    (note,) = set(compare(changed, draws=2).notes) - set(compare(runs, draws=2).notes)
    assert note == "no query of fold 1 has a pixel of classes 3, 4, which counts 0 in the mIoU of every method"


def test_one_fold_has_no_mean_over_folds(stored: Callable[..., Results]) -> None:
    runs = [stored(name, run_of(name, folds=(2,), episodes=6)) for name in ("hsnet", "asnet")]
    duel = compare(runs, draws=10).duels[0]
    assert [each.fold for each in duel.episodes] == [2]
    assert {each.fold for each in duel.differences} == {2}


def test_a_comparison_names_its_runs_and_lists(stored: Callable[..., Results]) -> None:
    one, other = stored("a"), stored("b", run_of("asnet", episodes=12))
    comparison = compare([one, other], draws=1)
    assert (comparison.folder, comparison.duels[0].folder) == (str(one.folder), str(other.folder))
    # Queries have the same names in all folds here.
    assert comparison.title == "shapes20i, 1-way 1-shot, 48 episodes, 12 query images"
    assert comparison.draws == 1
    inside, its = (replace(each, folder=None) for each in (one, other))
    titled = replace(inside, run=replace(inside.run, dataset=replace(inside.run.dataset, title="Shapes-20i")))
    unstored = compare([titled, its], draws=1)
    assert (unstored.folder, unstored.duels[0].folder) == ("", "")
    assert unstored.title.startswith("Shapes-20i, 1-way")


def test_the_seed_is_0_unless_another_is_given(stored: Callable[..., Results]) -> None:
    runs = [noisy(stored("a"), 0.0, 1), noisy(stored("b", run_of("asnet", episodes=12)), 0.02, 2)]
    assert compare(runs, draws=20) == compare(runs, draws=20, seed=0) != compare(runs, draws=20, seed=1)


def test_each_fold_has_base_classes_of_its_own(stored: Callable[..., Results]) -> None:
    pair = []
    for name, right in (("hsnet", (50, 20)), ("asnet", (60, 60))):
        run = run_of(name, folds=(0, 1), episodes=4)
        base = [((9 + fold, right[fold], 100, 80),) for fold in (0, 1) for _ in range(4)]
        stored_run = counting_base(stored(name, run), ())
        pair.append(replace(stored_run, frame=stored_run.frame.assign(base=base)))
    duel = compare(pair, draws=2).duels[0]
    assert [of(duel, "base_miou", fold).difference for fold in (0, 1)] == pytest.approx([10.0, 40.0])


def test_runs_that_ended_by_what_they_showed_say_what_levels_mean(stored: Callable[..., Results]) -> None:
    rule = Until(1.0, (4, 8, 12), level_of_each((4, 8, 12), 0.95), looks=(Look(4, 50.0, 0.5),), stopped="narrow")
    one, other = stored("a"), stored("b", run_of("asnet", episodes=12))
    ended = [replace(each, run=replace(each.run, until=rule)) for each in (one, other)]
    found = compare(ended, draws=2)
    # Pocock's constant of three equally spaced looks is 2.289, to three digits (Jennison and Turnbull 2000, table 2.1).
    assert found.level == pytest.approx(1 - 2 * scipy.stats.norm.sf(2.289), abs=3e-5)
    assert (
        "--until: the data decided how many episodes were evaluated. Intervals are of 97.79 % each, so that those of "
        "all looks together hold in 95 %; p ≤ 0.0221 is what p ≤ 0.05 is elsewhere"
    ) in found.notes
