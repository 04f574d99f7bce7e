"""What `episodes` refuses, and what it says of the lists it draws."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import fssbench
from fssbench.episode import episodes
from fssbench.episode.draw import protocol_for
from fssbench.errors import MissingError, UsageError
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from tests.episode.stub import ListsOnly, synthetic

# Class 1 has one image, class 2 two, class 3 none, class 4 eight.
PARTIAL = [("a", 1), ("b", 2), ("c", 2), *((f"d{i}", 4) for i in range(8))]


def partial(name: str) -> ListsOnly:
    return ListsOnly(name, PARTIAL, (1, 2, 3, 4))


def test_defaults_are_the_protocols() -> None:
    drawn = episodes(synthetic("pascal5i"))
    assert (len(drawn), drawn.seed, drawn.split, drawn.way, drawn.shot) == (1000, 0, "val", 1, 1)
    assert (drawn.dataset, drawn.fold, drawn.protocol) == ("pascal5i", 0, "hsnet")
    assert (drawn.list_order, drawn.data_fingerprint, drawn.left_out) == ("as given", "0" * 64, ())
    assert len(episodes(synthetic("shapes20i"), protocol="shapes")) == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fold": 4}, "no fold 4: its folds are 0 to 3"),
        ({"way": 2, "protocol": "hsnet"}, "1-way"),
        ({"way": 6, "protocol": "ifsl-fscs"}, "1 to 5 ways"),
        ({"shot": 0}, "at least one support"),
        ({"count": 0}, "not 0"),
        ({"count": 10_000_000}, "not 10000000"),
        ({"seed": -1}, "not -1"),
        ({"seed": 2**32}, "a seed is"),
        ({"protocol": "hsnett"}, "did you mean hsnet"),
        ({"protocol": "shapes"}, "not defined for pascal5i"),
    ],
)
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        episodes(synthetic("pascal5i"), **arguments)


def test_a_query_without_another_image_of_its_class_is_refused_by_name() -> None:
    with pytest.raises(MissingError, match=r"class1 \(1\); an episode needs 2") as caught:
        episodes(partial("pascal5i"))
    assert "class3" not in caught.value.message, "a class that is never asked needs no images"
    assert "--skip-short-classes" in str(caught.value.remedy)


def test_where_classes_are_drawn_an_empty_one_is_refused_too() -> None:
    with pytest.raises(MissingError, match=r"class1 \(1\), class3 \(0\)"):
        episodes(partial("coco20i"))


def test_fscs_needs_shot_and_query() -> None:
    with pytest.raises(MissingError, match=r"class1 \(1\), class2 \(2\), class3 \(0\); an episode needs 3"):
        episodes(partial("pascal5i"), shot=2, protocol="ifsl-fscs")


@pytest.mark.parametrize("name", ["pascal5i", "coco20i"])
def test_short_classes_can_be_left_out_and_the_list_says_so(name: str) -> None:
    drawn = episodes(partial(name), count=50, skip_short_classes=True)
    assert drawn.left_out == (1, 3)
    assert {e.query_class for e in drawn} == {2, 4}


def test_nothing_is_left_out_where_nothing_is_short() -> None:
    dataset = synthetic("pascal5i")
    assert episodes(dataset, skip_short_classes=True) == episodes(dataset)


def test_leaving_out_may_leave_too_little() -> None:
    with pytest.raises(MissingError, match="has 1 val classes with enough images; 1-way episodes need 2"):
        episodes(partial("pascal5i"), shot=5, protocol="ifsl-fscs", skip_short_classes=True)


def test_empty_lists_are_missing_data() -> None:
    with pytest.raises(MissingError, match="lists no val image"):
        episodes(ListsOnly("pascal5i", [], (1, 2)), skip_short_classes=True)


def test_each_image_once_is_not_asked_twice() -> None:
    dataset = ListsOnly("fss1000", [(f"ant/{i}.jpg", 1) for i in range(1, 11)])
    assert len(episodes(dataset, shot=1, count=3)) == 3
    with pytest.raises(UsageError, match="there are 10, not 11"):
        episodes(dataset, shot=1, count=11)


def test_drawing_needs_no_torch() -> None:
    code = (
        "import sys; from tests.episode.stub import synthetic; import fssbench;"
        "fssbench.episodes(synthetic('pascal5i'), count=3); sys.exit('torch' in sys.modules)"
    )
    top = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=top).returncode == 0


def test_without_arguments_it_is_what_eval_evaluates() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    for way in (1, 2):
        planned = plan(Request("hsnet", "shapes20i", fold="0", ways=way, limit=3), dataset).lists[0]
        assert episodes(dataset, way=way) == planned
    assert [protocol_for(synthetic("pascal5i"), way) for way in (1, 2)] == ["hsnet", "ifsl-fscs"]


def test_episodes_carry_the_names_of_their_classes() -> None:
    dataset = fssbench.open_dataset("shapes20i")
    drawn = episodes(dataset, way=2, count=4)
    assert all(
        episode.class_names == tuple(dataset.class_names[class_id] for class_id in episode.classes) for episode in drawn
    )
    assert drawn.frame["class_names"].tolist() == [episode.class_names for episode in drawn]
    assert list(drawn.frame["episode"]) == [0, 1, 2, 3]
    # Names are no part of what an episode is.
    bare = [replace(episode, class_names=()) for episode in drawn]
    assert bare == list(drawn)
    assert replace(drawn, episodes=tuple(bare)).hash == drawn.hash
