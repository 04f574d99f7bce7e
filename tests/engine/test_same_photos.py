"""Rows of one run are of one set of photos, also where it is continued, put together or compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench import evaluate
from fssbench.comparison.pairing import pair
from fssbench.datasets.transfer.view import TransferView
from fssbench.engine import folds
from fssbench.engine.features.loader import InputTransform, Loader
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.planning.settings import Settings
from fssbench.results import Row, load_run, read_rows
from fssbench.results.merge import merge
from fssbench.results.photos import check_photo_digests
from fssbench.results.progress import Silent
from fssbench.results.rows import line_of
from tests.engine.stub import NearestColour, Patches, questions, rules

LIST = questions(count=6, shot=2)


class InFiles(Patches):
    """Pictures that are in files, as far as anybody can tell."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        for number in range(12):
            self.photo_path(f"p{number}").write_bytes(b"photo %d" % number)

    def photo_path(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def dataset(tmp_path: Path) -> InFiles:
    (tmp_path / "photos").mkdir()
    return InFiles(tmp_path / "photos")


@pytest.fixture
def run(tmp_path: Path, dataset: InFiles) -> Path:
    evaluate_list(dataset, tmp_path / "run", limit=3)
    return tmp_path / "run"


def evaluate_list(dataset: Patches, out: Path, **options: object) -> None:
    evaluate(NearestColour(shot=2), dataset, LIST, protocol=rules(), out=out, **options)


def photos_of(rows: list[Row]) -> Iterator[str]:
    return (name for row in rows for name in (row.query, *row.supports[0]))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cache", [0, None])
def test_a_row_names_the_files_it_was_answered_from(dataset: InFiles, tmp_path: Path, workers: int, cache: int | None):
    evaluate_list(dataset, tmp_path / "run", settings=Settings(workers=workers, feature_cache=cache))
    for row in read_rows(tmp_path / "run" / "rows.jsonl"):
        files = [dataset.photo_path(name).read_bytes() for name in (row.query, *row.supports[0])]
        assert row.photos == tuple(hashlib.sha256(file).hexdigest()[:12] for file in files)


def test_what_is_drawn_has_no_file(tmp_path: Path):
    evaluate_list(Patches(), tmp_path / "run", limit=3)
    assert [row.photos for row in read_rows(tmp_path / "run" / "rows.jsonl")] == [None] * 3
    evaluate_list(Patches(), tmp_path / "run", resume=True)
    assert load_run(tmp_path / "run").missing == 0
    assert "photos" not in load_run(tmp_path / "run").frame.columns


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_run_is_not_continued_from_other_photos(dataset: InFiles, run: Path, which: int):
    first = read_rows(run / "rows.jsonl")[0]
    names = set(photos_of(read_rows(run / "rows.jsonl")))
    photo = dataset.photo_path((first.query, *first.supports[0])[which])
    before, content = {path: path.read_bytes() for path in run.iterdir()}, photo.read_bytes()
    photo.write_bytes(content[:-1] + b"!")
    message = f"can't be continued: 1 of the {len(names)} photos of its rows have changed since, the first {photo}"
    with pytest.raises(UsageError, match=message) as refused:
        evaluate_list(dataset, run, resume=True)
    assert "--overwrite" in str(refused.value.remedy)
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    photo.write_bytes(content)
    evaluate_list(dataset, run, resume=True)
    assert load_run(run).missing == 0


def test_a_photo_that_is_gone_is_missed(dataset: InFiles, run: Path):
    dataset.photo_path(read_rows(run / "rows.jsonl")[0].query).unlink()
    with pytest.raises(MissingError, match="there is no file"):
        evaluate_list(dataset, run, resume=True)


def test_files_are_not_replaced_by_none(run: Path):
    with pytest.raises(BrokenFileError, match="has no files"):
        evaluate_list(Patches(), run, resume=True)


def test_photos_that_no_row_is_of_may_change(dataset: InFiles, run: Path):
    used = set(photos_of(read_rows(run / "rows.jsonl")))
    others = [path for path in dataset.folder.iterdir() if path.name not in used]
    assert others
    for path in others:
        path.write_bytes(b"another")
    evaluate_list(dataset, run, resume=True)
    assert load_run(run).missing == 0


def test_a_finished_run_is_shown_without_its_photos(dataset: InFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    evaluate_list(dataset, tmp_path / "run")
    monkeypatch.setattr(folds, "check_same_photos", lambda *_: pytest.fail("nothing is left to evaluate"))
    evaluate_list(dataset, tmp_path / "run", resume=True)


def test_rows_of_an_earlier_version_are_continued(dataset: InFiles, run: Path):
    rows = read_rows(run / "rows.jsonl")
    (run / "rows.jsonl").write_text("".join(f"{line_of(replace(row, photos=None))}\n" for row in rows))
    assert "photos" not in (run / "rows.jsonl").read_text()
    evaluate_list(dataset, run, resume=True)
    assert load_run(run).frame["photos"].isna().tolist() == [True] * 3 + [False] * 3


class Exchanging(Silent):
    """Replaces every photo after the first prediction."""

    def __init__(self, dataset: InFiles) -> None:
        self.dataset = dataset

    def advance(self, row: Row, run: int = 0) -> None:
        for path in self.dataset.folder.iterdir():
            path.write_bytes(b"another")


def test_photos_replaced_during_the_evaluation(dataset: InFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fssbench.engine.features.loader.IMAGE_CACHE_BYTES", 0)
    with pytest.raises(BrokenFileError, match="was replaced during the evaluation"):
        evaluate_list(
            dataset,
            tmp_path / "run",
            progress=Exchanging(dataset),
            settings=Settings(workers=0, feature_cache=0, batch_size=1),
        )
    check_photo_digests(read_rows(tmp_path / "run" / "rows.jsonl"), tmp_path)


def test_a_loader_notes_the_file_of_each_photo_of_an_episode(dataset: InFiles):
    view = InputTransform((24, 24), "bilinear")
    with Loader(dataset, 0) as loader:
        loader.image(view, "p3")
        assert loader.digests_of(["p3"]) == (hashlib.sha256(b"photo 3").hexdigest()[:12],)
        assert loader.digests_of(["p4"]) == (hashlib.sha256(b"photo 4").hexdigest()[:12],)  # it was not looked at
    with Loader(Patches(), 0) as loader:
        assert loader.digests_of(["p3"]) is None


def test_a_data_set_seen_from_another_has_its_files(dataset: InFiles):
    view = object.__new__(TransferView)
    view.inner = dataset
    assert view.photo_path("p3") == dataset.photo_path("p3")


def test_parts_of_two_sets_of_photos_are_not_put_together(dataset: InFiles, tmp_path: Path):
    evaluate_list(dataset, tmp_path / "first", limit=3)
    evaluate_list(dataset, tmp_path / "whole")
    assert merge([tmp_path / "whole", tmp_path / "first"], tmp_path / "same").missing == 0
    for path in dataset.folder.iterdir():
        path.write_bytes(b"another")
    evaluate_list(dataset, tmp_path / "other", limit=3)
    with pytest.raises(BrokenFileError, match=r"other were computed from two different photos 'p\d+'"):
        merge([tmp_path / "whole", tmp_path / "other"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_of_an_earlier_version_is_the_same_answer(dataset: InFiles, tmp_path: Path):
    evaluate_list(dataset, tmp_path / "whole")
    evaluate_list(Patches(), tmp_path / "old", limit=3)
    assert merge([tmp_path / "whole", tmp_path / "old"], tmp_path / "out").missing == 0


def test_runs_on_two_sets_of_photos_say_so_when_they_are_compared(dataset: InFiles, tmp_path: Path):
    evaluate_list(dataset, tmp_path / "a")
    evaluate_list(dataset, tmp_path / "b")
    a, b = load_run(tmp_path / "a"), load_run(tmp_path / "b")
    assert not any("photos" in note for note in pair([a, b]).notes)
    first = read_rows(tmp_path / "a" / "rows.jsonl")[0].query
    dataset.photo_path(first).write_bytes(b"another")
    evaluate_list(dataset, tmp_path / "c")
    count = sum(first in photos_of([row]) for row in read_rows(tmp_path / "a" / "rows.jsonl"))
    message = f"{tmp_path / 'c'} read different photos under the same names in {count} of 6 episodes"
    assert message in pair([a, load_run(tmp_path / "c")]).notes
    unknown = replace(b, frame=b.frame.drop(columns="photos"))
    assert not any("photos" in note for note in pair([a, unknown]).notes)
