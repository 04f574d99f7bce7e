"""Many supports for each query: all different, the same wherever they are drawn, and never one image twice."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import pytest

from fssbench.episode import EpisodeList, episodes, read_episodes, write_episodes
from fssbench.episode.permuted import permuted, permuted_sets
from fssbench.episode.references import with_references
from fssbench.episode.verify import official, verify
from fssbench.errors import MissingError, UsageError
from fssbench.protocols.rules import protocol
from tests.episode.stub import ListsOnly, synthetic


def drawn(count: int = 40, references: int | None = 6, **options: object) -> EpisodeList:
    return episodes(synthetic("pascal5i"), protocol="hsnet", count=count, references=references, **options)  # type: ignore[arg-type]


def by_query(made: EpisodeList) -> dict[tuple[str, tuple[int, ...]], list[tuple[tuple[str, ...], ...]]]:
    found: dict[tuple[str, tuple[int, ...]], list[tuple[tuple[str, ...], ...]]] = {}
    for episode in made:
        found.setdefault((episode.query, episode.classes), []).append(episode.supports)
    return found


@pytest.mark.parametrize("shot", [1, 3])
def test_each_query_of_the_list_has_so_many_different_supports(shot: int) -> None:
    base, made = drawn(130, None, shot=shot), drawn(130, shot=shot)
    queries = list(dict.fromkeys((episode.query, episode.classes) for episode in base))
    assert len(queries) < len(base), "the list repeats a query"
    found = by_query(made)
    assert list(found) == queries, "each of them once, in the order of the list"
    held = {c: set(names) for c, names in synthetic("pascal5i").class_lists(0).items()}
    for (query, (class_id,)), supports in found.items():
        assert len(set(supports)) == len(supports) == 6
        for ((*names,),) in supports:
            assert len(set(names)) == shot
            assert query not in names
            assert set(names) <= held[class_id]
    assert made.run_length == len(queries), "a run has every query once"
    assert all(made[n].query == made[n % len(queries)].query for n in range(len(made)))
    assert (made.base_hash, made.base_count) == (base.hash, len(base))
    assert made.hash != base.hash


def test_supports_depend_on_the_query_and_not_on_what_else_is_in_the_list() -> None:
    few, many = by_query(drawn(10, 3)), by_query(drawn(40, 8))
    assert all(many[key][:3] == supports for key, supports in few.items())
    turned = replace(drawn(40, None), episodes=tuple(reversed(drawn(40, None).episodes)))
    again = with_references(turned, synthetic("pascal5i"), protocol("hsnet"), 8)
    assert by_query(again) == many
    other = by_query(drawn(40, 8, seed=1))
    shared = set(other) & set(many)
    assert shared
    assert any(other[key] != many[key] for key in shared), "another seed draws others"


def test_classes_of_an_episode_share_no_image() -> None:
    dataset = synthetic("pascal5i", images=24)
    made = episodes(dataset, way=3, shot=2, protocol="ifsl-fscs", count=20, references=5)
    for episode in made:
        names = list(chain(*episode.supports))
        assert len(set(names)) == len(names)
        assert episode.query not in names


def test_too_few_images_are_refused_or_left_out() -> None:
    pairs = [(f"a{n}", 6) for n in range(12)] + [(f"b{n}", 7) for n in range(4)]
    dataset = ListsOnly("pascal5i", pairs)
    with pytest.raises(MissingError, match=r"too few images of class7 \(4 images\) for 5") as error:
        episodes(dataset, protocol="hsnet", count=30, references=5)
    assert error.value.remedy is not None
    assert "--references 3" in error.value.remedy
    assert len(episodes(dataset, protocol="hsnet", count=30, references=3)) > 0
    left = episodes(dataset, protocol="hsnet", count=30, references=5, skip_short_classes=True)
    assert {episode.classes for episode in left} == {(6,)}
    assert left.left_out == (7,)
    # Two of three others: three sets.
    assert by_query(episodes(dataset, shot=2, protocol="hsnet", count=30, references=3))


@pytest.mark.parametrize("count", [-1, 0, 1, 1001])
def test_numbers_out_of_range_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="2 to 1000 references"):
        drawn(10, count)


def test_lists_of_several_runs_and_lists_with_references_are_refused() -> None:
    with pytest.raises(UsageError, match="several runs"):
        episodes(synthetic("pascal5i"), protocol="panet", count=5, runs=2, references=3)
    with pytest.raises(UsageError, match="already"):
        with_references(drawn(), synthetic("pascal5i"), protocol("hsnet"), 4)


def test_it_is_stored_verified_and_never_the_list_of_the_release(tmp_path: Path) -> None:
    made = drawn(10, 3)
    back = read_episodes(write_episodes(made, tmp_path / "list.json"))
    assert back == made
    assert (back.references, back.run_length, back.drawn_by) == (3, made.run_length, "hsnet, 3 references")
    findings = verify(back, synthetic("pascal5i"))
    assert {finding.state for finding in findings} == {"ok"}
    assert official(made) is None
    assert official(drawn(1000, None)) is False, "as far as its header goes the protocol's own list is one"
    swapped = list(made.episodes)
    swapped[0], swapped[1] = swapped[1], swapped[0]
    with pytest.raises(UsageError, match="is not a reference of the query of episode"):
        write_episodes(replace(made, episodes=tuple(swapped)), tmp_path / "swapped.json")
    twice = (made.episodes[made.run_length or 0], *made.episodes[1:])
    with pytest.raises(UsageError, match="are the same"):
        write_episodes(replace(made, episodes=twice), tmp_path / "twice.json")
    with pytest.raises(UsageError, match="lacks another"):
        write_episodes(replace(made, base_hash=None), tmp_path / "unhashed.json")


def test_another_draw_than_the_protocols_is_found() -> None:
    made = drawn(10, 3)
    first, place = made[0], made.run_length or 0
    other = replace(made.episodes[place], supports=(("image_0029",),))
    assert other.supports not in by_query(made)[first.query, first.classes]
    changed = replace(made, episodes=(*made.episodes[:place], other, *made.episodes[place + 1 :]))
    assert verify(changed, synthetic("pascal5i"))[-1].state == "failed"


def test_permutations_are_complete_and_fair() -> None:
    assert sorted(permuted(40, ("a",))) == list(range(40))
    assert sorted(permuted_sets("abcde", 3, ("b",))) == list(combinations("abcde", 3))
    assert list(permuted_sets("ab", 3, ("b",))) == []
    times = Counter(tuple(permuted(3, ("c", n))) for n in range(1200))
    assert len(times) == 6
    assert all(abs(count - 200) < 5 * math.sqrt(200) for count in times.values())
    # A pool of COCO: the number of sets does not fit into 64 bits.
    first = next(permuted_sets(range(5000), 10, ("d",)))
    assert len(set(first)) == 10
