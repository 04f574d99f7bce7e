"""Counts against the evaluators that the releases describe, on random answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fssbench.episode.episode import holds_none
from fssbench.errors import BrokenFileError, UsageError
from fssbench.methods.base.method import Prediction
from fssbench.protocols.rules import protocol
from fssbench.results.scoring import (
    PredictedLabels,
    Truth,
    count,
    label_maps_of,
    row_of,
    score_labels,
    truth_present,
)
from tests.episode.test_absent import drawn

Map = npt.NDArray[np.uint8]
RULES = replace(protocol("hsnet"), score_at="original")


def histogram(values: torch.Tensor, labels: int) -> torch.Tensor:
    """Bins of width one over 0..labels-1; what lies outside falls in none."""
    return torch.histc(values.float(), bins=labels, min=0, max=labels - 1)


def released_fss(answer: Map, label: Map, class_id: int) -> tuple[list[float], list[float]]:
    """One way: where the label is 255, both maps are set to 255 and fall out of the bins 0 and 1."""
    prediction = torch.from_numpy(answer.astype(np.float32))
    truth = torch.from_numpy((label == class_id).astype(np.float32))
    ignored = torch.from_numpy(label == 255)
    prediction[ignored] = truth[ignored] = 255
    both = histogram(prediction[prediction == truth], 2)
    either = histogram(prediction, 2) + histogram(truth, 2) - both
    return both.tolist(), either.tolist()


def released_fscs(answer: Map, label: Map, classes: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """N ways: all other labels are background, 255 too."""
    prediction = torch.from_numpy(answer.astype(np.float32))
    truth = torch.zeros_like(prediction)
    for n, class_id in enumerate(classes, 1):
        truth[torch.from_numpy(label == class_id)] = n
    labels = len(classes) + 1
    both = histogram(prediction[prediction == truth], labels)
    either = histogram(prediction, labels) + histogram(truth, labels) - both
    return both.tolist(), either.tolist()


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_one_way_leaves_255_out(generator: np.random.Generator) -> None:
    for _ in range(50):
        label = generator.choice([0, 3, 4, 255], (31, 17)).astype(np.uint8)
        answer = generator.integers(0, 2, label.shape, dtype=np.uint8)
        counts = count(answer, label, (3,), "leave-out")
        assert (list(counts.intersection), list(counts.union)) == released_fss(answer, label, 3)


@pytest.mark.parametrize("classes", [(4,), (4, 9), (9, 1, 4, 7, 2)])
def test_many_ways_count_255_as_background(generator: np.random.Generator, classes: tuple[int, ...]) -> None:
    for _ in range(20):
        label = generator.choice([0, 1, 4, 5, 9, 255], (23, 40)).astype(np.uint8)
        answer = generator.integers(0, len(classes) + 1, label.shape, dtype=np.uint8)
        counts = count(answer, label, classes, "background")
        assert (list(counts.intersection), list(counts.union)) == released_fscs(answer, label, classes)


def test_the_two_rules_differ_by_the_rim() -> None:
    label = np.array([[0, 1, 255, 255]], dtype=np.uint8)
    answer = np.array([[0, 1, 1, 0]], dtype=np.uint8)
    assert count(answer, label, (1,), "leave-out").union == (1, 1)
    assert count(answer, label, (1,), "background").union == (3, 2)


def test_all_ignored_counts_nothing() -> None:
    label = np.full((2, 2), 255, dtype=np.uint8)
    counts = count(np.ones((2, 2), dtype=np.uint8), label, (1,), "leave-out")
    assert (counts.intersection, counts.union) == ((0, 0), (0, 0))


def test_255_is_a_class_where_there_are_so_many() -> None:
    label = np.array([[255, 700, 0]], dtype=np.uint16)
    answer = np.array([[1, 0, 1]], dtype=np.uint8)
    counts = count(answer, label, (255,), "leave-out")
    assert (counts.intersection, counts.union) == ((1, 1), (2, 2))
    assert truth_present(label, (255, 700, 3)) == (True, True, False)


@pytest.mark.parametrize(
    "answer",
    [np.zeros((2, 3), dtype=np.uint8), np.zeros((2, 2), dtype=np.int64), np.full((2, 2), 2, dtype=np.uint8)],
    ids=["shape", "type", "value"],
)
def test_an_answer_that_is_none_is_refused(answer: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="the method predicted"):
        count(answer, np.zeros((2, 2), dtype=np.uint8), (1,), "leave-out")


def test_what_the_truth_has_not_is_left_out_where_a_release_leaves_it_out() -> None:
    label = np.array([[1, 1], [1, 255]], dtype=np.uint8)  # no background
    answer = np.array([[1, 0], [1, 1]], dtype=np.uint8)
    counts, _ = score_labels(answer, None, label, (1,), (), protocol("panet"))
    assert (counts.intersection, counts.union) == ((0, 2), (0, 3))
    counts, _ = score_labels(answer, None, label, (1,), (), protocol("hsnet"))
    assert (counts.intersection, counts.union) == ((0, 2), (1, 3))
    counts, _ = score_labels(answer, None, np.zeros((2, 2), np.uint8), (1,), (), protocol("panet"))
    assert (counts.intersection, counts.union) == ((1, 0), (4, 0))


def test_a_label_map_is_squashed_and_blown_up_again_where_a_release_counts_on_that() -> None:
    label = np.zeros((2, 6), dtype=np.uint8)
    label[:, 1], label[:, 4] = 1, 255
    rules = replace(protocol("rpmm"), input=(2, 3))
    truth = Truth.of(label, (1,), rules)
    # Pillow's nearest pixels are those at 1, 3 and 5; each comes back twice.
    assert truth.label.tolist() == [[1, 1, 0, 0, 0, 0]] * 2
    assert Truth.of(label, (1,), replace(rules, resize="pillow")).label is label


def test_the_novel_class_is_where_it_is_surer_than_the_threshold() -> None:
    rule = replace(protocol("bam-gfss"), base=replace(protocol("bam-gfss").base, threshold=0.5))  # type: ignore[type-var]
    logits = torch.zeros(2, 1, 3)
    logits[1, 0, 2] = 1e-3
    logits[1, 0, 0] = -1e-3
    none = torch.zeros(1, 3, dtype=torch.uint8)
    labels, base = label_maps_of(Prediction(logits, none, torch.tensor([True]), base=none), rule)
    assert labels.tolist() == [[0, 0, 1]]  # half and half is not sure enough
    assert base is None


def test_a_class_is_lost_where_resizing_leaves_no_pixel_of_it() -> None:
    label = np.zeros((8, 8), dtype=np.uint8)
    label[:, 4:], label[1, 1] = 4, 3
    rules = replace(protocol("hsnet"), input=(2, 2), score_at="input")
    found = Truth.of(label, (3, 4, 5), rules)
    assert (found.present, found.lost) == ((True, True, False), (True, False, False))
    assert Truth.of(label, (4, 5), rules).lost is None


def test_a_row_of_a_list_with_absent_queries_has_its_predicted_pixels() -> None:
    episodes = drawn(0.5)
    prediction = PredictedLabels(np.array([[0, 1, 1], [0, 0, 1]], np.uint8), None, (True,))
    for number, episode in enumerate(episodes):
        [class_id] = episode.classes
        with_class, without = (
            Truth.of(np.full((2, 3), value, np.uint8), (class_id,), RULES) for value in (class_id, 0)
        )
        true, false = (without, with_class) if holds_none(episode) else (with_class, without)
        row = row_of(episodes, number, prediction, true, (), RULES)
        assert (row.predicted, row.seconds, row.truth) == ((3,), 0.0, true.present)
        with pytest.raises(BrokenFileError):
            row_of(episodes, number, prediction, false, (), RULES)
    plain = drawn(None)
    assert row_of(plain, 0, prediction, Truth.of(np.zeros((2, 3), np.uint8), (9,), RULES), (), RULES).predicted is None


def test_predicted_pixels_are_those_of_the_classes_of_the_episode_alone() -> None:
    episodes, rules = drawn(0.5), protocol("bam-gfss")
    number = next(number for number, episode in enumerate(episodes) if not holds_none(episode))
    [class_id] = episodes[number].classes
    truth = Truth(np.full((1, 4), class_id, np.uint8), (True,))
    prediction = PredictedLabels(np.array([[1, 2, 2, 0]], np.uint8), None, (True,))
    row = row_of(episodes, number, prediction, truth, (20,), rules)
    assert (row.predicted, row.base) == ((1,), ((20, 0, 2, 0),))
