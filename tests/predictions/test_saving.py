"""Predictions of a method, saved as files that `fssbench score` reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fssbench.errors import UsageError
from fssbench.predictions.saving import SavedPredictions
from fssbench.results import Existing, Row
from fssbench.results.scoring import PredictedLabels

LABELS = np.array([[0, 1, 2]], dtype=np.uint8)
ROW = Row(0, 0, "q", (1, 2), (("s",), ("t",)), (1, 1, 1), (1, 1, 1), (True, False), (True, True), 0.1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def saved(folder: Path, fold: int = 0, count: int = 2) -> SavedPredictions:
    its = SavedPredictions(folder, [fold], Existing.REFUSE)
    its.begin([])
    for number in range(count):
        its.save(fold, number, PredictedLabels(LABELS, None, (True, False)))
    its.finish([replace(ROW, fold=fold, episode=number) for number in range(count)])
    return its


def test_each_answer_is_a_map_and_a_line_of_presence(tmp_path: Path) -> None:
    saved(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == ["fold0-00000.png", "fold0-00001.png", "presence.json"]
    with Image.open(tmp_path / "a" / "b" / "fold0-00001.png") as picture:
        assert np.array_equal(np.array(picture), LABELS)
    said = json.loads((tmp_path / "a" / "b" / "presence.json").read_text())
    assert said == {"fold0-00000": [True, False], "fold0-00001": [True, False]}


def test_folds_go_into_one_folder_one_after_the_other(tmp_path: Path) -> None:
    saved(tmp_path, 0)
    saved(tmp_path, 1)
    assert len(json.loads((tmp_path / "presence.json").read_text())) == 4
    with pytest.raises(UsageError, match=r"holds predictions already: fold0-00000\.png, fold0-00001\.png\n"):
        SavedPredictions(tmp_path, [0], Existing.REFUSE)


def test_what_is_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    saved(tmp_path, 0, 5)
    saved(tmp_path, 1)
    again = SavedPredictions(tmp_path, [0], Existing.OVERWRITE)
    again.begin([])
    again.save(0, 0, PredictedLabels(LABELS, LABELS, (True, True)))
    again.finish([replace(ROW, present=(True, True))])
    assert names(tmp_path) == [
        "fold0-00000-base.png", "fold0-00000.png", "fold1-00000.png", "fold1-00001.png", "presence.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "presence.json").read_text())["fold0-00000"] == [True, True]


@pytest.mark.parametrize("existing", [Existing.REFUSE, Existing.RESUME])
def test_maps_that_another_command_saved_meanwhile_stay(tmp_path: Path, existing: Existing) -> None:
    late = SavedPredictions(tmp_path, [0], existing)
    late.begin([])
    saved(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=r"another command has saved fold0-00001\.png"):
        late.save(0, 1, PredictedLabels(LABELS[:, ::-1].copy(), None, (True, True)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folds_that_are_saved_at_the_same_time_keep_each_others_presence(tmp_path: Path) -> None:
    late = SavedPredictions(tmp_path, [0], Existing.REFUSE)
    saved(tmp_path, 1)
    late.finish([ROW])
    said = json.loads((tmp_path / "presence.json").read_text())
    assert list(said) == ["fold0-00000", "fold1-00000", "fold1-00001"]


def test_a_run_is_continued_only_with_all_its_maps(tmp_path: Path) -> None:
    saved(tmp_path, 0, 3)
    going_on = SavedPredictions(tmp_path, [0], Existing.RESUME)
    rows = [replace(ROW, episode=number) for number in range(2)]
    going_on.begin(rows)
    assert names(tmp_path) == ["fold0-00000.png", "fold0-00001.png", "presence.json"], "the third was not answered"
    with pytest.raises(UsageError, match="2 episodes of the run are evaluated but not saved"):
        SavedPredictions(tmp_path, [0], Existing.RESUME).begin([replace(ROW, episode=n) for n in range(1, 4)])


def test_a_failed_write_leaves_no_half_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    its = SavedPredictions(tmp_path, [0], Existing.REFUSE)

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match="No space left"):
        its.save(0, 0, PredictedLabels(LABELS, None, (True, True)))
    assert names(tmp_path) == []


def test_what_a_killed_command_left_goes(tmp_path: Path) -> None:
    for name in ("fold0-00007.png", "presence.json", "fold1-00007.png"):
        (tmp_path / f".{name}.0123abcd").touch()
    saved(tmp_path)
    assert names(tmp_path) == [".fold1-00007.png.0123abcd", "fold0-00000.png", "fold0-00001.png", "presence.json"]
