"""Counting under padding and in several runs: what the PFENet family's and PANet's evaluations come to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fssbench import evaluate
from fssbench.engine import loop
from fssbench.episode import Episode
from fssbench.planning.settings import choose_device
from fssbench.protocols.label_maps import input_label, support_mask
from fssbench.protocols.rules import Protocol, protocol
from fssbench.protocols.transforms import input_image
from fssbench.results.rows import Row
from fssbench.results.scoring import count
from tests.engine.stub import NearestColour, Patches, questions


def padded(score_at: str = "original") -> Protocol:
    return replace(protocol("pfenet"), input=(33, 33), score_at=score_at)


def counted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="seconds")


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_cutting_the_photo_out_counts_as_255_beside_it(height: int, width: int, seed: int):
    random = np.random.default_rng(seed)
    side = max(height, width)
    labels_of_square = random.integers(0, 2, (side, side), dtype=np.uint8)
    label = random.choice(np.array([0, 4, 255], np.uint8), (height, width))
    square = np.full((side, side), 255, dtype=np.uint8)
    square[:height, :width] = label
    assert count(labels_of_square[:height, :width], label, (4,), "leave-out") == count(
        labels_of_square, square, (4,), "leave-out"
    )


def test_a_padded_answer_is_counted_at_the_photos_own_size():
    dataset, method = Patches(), NearestColour().eval()
    episodes = questions(count=4)
    frame = evaluate(method, dataset, episodes, protocol=padded()).frame
    for episode, row in zip(episodes, frame.itertuples(), strict=True):
        query, [class_id] = episode.query, episode.classes
        [[name]] = episode.supports
        label = dataset.label(query)
        side = max(label.shape)
        mask = torch.from_numpy(support_mask(dataset.label(name), class_id, (33, 33), "opencv-pad"))
        with torch.inference_mode():
            support = method.condition(input_image(dataset.image(name), (33, 33), "opencv-pad")[None], mask[None])
            seen = input_image(dataset.image(query), (33, 33), "opencv-pad")[None]
            logits = method.predict(seen, [[support]], (33, 33)).logits
        square = F.interpolate(logits[None], (side, side), mode="nearest")[0].argmax(dim=0).numpy()
        found = square[: label.shape[0], : label.shape[1]]
        kept = label != 255
        assert row.intersection[1] == ((found == 1) & (label == class_id)).sum()
        assert row.union[1] == (((found == 1) | (label == class_id)) & kept).sum()
        assert row.present == (bool((found == 1).any()),)


def test_at_the_input_size_the_padding_leaves_the_counts():
    dataset = Patches()
    frame = evaluate(NearestColour(radius=99.0), dataset, questions(), protocol=padded("input")).frame
    for row in frame.itertuples():
        label = input_label(dataset.label(row.query), (33, 33), "opencv-pad")
        assert row.union[1] == (label != 255).sum()


@pytest.mark.parametrize(("rule", "union"), [("count", True), ("leave-out", False)])
def test_a_class_that_the_counted_label_lacks(rule: str, union: bool):
    episodes = [Episode("p1", (3,), (("p2",),), 2)]
    rules = replace(protocol("panet"), input=(24, 24), absent=rule, split="val")
    [row] = evaluate(NearestColour(radius=99.0), Patches(), episodes, protocol=rules).frame.itertuples()
    assert row.intersection == (0, 0)
    assert (row.union[1] > 0) is union
    assert row.union[0] > 0, "the background is there, and missed"


class SeesMasks(NearestColour):
    """Keeps which values the masks have that it is given."""

    def __init__(self) -> None:
        super().__init__(way=2)
        self.task = "fss"
        self.seen: list[list[int]] = []

    def condition(self, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.seen.append(mask.unique().tolist())
        return super().condition(features, mask)


@pytest.mark.parametrize("other", ["neither", "background"])
def test_another_class_of_the_episode_is_on_neither_side_of_a_mask_where_the_protocol_says_so(other: str):
    # p4 holds the classes 2 and 1, p8 3 and 1, p3 and p7 one.
    asked = [Episode("p1", (2, 1), (("p4",), ("p3",)), 2), Episode("p1", (2, 3), (("p4",), ("p8",)), 2)]
    rules = replace(protocol("panet"), input=(24, 24), split="val", other_classes=other)
    method = SeesMasks()
    evaluate(method, Patches(), asked, protocol=rules)
    marked = [254 in seen for seen in method.seen]
    # p4 as a support of class 2 is conditioned once with class 1 beside it, once with class 3.
    assert sorted(marked) == ([False, False, False, True] if other == "neither" else [False] * 3)


@pytest.mark.parametrize("name", ["pfenet", "panet"])
def test_the_order_of_work_is_free(name: str):
    dataset, episodes = Patches(), questions(count=9)
    rules = replace(protocol(name), input=(33, 33))
    device = choose_device("cpu")

    def rows(numbers: list[int]) -> list[Row]:
        method = NearestColour().eval()
        rows = loop.rows_of(method, dataset, episodes, rules, numbers, device)
        return sorted((replace(row, seconds=0.0) for row in rows), key=lambda row: row.episode)

    straight = rows(list(range(9)))
    assert rows([4, 8, 0, 2, 6, 1, 7, 3, 5]) == straight
    assert rows([0, 1, 2]) + rows([3, 4, 5, 6]) + rows([7, 8]) == straight


def test_runs_are_kept_on_record_and_summarised(tmp_path):
    episodes = replace(questions(count=8), run_length=4)
    results = evaluate(NearestColour(), Patches(), episodes, protocol=padded(), out=tmp_path / "run")
    assert results.run.folds[0].run_length == 4
    halves = [
        evaluate(NearestColour(), Patches(), replace(episodes, episodes=part, run_length=None), protocol=padded())
        for part in (episodes[:4], episodes[4:])
    ]
    expected = [half.summary(draws=0).miou for half in halves]
    summary = results.summary(draws=0)
    assert [run.miou for run in summary.runs] == expected
    assert summary.miou == pytest.approx(np.mean(expected))


def test_a_run_of_several_is_resumed(tmp_path):
    episodes = replace(questions(count=8), run_length=4)
    whole = evaluate(NearestColour(), Patches(), episodes, protocol=padded())
    evaluate(NearestColour(), Patches(), episodes, protocol=padded(), out=tmp_path / "run", limit=3)
    resumed = evaluate(NearestColour(), Patches(), episodes, protocol=padded(), out=tmp_path / "run", resume=True)
    pd.testing.assert_frame_equal(counted(whole.frame), counted(resumed.frame))
    assert resumed.summary(draws=0).miou == whole.summary(draws=0).miou
