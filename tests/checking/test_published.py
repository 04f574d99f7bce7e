"""Runs against printed numbers: which row answers, and which tolerance applies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.checking import Check, Report, report_of, stated_tolerance
from fssbench.checking.against_published import against_published
from fssbench.checking.measured import measured
from fssbench.checking.render import HEADINGS, notes, table_rows
from fssbench.publications.load import publications
from fssbench.publications.rows import PrintedRow
from fssbench.results import Run
from fssbench.results.weights_record import Weights
from tests.checking.runs import released, with_folds
from tests.tables.runs import limited, run_of, write_run


def report(tmp_path: Path, run: Run, iou: float = 0.643, **arguments) -> Report:
    return report_of([write_run(tmp_path / "run", run, iou)], "published", **arguments)


def of(report: Report, title: str) -> Check:
    [check] = [check for check in report.checks if check.title == title]
    return check


def test_folds_come_before_the_mean_of_the_printed_folds(tmp_path: Path) -> None:
    its = report(tmp_path, released())
    assert [check.title for check in its.checks][:5] == [*(f"fold {n} mIoU" for n in range(4)), "mean mIoU"]
    first = its.checks[0]
    assert (first.expected, first.measured) == (64.3, pytest.approx(64.3))
    assert first.verdict == "pass"
    assert first.tolerance is not None
    assert (first.tolerance.tier, first.tolerance.above) == ("same weights and episodes", 0.3)
    # HSNet prints 64.3 70.7 60.3 60.5 and 64.0; the folds' own mean is 63.95.
    mean = of(its, "mean mIoU")
    assert mean.expected == pytest.approx(63.95)
    assert "mean of the printed folds" in mean.source
    assert mean.tolerance is not None
    assert mean.tolerance.above == 0.15
    assert mean.verdict == "miss"
    assert mean.interval is not None


def test_one_fold_is_checked_without_a_mean(tmp_path: Path) -> None:
    its = report(tmp_path, released((0,)), 0.6)
    assert [check.title for check in its.checks] == ["fold 0 mIoU"]
    assert [check.verdict for check in its.checks] == ["miss"]


def test_folds_of_several_runs_make_the_mean(tmp_path: Path) -> None:
    for fold in range(4):
        write_run(tmp_path / str(fold), released((fold,)), 0.6)
    mean = of(report_of([tmp_path], "published"), "mean mIoU")
    assert mean.measured == pytest.approx(60.0)


def test_other_episodes_are_given_what_the_draw_moves(tmp_path: Path) -> None:
    first = report(tmp_path, released((0,), same=False, episodes=80)).checks[0]
    assert first.tolerance is not None
    assert first.tolerance.tier == "same weights and protocol, other episodes"
    assert "thousand episodes" in first.remark


def test_a_list_too_short_to_say_anything_gets_no_verdict(tmp_path: Path) -> None:
    its = report(tmp_path, released((0,), same=False, episodes=40))
    assert (its.checks[0].verdict, its.checks[0].measured) == ("none", pytest.approx(64.3))
    assert "the tolerance would be -13." in its.uncompared[0]


@pytest.mark.parametrize(("same", "verdict"), [(True, "pass"), (False, "none")])
def test_no_verdict_rests_on_a_number_without_an_interval(tmp_path: Path, same: bool, verdict: str) -> None:
    # All rows alike, of as many episodes as a verdict needs. The same weights on the same episodes are another matter:
    # there, chance has no part.
    folder = write_run(tmp_path / "run", released((0,), same=same, episodes=80), 0.643, spread=0)
    its = report_of([folder], "published")
    (check,) = its.checks
    assert (check.verdict, check.measured) == (verdict, pytest.approx(64.3))
    said = [note for note in notes(its) if "interval can't be given: it is the same in all draws" in note]
    assert len(said) == 1
    (cells,) = table_rows(its)
    assert cells[HEADINGS.index("95 %")] == ("-" if same else "")


@pytest.mark.parametrize(
    ("weights", "tier"),
    [
        (Weights("checkpoint", "1" * 64), "re-trained"),
        (Weights("checkpoint", "1" * 64, checkpoint="hsnet-small-shapes20i-fold0"), "re-trained"),
        (Weights("memory", "1" * 64), "re-trained"),
        (Weights("random"), None),
    ],
)
def test_weights_that_are_not_the_releases(tmp_path: Path, weights: Weights, tier: str | None) -> None:
    run = with_folds(released(), lambda fold: replace(fold, weights=weights))
    first = report(tmp_path, run).checks[0]
    if tier is None:
        assert (first.verdict, first.tolerance) == ("none", None)
        assert "random" in first.remark
    else:
        assert first.tolerance is not None
        assert first.tolerance.tier.startswith(tier)
        assert first.tolerance.above == 2.0


def test_another_protocol_gets_no_verdict(tmp_path: Path) -> None:
    run = released()
    run = replace(run, protocol=replace(run.protocol, name="hsnet@original"))
    its = report(tmp_path, run)
    assert {check.verdict for check in its.checks} == {"none"}
    assert "other protocol" in its.uncompared[0]


@pytest.mark.parametrize("shortened", [lambda run: limited(run, 2), lambda run: run], ids=["limit", "unfinished"])
def test_a_part_of_a_list_is_compared_with_nothing(tmp_path: Path, shortened) -> None:
    run = shortened(released((0,)))
    folder = write_run(tmp_path / "run", run, 0.643, answered=2)
    its = report_of([folder], "published")
    assert {check.verdict for check in its.checks} == {"none"}
    assert its.uncompared


@pytest.mark.parametrize(("protocol", "verdict"), [("ntrenet", "pass"), ("pfenet", "none")])
def test_a_release_of_pfenets_family_is_held_against_its_own_protocol(
    tmp_path: Path, protocol: str, verdict: str
) -> None:
    run = run_of("ntrenet", (0,), dataset="pascal5i", protocol=protocol)
    check = report(tmp_path, run, 0.654).checks[0]
    assert (check.verdict, check.expected) == (verdict, 65.4)
    assert check.tolerance is None or check.tolerance.tier.startswith("re-trained")


def test_what_nobody_printed_is_said(tmp_path: Path) -> None:
    its = report(tmp_path, run_of("hsnet"))
    assert not its.decided
    assert "no source prints this" in its.uncompared[0]


def test_a_stated_tolerance_replaces_the_tiers(tmp_path: Path) -> None:
    check = report(tmp_path, released((1,)), stated=stated_tolerance(10.0)).checks[0]
    assert (check.verdict, check.tolerance) == ("pass", stated_tolerance(10.0))


def test_a_source_that_is_met_is_enough_and_named(tmp_path: Path) -> None:
    [one] = measured([write_run(tmp_path / "run", released((0,)), 0.6)])
    known = publications()
    asked = ("hsnet", "pascal5i", "fss", "resnet50", 1)
    like = next(
        row
        for row in known.rows
        if (row.method, row.dataset, row.task, row.backbone, row.shot) == asked and "fold0" in row.numbers
    )
    other = replace(like, source="sccan-readme", numbers={"fold0": "60.1"})
    report = against_published([one], known=replace(known, rows=(like, other)))
    assert (report.checks[0].verdict, report.checks[0].expected) == ("pass", 60.1)
    assert "SCCAN" in report.checks[0].source
    for change in ({"confidence": "uncertain"}, {"role": "rerun"}, {"variant": "x"}, {"source": "repri-readme-first"}):
        ignored = against_published([one], known=replace(known, rows=(like, replace(other, **change))))
        assert ignored.checks[0].verdict == "miss", change


def test_the_means_that_disagree_with_their_folds_are_never_expected() -> None:
    rows = publications().rows
    wrong = [row for row in rows if row.mean_disagrees()]
    assert len(wrong) == 9


def test_a_quoted_mean_that_disagrees_is_not_expected(tmp_path: Path) -> None:
    [one] = measured([write_run(tmp_path / "run", released(), 0.7)])
    known = publications()
    row = PrintedRow("hsnet", "", "result", "bam-readme", "t", "pascal5i", "fss", "hsnet", 1, 1, "resnet50",
                     {"mean": "70.8"}, "printed", "")  # fmt: skip
    folds = {f"fold{n}": "65.0" for n in range(4)}
    doubtful = replace(row, numbers={"mean": "70.8"} | folds, confidence="uncertain")
    assert against_published([one], known=replace(known, rows=(row,))).checks[0].expected == 70.8
    both = against_published([one], known=replace(known, rows=(row, doubtful)))
    assert [check.expected for check in both.checks] == [None]
