"""Merged shards of a run: each row once, the starts of all shards, and the list of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fssbench import evaluate
from fssbench.episode import write_episodes
from fssbench.errors import BrokenFileError
from fssbench.results import Existing, load_run
from fssbench.results.merge import merge
from tests.engine.stub import NearestColour, Patches, questions, rules


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    evaluate(NearestColour(), Patches(), questions(count=4), protocol=rules(), out=folder)
    return folder


def part(whole: Path, folder: Path, rows: slice, *times: str, **changed: object) -> Path:
    """A copy of a run with some of its rows, started at these times."""
    shutil.copytree(whole, folder)
    lines = [json.loads(line) | changed for line in (whole / "rows.jsonl").read_text().splitlines()[rows]]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in lines))
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    record["starts"] = [record["starts"][0] | {"time": time} for time in times]
    (folder / "run.json").write_text(json.dumps(record))
    return folder


EARLY, MIDDLE, LATE = (f"2024-01-0{day}T00:00:00+00:00" for day in (1, 2, 3))


def test_starts_stand_once_by_their_time(whole: Path, tmp_path: Path) -> None:
    parts = [
        part(whole, tmp_path / "b", slice(2, 4), LATE, EARLY),
        part(whole, tmp_path / "a", slice(2), EARLY, MIDDLE),
    ]
    merged = merge(parts, tmp_path / "out")
    assert [start.time for start in merged.run.starts] == [EARLY, MIDDLE, LATE]
    assert merged.missing == 0
    assert load_run(tmp_path / "out").summary(draws=0).miou == load_run(whole).summary(draws=0).miou


def test_rows_that_are_there_are_not_written_again(whole: Path, tmp_path: Path) -> None:
    first, second = part(whole, tmp_path / "a", slice(2), EARLY), part(whole, tmp_path / "b", slice(1, 4), LATE)
    merge([first], tmp_path / "out")
    merged = merge([first, second], tmp_path / "out", Existing.RESUME)
    assert merged.frame["episode"].tolist() == [0, 1, 2, 3]
    assert len((tmp_path / "out" / "rows.jsonl").read_text().splitlines()) == 4


def test_another_time_is_no_other_answer(whole: Path, tmp_path: Path) -> None:
    first, again = (
        part(whole, tmp_path / "a", slice(4), EARLY),
        part(whole, tmp_path / "b", slice(2), EARLY, seconds=9.5),
    )
    assert merge([first, again], tmp_path / "out").missing == 0
    other = part(whole, tmp_path / "c", slice(1), EARLY, present=[False])
    with pytest.raises(BrokenFileError, match=r"fold 0, episode 0 has different rows in .*a and .*c"):
        merge([first, other], tmp_path / "no")


def test_a_list_that_is_not_the_run_s_is_refused(whole: Path, tmp_path: Path) -> None:
    first = part(whole, tmp_path / "a", slice(4), EARLY)
    write_episodes(questions(count=3), first / "episodes-fold0.json")
    with pytest.raises(BrokenFileError, match=r"episodes-fold0\.json is not the list of the run in that folder"):
        merge([first], tmp_path / "out")
