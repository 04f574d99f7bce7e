"""BAM's generalised episodes, against a loader written out."""

from __future__ import annotations

from collections import Counter
from random import Random

import pandas as pd
import pytest

from fssbench.datasets.dataset import Split
from fssbench.episode import Episode, episodes
from fssbench.episode.samplers.lists import ImageLists
from fssbench.errors import MissingError
from tests.episode.stub import ListsOnly

NOVEL, BASE = (6, 7, 8), (1, 2)
FIRST_BASE_SEEDS = {510: 1103786220883858366, 365: 8143421076996491956}
"""What PyTorch draws for a loader after these seeds, as it printed them."""


class Mixed(ListsOnly):
    """Twenty-two images: every third holds a base class, every fifth nothing novel."""

    def __init__(self) -> None:
        held = {f"i{n:02d}": {NOVEL[n % 3], NOVEL[n * n % 3]} if n % 5 else {BASE[n % 2]} for n in range(22)}
        for n in range(0, 22, 3):
            held[f"i{n:02d}"].add(BASE[0])
        self.held = held
        pairs = [(name, c) for name, classes in held.items() for c in sorted(classes & set(NOVEL))]
        super().__init__("pascal5i", pairs, NOVEL)

    def index(self, split: Split) -> pd.DataFrame:
        # One pixel is enough: there is no area rule. The order of the rows is not the images'.
        rows = [(name, c, 1) for c in (*NOVEL, *BASE) for name, classes in self.held.items() if c in classes]
        return pd.DataFrame(rows, columns=["name", "class_id", "pixels"])


def _written_out(dataset: Mixed, shot: int, count: int, seed: int) -> list[Episode]:
    """One pass of a loader with eight processes."""
    streams = [Random(FIRST_BASE_SEEDS[seed] + worker) for worker in range(8)]  # noqa: S311 - the release uses it
    lists = {c: [name for name in sorted(dataset.held) if c in dataset.held[name]] for c in NOVEL}
    drawn = []
    for item, query in enumerate(sorted(dataset.held)[:count]):
        random = streams[item % 8]
        own = sorted(dataset.held[query] & set(NOVEL))
        class_id = random.choice(NOVEL) if dataset.held[query] & set(BASE) else random.choice(own)
        names, places = lists[class_id], []
        for _ in range(shot):
            place = random.randint(1, len(names)) - 1
            support = query
            while support == query or place in places:
                place = random.randint(1, len(names)) - 1
                support = names[place]
            places.append(place)
        drawn.append(Episode(query, (class_id,), (tuple(names[place] for place in reversed(places)),), class_id))
    return drawn


@pytest.mark.parametrize("seed", [510, 365])
@pytest.mark.parametrize("shot", [1, 3])
def test_the_draws_are_those_of_the_release(seed: int, shot: int) -> None:
    dataset = Mixed()
    drawn = episodes(dataset, protocol="bam-gfss", shot=shot, count=22, seed=seed)
    assert list(drawn) == _written_out(dataset, shot, 22, seed)


def test_five_runs_of_every_image_in_order() -> None:
    dataset = Mixed()
    drawn = episodes(dataset, protocol="bam-gfss", shot=1, count=50)
    assert drawn.run_length == 50
    assert len(drawn) == 250
    names = sorted(dataset.held)
    assert [its.query for its in drawn[:50]] == [names[n % 22] for n in range(50)]
    assert list(drawn[50:72]) == _written_out(dataset, 1, 22, 365)


def test_a_query_with_a_base_class_need_not_hold_what_it_is_asked_for() -> None:
    dataset = Mixed()
    drawn = episodes(dataset, protocol="bam-gfss", shot=1, count=1000, seed=510)
    holds = Counter((bool(dataset.held[e.query] & set(BASE)), e.classes[0] in dataset.held[e.query]) for e in drawn)
    assert holds[False, False] == 0
    assert min(holds[False, True], holds[True, True], holds[True, False]) > 50
    assert {e.classes[0] for e in drawn if dataset.held[e.query] == {BASE[0]}} == set(NOVEL)


def test_both_ways_of_merging_ask_the_same() -> None:
    one, other = (episodes(Mixed(), protocol=name, shot=2, count=30) for name in ("bam-gfss", "bam-gfss-base"))
    assert one.hash == other.hash


def test_a_class_of_too_few_images_is_told() -> None:
    dataset = Mixed()
    for name, classes in list(dataset.held.items())[2:]:
        dataset.held[name] = (classes - {8}) or {BASE[1]}
    with pytest.raises(MissingError, match="class8"):
        episodes(dataset, protocol="bam-gfss", shot=5)
    drawn = episodes(dataset, protocol="bam-gfss", shot=5, count=40, skip_short_classes=True)
    assert drawn.left_out == (8,)
    assert {e.classes[0] for e in drawn} == {6, 7}


def test_without_a_class_only_images_that_can_be_queries_are_left() -> None:
    lists = ImageLists(
        entries=(("alone", 6), ("both", 6), ("both", 7), ("other", 7)),
        by_class={6: ("alone", "both"), 7: ("both", "other")},
        held={"alone": (6,), "both": (6, 7), "other": (7,)},
        mixed={"alone": False, "both": True, "other": False, "base": True},
        episodes=9,
    )
    assert lists.without({7}) == ImageLists(
        entries=(("alone", 6), ("both", 6)),
        by_class={6: ("alone", "both")},
        held={"alone": (6,), "both": (6,)},
        mixed={"alone": False, "both": True, "base": True},
        episodes=9,
    )
