"""Runs of several episode lists in one report: a section each, and nothing is compared across them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fssbench
from fssbench.cli.report_page import keys_of
from fssbench.errors import UsageError
from fssbench.reports.lists import overview, titles_of
from fssbench.reports.page import render, write, writing
from fssbench.reports.report import Options, Report, make
from fssbench.reports.runs import by_list, load_all, of_results
from tests.reports.test_page import Elements


@pytest.fixture(scope="session")
def five_shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one of the two methods on a list of 5-shot episodes."""
    folder = tmp_path_factory.mktemp("five") / "copied"
    dataset = fssbench.open_dataset("shapes20i")
    episodes = fssbench.episodes(dataset, fold=0, way=1, shot=5, protocol="shapes", count=3)
    fssbench.evaluate(fssbench.build("copy-mask", shot=5), dataset, episodes, out=folder)
    return folder


@pytest.fixture(scope="session")
def reports(two_runs: Path, five_shot: Path) -> list[Report]:
    lists = [
        of_results(group) for group in by_list(load_all([two_runs / "copied", five_shot, two_runs / "everything"]))
    ]
    options = Options(episodes=2, similarity=False, predict="none")
    return [make(runs, options, title) for runs, title in zip(lists, titles_of(lists), strict=True)]


def test_runs_are_grouped_by_their_lists(reports: list[Report]) -> None:
    assert [len(report.runs.methods) for report in reports] == [2, 1]
    assert [report.title for report in reports] == [
        "shapes20i, 1-way 1-shot, 6 episodes", "shapes20i, 1-way 5-shot, 3 episodes",
    ]  # fmt: skip
    assert len(reports[0].tables["differences"].rows) == 2
    assert "differences" not in reports[1].tables


def test_the_overview_has_a_column_for_each_list(reports: list[Report]) -> None:
    table = overview(reports)
    assert table.heads == ("method", *(f"{report.title}: mIoU" for report in reports))
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["all-foreground"][1] == "-", "it was not evaluated on that list"
    for column, report in enumerate(reports):
        summary = report.summaries[0]
        interval = summary.intervals["miou"]
        reach = f" ({interval.text()})" if interval.given else ""
        assert cells["copy-mask"][column] == f"{summary.miou:.2f}{reach}"
    # An unfinished run is marked.
    (method,) = reports[1].runs.methods
    part = replace(method.results, frame=method.results.frame.iloc[:2])
    report = replace(reports[1], runs=of_results([part]))
    marked = overview([reports[0], report])
    assert "*" in {row[0]: row[2] for row in marked.rows}["copy-mask"]
    assert marked.notes[-1].startswith("*")


def test_the_page_has_a_section_for_each_list_and_every_link_leads_somewhere(reports: list[Report]) -> None:
    elements = Elements(render(reports, [report.cards for report in reports], lambda picture, name: name))
    ids = [str(attributes["id"]) for _, attributes in elements.found if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {"overview", "list1", "list2", "list1-gallery", "list2-gallery"} <= {*ids}
    assert f"list2-{reports[1].cards[0].name}" in ids
    inner = [str(one.get("href") or one.get("xlink:href")) for tag in ("a", "use") for one in elements.all(tag)]
    assert {link[1:] for link in inner} <= {*ids}
    files = [
        str(one["href"]) for one in elements.all("image") if "href" in one and not str(one["href"]).startswith("data:")
    ]
    assert len(files) == len(set(files)), "pictures of two lists do not take each other's place"


def test_a_page_that_is_too_small_keeps_episodes_of_each_list(
    reports: list[Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = len(render(reports, [()] * 2, writing._inline).encode())
    first = [report.cards[0].bytes * 4 // 3 + writing._OVERHEAD for report in reports]
    monkeypatch.setattr(writing, "MOST_BYTES", bare + sum(first) + 500)
    written = write(reports, tmp_path / "report.html")
    assert (written.episodes, written.left_out) == (2, 2)
    text = written.page.read_text(encoding="utf-8")
    assert all(f'id="list{n}-{report.cards[0].name}"' in text for n, report in enumerate(reports, 1))


def test_lists_of_one_setting_are_told_apart_by_what_differs(two_runs: Path) -> None:
    one = load_all([two_runs / "copied"])[0]
    fold = one.run.folds[0]
    others = [replace(fold, episodes_hash="1" * 64, seed=7), replace(fold, episodes_hash="2" * 64)]
    runs = [one, *(replace(one, run=replace(one.run, folds=(other,))) for other in others)]
    groups = by_list(runs)
    assert [len(group) for group in groups] == [1, 1, 1]
    titles = titles_of([of_results(group) for group in groups])
    assert titles[1].endswith("6 episodes, seed 7")
    assert titles[2].endswith(f"seed {fold.seed}, list 22222222")
    same = titles_of([of_results([one])] * 2)
    assert same[0].endswith("(1)")


def test_an_episode_is_added_to_the_lists_that_have_it(reports: list[Report]) -> None:
    lists = [report.runs for report in reports]
    assert keys_of("5", lists) == [(0, 5), None]
    assert keys_of("2", lists) == [(0, 2), (0, 2)]
    with pytest.raises(UsageError, match="no row of fold 0, episode 9"):
        keys_of("9", lists)
