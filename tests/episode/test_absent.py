"""Queries without the class: as many as were requested, and nothing says that one of them may hold it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.datasets import open_dataset
from fssbench.episode import EpisodeList, episodes, read_episodes, write_episodes
from fssbench.episode.absent import check_claims, false_claims, held_classes, with_absent
from fssbench.episode.episode import holds_none
from fssbench.episode.verify import verify
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.protocols.rules import protocol
from tests.datasets.trees import SIZE, annotation, box, coco_tree, label_map, voc_tree
from tests.episode.stub import ListsOnly


def lists(name: str = "pascal5i") -> ListsOnly:
    """Thirty images with one or two of the classes 6 to 10 each."""
    pairs = [(f"image_{n:04d}", c) for n in range(30) for c in sorted({6 + n % 5, 6 + (3 * n + 1) % 5})]
    return ListsOnly(name, pairs)


def drawn(share: float | None = 0.25, count: int = 40, **options: object) -> EpisodeList:
    return episodes(lists(), protocol="hsnet", count=count, absent=share, **options)  # type: ignore[arg-type]


def held() -> dict[str, frozenset[int]]:
    return held_classes(lists(), "val")


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_so_many_queries_hold_none_of_the_classes(share: float) -> None:
    base, made = drawn(None), drawn(share)
    absent = [episode for episode in made if holds_none(episode)]
    assert len(absent) == made.absent_count == round(share * len(made))
    for episode, before in zip(made, base, strict=True):
        assert (episode.classes, episode.supports) == (before.classes, before.supports)
        assert held()[episode.query].isdisjoint(episode.classes) == holds_none(episode)
        assert holds_none(episode) or episode == before
        assert episode.query_class in held()[episode.query]
        assert episode.query not in {name for names in episode.supports for name in names}
    assert made == drawn(share)
    assert [holds_none(e) for e in made] != [holds_none(e) for e in drawn(share, seed=1)]
    assert (made.base_hash, made.drawn_by) == (base.hash, f"hsnet, {100 * share:g} % absent")


def test_each_class_keeps_a_query_that_holds_it() -> None:
    for seed in range(6):
        made = drawn(0.55, 12, seed=seed)
        assert {c for e in made for c in e.classes} == {c for e in made if not holds_none(e) for c in e.classes}


def test_episodes_of_several_classes_count_those_that_hold_none_already() -> None:
    dataset = lists()
    base = episodes(dataset, way=2, protocol="ifsl-fscs", count=40)
    already = sum(held()[e.query].isdisjoint(e.classes) for e in base)
    assert already > 0
    made = episodes(dataset, way=2, protocol="ifsl-fscs", count=40, absent=0.75)
    assert made.absent_count == 30
    assert false_claims(made, held()) == []
    with pytest.raises(UsageError, match="already"):
        episodes(dataset, way=2, protocol="ifsl-fscs", count=40, absent=0.5 * already / 40)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(UsageError, match="more than 0 and less than 1"):
        drawn(share)


def test_a_share_of_nothing_and_a_list_with_absent_queries_are_refused() -> None:
    with pytest.raises(UsageError, match="there have to be absent queries and others"):
        drawn(0.01, 10)
    for made, text in ((drawn(), "absent already"), (drawn(None, references=3), "come before references")):
        with pytest.raises(UsageError, match=text):
            with_absent(made, lists(), protocol("hsnet"), 0.5)
    one = ListsOnly("pascal5i", [(f"a{n}", 6) for n in range(9)])
    with pytest.raises(MissingError, match="surely holds no class6"):
        episodes(one, protocol="hsnet", count=8, absent=0.25)


def test_a_data_set_whose_labels_do_not_tell_is_refused() -> None:
    dataset = lists("lvis92i")
    dataset.absence_unknown = "each of its label maps has one category alone"
    with pytest.raises(UsageError, match="no absent queries: each of its label maps has one category alone"):
        episodes(dataset, protocol="gfsam", count=8, absent=0.25)
    with pytest.raises(UsageError, match="counts base classes"):
        with_absent(drawn(None), lists(), protocol("bam-gfss"), 0.25)


def test_with_references_every_reference_of_an_absent_query_is_absent(tmp_path: Path) -> None:
    made = drawn(0.25, 20, references=4)
    length = made.run_length or 0
    assert made.absent_count is not None
    for number, episode in enumerate(made):
        assert holds_none(episode) == holds_none(made[number % length])
    back = read_episodes(write_episodes(made, tmp_path / "list.json"))
    assert back == made
    assert {finding.state for finding in verify(back, lists())} == {"ok"}


def test_false_claims_are_found_in_a_list_from_elsewhere(tmp_path: Path) -> None:
    made = drawn()
    places = [next(n for n, e in enumerate(made) if holds_none(e) == kind) for kind in (False, True)]
    lies = {
        places[0]: next(c for c in (6, 7, 8, 9, 10) if c not in made[places[0]].classes),
        places[1]: made[places[1]].classes[0],
    }
    for place, query_class in lies.items():
        wrong = list(made.episodes)
        wrong[place] = replace(wrong[place], query_class=query_class)
        listed = read_episodes(write_episodes(replace(made, episodes=tuple(wrong)), tmp_path / "list.json"))
        assert false_claims(listed, held()) == [place]
        with pytest.raises(BrokenFileError, match=f"the list: episode {place} says that .* its label map"):
            check_claims(listed, lists(), "the list")
        assert "failed" in {finding.state for finding in verify(listed, lists())}
    with pytest.raises(UsageError, match="none or all"):
        write_episodes(replace(made, episodes=drawn(None).episodes), tmp_path / "none.json")


def test_difficult_objects_of_voc_are_no_absent_queries(tmp_path: Path) -> None:
    labels = {f"2007_00000{n}": label_map((6 + n % 2, 100, 100, 200, 200), size=(400, 400)) for n in range(8)}
    labels["2007_000003"][350:390, 350:390] = 255  # a region that may be any object
    names = list(labels)
    dataset = open_dataset("pascal5i", voc_tree(tmp_path, labels, val=names, photos=False))
    made = episodes(dataset, 1, protocol="hsnet", count=40, absent=0.5)
    assert "2007_000003" not in {e.query for e in made if holds_none(e)}
    assert "2007_000005" in {e.query for e in made if holds_none(e)}
    sneaked = [replace(e, query="2007_000003") if holds_none(e) and e.classes == (6,) else e for e in made]
    findings = verify(replace(made, episodes=tuple(sneaked)), dataset)
    assert any(f.state == "failed" and "ignored region" in f.text for f in findings)


def test_crowds_and_covered_objects_of_coco_are_no_absent_queries(tmp_path: Path) -> None:
    person, airplane = 1, 5  # both of fold 0
    whole = box(0, 0, SIZE[1], SIZE[0])
    found = [annotation(20 + n, n, person, whole) for n in range(1, 7)]
    found += [annotation(20 + n, n, airplane, whole) for n in range(7, 13)]
    # A crowd, and a person behind the airplane: its id is lower, so that it is painted over.
    found += [annotation(40, 8, person, iscrowd=1), annotation(1, 9, person, box(1, 1, 9, 9))]
    dataset = open_dataset("coco20i", coco_tree(tmp_path, {"val": (range(1, 13), found)}))
    assert dataset.unseen_classes("val2014/COCO_val2014_000000000008.jpg") == {person, airplane}
    made = episodes(dataset, 0, protocol="hsnet", count=30, absent=0.4, skip_short_classes=True)
    queries = {int(e.query[-16:-4]) for e in made if holds_none(e) and e.classes == (person,)}
    assert queries
    assert queries <= {7, 10, 11, 12}
