"""Objects that have no pixel left at the network's size: counted in each episode and reported with the results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fssbench import evaluate
from fssbench.episode import Episode
from fssbench.planning.settings import Settings
from fssbench.protocols.rules import Protocol, ResizeRule
from fssbench.results import Results, load_run
from fssbench.results.caveats import caveats
from fssbench.results.lost import Lost, lost_in
from fssbench.results.merge import merge
from fssbench.tables.measured import measured_entries
from fssbench.tables.measurements import measurements
from tests.engine.stub import NearestColour, Patches, questions, rules

LOST = {"p0", "p5", "p6"}
RULES: list[ResizeRule] = ["pillow-bilinear", "pillow", "opencv-pad"]


class Dots(Patches):
    """Some images are large and have one pixel of their class, which every resize rule drops."""

    def label(self, name: str) -> np.ndarray:
        label = super().label(name)
        if name in LOST:
            label = np.zeros((97, 97), dtype=np.uint8)
            label[1, 1] = int(name[1:]) % 3 + 1
        return label


def small(rule: ResizeRule = "pillow-bilinear", *, at_input: bool = False) -> Protocol:
    chosen = rules().at("input") if at_input else rules()
    return replace(chosen, resize=rule)


def supports_lost(shot: int, count: int = 12) -> list[int]:
    return [sum(name in LOST for name in one.supports[0]) for one in questions(shot=shot, count=count)]


def lost_caveats(results: Results, shot: int = 1) -> list[str]:
    return [note for note in caveats(results, results.summary(draws=0), [questions(shot=shot)]) if "no pixel" in note]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("settings", [Settings(feature_cache=0), Settings(batch_size=5)])
def test_supports_without_a_pixel_are_counted_by_every_rule_of_resizing(rule: ResizeRule, settings: Settings):
    expected = supports_lost(shot=2)
    assert {0, 1, 2} == set(expected)
    results = evaluate(NearestColour(1, 2), Dots(), questions(shot=2), protocol=small(rule), settings=settings)
    assert results.frame["lost_supports"].tolist() == [(lost,) if lost else None for lost in expected]
    assert "lost_query" not in results.frame  # The query is counted at its own size.
    episodes, empty = sum(map(bool, expected)), expected.count(2)
    assert lost_in(results.frame, "fss") == Lost(sum(expected), episodes, empty, 0)
    assert lost_caveats(results, shot=2) == [
        f"in {episodes} of 12 episodes a support has no pixel of its class at the network's size, 24 x 24: "
        f"its mask is empty; in {empty} no support of a class has a pixel of it"
    ]


def test_of_each_class_the_supports_are_counted():
    episodes = [
        Episode("p2", (1, 2), (("p3", "p9"), ("p4", "p7")), 3),
        Episode("p2", (1, 3), (("p3", "p0"), ("p5", "p5")), 3),
    ]
    frame = evaluate(NearestColour(2, 2), Dots(), episodes, protocol=rules("ifsl-fscs")).frame
    assert frame["lost_supports"].tolist() == [None, (1, 2)]


@pytest.mark.parametrize("rule", RULES)
def test_queries_without_a_pixel_where_counts_are_made(rule: ResizeRule):
    results = evaluate(NearestColour(), Dots(), questions(), protocol=small(rule, at_input=True))
    expected = [(True,) if one.query in LOST else None for one in questions()]
    assert results.frame["lost_query"].tolist() == expected
    assert all(there == (True,) for there in results.frame["truth"])
    assert lost_caveats(results)[-1] == (
        "in 3 of 12 episodes the query's object has no pixel at 24 x 24, where pixels are counted: "
        "no prediction can find it"
    )


def test_nothing_is_said_where_nothing_is_lost(tmp_path: Path):
    results = evaluate(NearestColour(), Patches(), questions(), protocol=small(), out=tmp_path / "run")
    assert not lost_in(results.frame, "fss")
    assert lost_caveats(results) == []
    assert "lost" not in json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "lost" not in (tmp_path / "run" / "rows.jsonl").read_text()


def test_the_count_is_stored_and_stays_right_when_a_run_is_continued_or_put_together(tmp_path: Path):
    protocol = small(at_input=True)
    whole = evaluate(NearestColour(), Dots(), questions(), protocol=protocol, out=tmp_path / "whole")
    expected = sum(supports_lost(shot=1))
    stored = json.loads((tmp_path / "whole" / "summary.json").read_text())["lost"]
    assert stored == {
        "supports": expected, "support_episodes": expected, "empty_episodes": expected, "query_episodes": 3,
        "absent_episodes": 0,
    }  # fmt: skip
    for limit in (5, None):
        parts = evaluate(
            NearestColour(), Dots(), questions(), protocol=protocol, out=tmp_path / "parts", limit=limit, resume=True
        )
    merged = merge([tmp_path / "parts", tmp_path / "whole"], tmp_path / "merged")
    for results in (parts, merged, load_run(tmp_path / "whole")):
        pd.testing.assert_frame_equal(
            whole.frame.drop(columns="seconds"), results.frame.drop(columns="seconds"), check_like=True
        )
    for name in ("parts", "merged"):
        assert json.loads((tmp_path / name / "summary.json").read_text())["lost"] == stored


def test_a_table_says_it_in_a_footnote(tmp_path: Path):
    evaluate(NearestColour(), Dots(), questions(), protocol=small(at_input=True), out=tmp_path / "run")
    [entry] = measured_entries(measurements([tmp_path / "run"]), {})
    lost = sum(supports_lost(shot=1))
    assert (
        f"objects that are absent or lost at the network's size, fold 0: a support has no object in {lost} "
        "episodes, the query's object is lost in 3 episodes"
    ) in [remark.text for remark in entry.remarks]


def test_queries_without_the_class_asked_are_said_unless_they_are_asked_on_purpose():
    episodes = [Episode("p1", (1,), (("p3",),), 1), Episode("p3", (1,), (("p9",),), 1)]
    results = evaluate(NearestColour(), Patches(), episodes, protocol=rules())
    assert lost_in(results.frame, "fss") == Lost(absent_episodes=1)
    assert lost_caveats(results) == [
        "in 1 of 2 episodes the query's label map has no pixel of the class: no prediction can find it"
    ]
    present = evaluate(NearestColour(), Patches(), episodes, protocol=rules("ifsl-fscs"))
    assert lost_caveats(present) == []
