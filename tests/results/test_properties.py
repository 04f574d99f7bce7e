"""What holds of any label maps, any rows and any division of a run."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fssbench import evaluate
from fssbench.errors import FSSBenchError
from fssbench.metrics.columns import count_columns
from fssbench.metrics.fold_counts import CountingRules, count_folds
from fssbench.results import counted, load_run
from fssbench.results.merge import merge
from fssbench.results.rows import frame_of, line_of, read_rows
from fssbench.results.scoring import Counts, count
from tests.engine.stub import NearestColour, Patches, questions, rules
from tests.fuzz.changes import CHANGES, Change, changed
from tests.properties import examples
from tests.results.test_counted import rows_of

Map = npt.NDArray[np.uint8]
CLASSES = (3, 7)


@st.composite
def maps(draw: st.DrawFn) -> tuple[Map, Map]:
    """A prediction (0..2) and a label map (classes 3 and 7, another one, and 255) of any size from 1 x 1."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 9)))
    predicted = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    if draw(st.booleans()):
        return predicted, draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from((0, 3, 7, 9, 255))))
    return predicted, np.full(shape, draw(st.sampled_from((0, 3, 255))), dtype=np.uint8)


def added(one: Counts, other: Counts) -> Counts:
    def both(name: str) -> tuple[int, ...]:
        return tuple(a + b for a, b in zip(getattr(one, name), getattr(other, name), strict=True))

    return Counts(**{field.name: both(field.name) for field in fields(Counts)})


@examples(25)
@given(maps(), st.floats(0, 1), st.sampled_from(("leave-out", "background")))
def test_counts_of_two_parts_of_an_image_are_those_of_the_whole(
    found: tuple[Map, Map], share: float, rule: str
) -> None:
    predicted, label = found
    at = int(share * predicted.shape[1])
    whole = count(predicted, label, CLASSES, rule)  # type: ignore[arg-type]
    left, right = (count(predicted[:, part], label[:, part], CLASSES, rule) for part in (slice(at), slice(at, None)))  # type: ignore[arg-type]
    assert whole == added(left, right)
    for both, either, truth in zip(whole.intersection, whole.union, whole.truth, strict=True):
        assert 0 <= both <= truth <= either


@examples(25)
@given(maps(), st.sampled_from(("leave-out", "background")))
def test_names_of_classes_and_the_order_of_pixels_change_no_count(found: tuple[Map, Map], rule: str) -> None:
    predicted, label = found
    whole = count(predicted, label, CLASSES, rule)  # type: ignore[arg-type]
    assert whole == count(predicted.T[::-1], label.T[::-1], CLASSES, rule)  # type: ignore[arg-type]
    other = np.array([0, 2, 1], dtype=np.uint8)[predicted]
    turned = count(other, label, CLASSES[::-1], rule)  # type: ignore[arg-type]
    assert turned.union == (whole.union[0], whole.union[2], whole.union[1])
    assert turned.intersection == (whole.intersection[0], whole.intersection[2], whole.intersection[1])


@examples(25)
@given(maps(), st.integers(0, 2))
def test_a_prediction_for_pixels_that_are_left_out_changes_nothing(found: tuple[Map, Map], value: int) -> None:
    predicted, label = found
    there = np.where(label == 255, value, predicted).astype(np.uint8)
    assert count(predicted, label, CLASSES, "leave-out") == count(there, label, CLASSES, "leave-out")
    assert sum(count(predicted, label, CLASSES, "leave-out").truth) == int((label != 255).sum())
    assert sum(count(predicted, label, CLASSES, "background").truth) == label.size


@examples(40)
@given(st.integers(0, 50), st.sampled_from([(1, 1), (1, 2), (2, 1)]), CHANGES | st.just([]))
def test_both_readers_take_the_same_rows_and_none_takes_what_the_other_refuses(
    tmp_path: Path, seed: int, form: tuple[int, int], changes: list[Change]
) -> None:
    way, shot = form
    path = tmp_path / "rows.jsonl"
    rows = rows_of(way, shot, 6, seed)
    if seed % 2:
        masks = ("0" * 12,) * (1 + way * shot)
        rows = [replace(row, predicted=row.union[1:], masks=masks if seed % 3 else None) for row in rows]
    text = "".join(f"{line_of(row)}\n" for row in rows).encode()
    path.write_bytes(changed(text, changes))
    columns = counted.read_columns(path, way, shot)
    try:
        rows = read_rows(path)
    except FSSBenchError:
        assert columns is None
        return
    assert changes or columns is not None
    if columns is not None:
        assert [(row.fold, row.episode) for row in rows] == list(
            zip(columns.fold.tolist(), columns.episode.tolist(), strict=True)
        )
        pairs = zip(count_columns(columns), count_folds(frame_of(rows), CountingRules(None)), strict=True)
        for ours, theirs in pairs:
            assert ours.total.clusters == theirs.total.clusters
            np.testing.assert_array_equal(ours.total.sums, theirs.total.sums)


@pytest.mark.parametrize(("predicted", "sound"), [((4,), True), ((7,), True), ((3,), False), ((8,), False)])
def test_both_readers_hold_predicted_pixels_against_the_counts(
    tmp_path: Path, predicted: tuple[int, ...], sound: bool
) -> None:
    row = replace(rows_of(1, 1, 6, 0)[0], intersection=(0, 4), union=(9, 7), predicted=predicted)
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{line_of(row)}\n")
    assert (counted.read_columns(path, 1, 1) is not None) == sound
    if sound:
        assert read_rows(path) == [row]
    else:
        with pytest.raises(FSSBenchError, match="fewer predicted pixels than intersection, or more than union"):
            read_rows(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    evaluate(NearestColour(), Patches(), questions(count=6), protocol=rules(), out=folder)
    return folder


@examples(4)
@given(parts=st.lists(st.integers(0, 3), min_size=6, max_size=6), order=st.randoms(use_true_random=False))
def test_any_division_of_a_run_is_merged_to_the_same_rows_and_summary(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, parts: list[int], order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    lines = (whole / "rows.jsonl").read_text().splitlines(keepends=True)
    folders = []
    for part in sorted(set(parts)):
        shutil.copytree(whole, folder / str(part))
        mine = [line for line, of in zip(lines, parts, strict=True) if of == part]
        order.shuffle(mine)
        (folder / str(part) / "rows.jsonl").write_text("".join(mine))
        folders.append(folder / str(part))
    order.shuffle(folders)
    merged = merge(folders, folder / "out")
    assert merged.missing == 0

    def keyed(place: Path) -> dict[int, object]:
        return {
            json.loads(line)["episode"]: json.loads(line)
            for line in (place / "rows.jsonl").read_text().split("\n")[:-1]
        }

    assert keyed(folder / "out") == keyed(whole)
    assert (folder / "out" / "summary.json").read_text() == (whole / "summary.json").read_text()
    ours, theirs = load_run(folder / "out").summary(draws=20), load_run(whole).summary(draws=20)
    assert (ours.miou, ours.intervals) == (theirs.miou, theirs.intervals)
