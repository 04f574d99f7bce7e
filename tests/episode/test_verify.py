"""Holding a list against a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fssbench.episode import Episode, EpisodeList, episodes
from fssbench.episode.verify import verify
from tests.episode.stub import ListsOnly, synthetic


@pytest.fixture
def dataset() -> ListsOnly:
    return synthetic("pascal5i")


def failures(drawn: EpisodeList, dataset: ListsOnly) -> list[str]:
    return [finding.text for finding in verify(drawn, dataset) if finding.state == "failed"]


@pytest.mark.parametrize("protocol", ["hsnet", "ifsl-fss", "ifsl-fscs", "hsnet@original"])
def test_a_drawn_list_passes_and_says_what_it_is(dataset: ListsOnly, protocol: str) -> None:
    findings = verify(episodes(dataset, fold=2, shot=1, protocol=protocol, count=40), dataset)
    assert {finding.state for finding in findings} == {"ok"}
    assert findings[-1].text == f"equals protocol {protocol} on pascal5i fold 2, first 40"


def test_a_list_of_another_seed_is_drawn_with_its_seed(dataset: ListsOnly) -> None:
    findings = verify(episodes(dataset, count=5, seed=7), dataset)
    assert findings[-1].text == "equals protocol hsnet on pascal5i fold 0, first 5, seed 7"


def test_left_out_classes_are_left_out_again() -> None:
    dataset = ListsOnly("pascal5i", [("a", 1), ("b", 2), ("c", 2)], (1, 2))
    findings = verify(episodes(dataset, shot=1, count=4, skip_short_classes=True), dataset)
    assert findings[-1].text.endswith("first 4, without classes 1")
    assert findings[-1].state == "ok"


def changed(index: int, **fields: object) -> Callable[[EpisodeList], EpisodeList]:
    def change(drawn: EpisodeList) -> EpisodeList:
        own = list(drawn.episodes)
        own[index] = replace(own[index], **fields)
        return replace(drawn, episodes=tuple(own))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(3, query="nowhere"), "1 of its images are not in pascal5i, val: nowhere"),
        (changed(3, classes=(19,)), "1 of its classes are not in fold 0: 19"),
        (lambda drawn: replace(drawn, seed=1), "episode 0 is the first that differs"),
        (lambda drawn: replace(drawn, dataset="coco20i"), "is for coco20i, not for pascal5i"),
        (lambda drawn: replace(drawn, protocol="mine"), "unknown protocol 'mine'"),
    ],
)
def test_what_does_not_fit_fails(dataset: ListsOnly, change, message: str) -> None:
    [text] = failures(change(episodes(dataset, shot=1, count=20)), dataset)
    assert message in text


def test_an_image_listed_under_another_class_only(dataset: ListsOnly) -> None:
    lists = dataset.class_lists(0)
    foreign = next(name for name in lists[7] if name not in lists[6])
    query = lists[6][0]
    drawn = episodes(dataset, shot=1, count=1)
    by_hand = replace(drawn, episodes=(Episode(query, (6,), ((foreign,),), 6),))
    assert failures(by_hand, dataset) == [f"1 of its images are not listed under their class: {foreign} (class 6)"]


def test_the_first_difference_is_named(dataset: ListsOnly) -> None:
    drawn = episodes(dataset, shot=1, count=20)
    swapped = (*drawn.episodes[:5], drawn.episodes[6], drawn.episodes[5], *drawn.episodes[7:])
    [text] = failures(replace(drawn, episodes=swapped), dataset)
    assert "episode 5 is the first" in text


def test_other_data_is_worth_a_note_not_a_failure(dataset: ListsOnly) -> None:
    elsewhere = replace(episodes(dataset, count=20), data_fingerprint="f" * 64, list_order="canonical")
    findings = verify(elsewhere, dataset)
    assert [finding.state for finding in findings].count("note") == 1
    assert "order 'canonical'" in findings[0].text
    assert findings[-1].state == "ok"
