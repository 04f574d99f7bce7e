"""The cached index: what is kept, when it is built again, and what the fingerprint means."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from fssbench.config import cache_folder
from fssbench.datasets.io import index_cache
from fssbench.datasets.io.index_cache import cached_index, fingerprint_of, frame_of, key_of

FRAME = frame_of([("b", 2, 30), ("a", 1, 4096), ("b", 1, 7)])


class Builder:
    """Counts how often an index is built."""

    def __init__(self, frame: pd.DataFrame = FRAME) -> None:
        self.frame = frame
        self.calls = 0

    def __call__(self) -> pd.DataFrame:
        self.calls += 1
        return self.frame.copy()


def cached_file() -> Path:
    (path,) = (cache_folder() / "index").iterdir()
    return path


def test_frames_have_the_columns_and_types_of_an_index() -> None:
    assert list(FRAME.columns) == ["name", "class_id", "pixels"]
    assert FRAME["class_id"].dtype == FRAME["pixels"].dtype == np.int64
    empty = frame_of([])
    assert list(empty.columns) == list(FRAME.columns)
    assert empty["pixels"].dtype == np.int64


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        frame_of([]),
        frame_of([("ä/b\nc.jpg", 1, 2, 3), ("\udcff", 1, 2, 3)], ("name", "class_id", "pixels", "cells")),
    ],
)
def test_an_index_is_built_once_and_comes_back_equal(frame: pd.DataFrame) -> None:
    build = Builder(frame)
    assert_frame_equal(cached_index("x", "key", build), frame)
    assert_frame_equal(cached_index("x", "key", build), frame)
    assert build.calls == 1


def test_another_key_builds_again() -> None:
    build = Builder()
    cached_index("x", "a" * 64, build)
    cached_index("x", "b" * 64, build)
    cached_index("y", "a" * 64, build)
    # The same file name, but not the same key.
    cached_index("x", "a" * 16 + "c" * 48, build)
    assert build.calls == 4


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"garbage" * 100, None])
def test_a_corrupt_cache_is_built_again(content: bytes | None) -> None:
    build = Builder()
    cached_index("x", "key", build)
    path = cached_file()
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    assert_frame_equal(cached_index("x", "key", build), FRAME)
    assert build.calls == 2
    cached_index("x", "key", build)
    assert build.calls == 2, "it is kept again"


def test_a_cache_with_pickled_objects_is_not_loaded() -> None:
    build = Builder()
    cached_index("x", "key", build)
    path = cached_file()
    names = np.array(["a", {"an": "object"}], dtype=object)
    with path.open("wb") as file:
        np.savez(file, key=np.array("key"), names=names, codes=np.array([0]), column_class_id=np.array([1]))
    assert_frame_equal(cached_index("x", "key", build), FRAME)
    assert build.calls == 2


def test_a_cache_whose_columns_do_not_fit_is_built_again() -> None:
    build = Builder()
    cached_index("x", "key", build)
    path = cached_file()
    with path.open("wb") as file:
        np.savez(
            file, key=np.array("key"), names=np.frombuffer(b"a\0b", np.uint8), codes=np.array([0, 5]),
            column_class_id=np.array([1, 2]), column_pixels=np.array([1, 2]),
        )  # fmt: skip
    assert_frame_equal(cached_index("x", "key", build), FRAME)
    assert build.calls == 2


def test_a_folder_that_cannot_be_written_is_done_without() -> None:
    cache_folder().parent.mkdir(parents=True, exist_ok=True)
    cache_folder().write_text("a file where the folder should be")
    build = Builder()
    assert_frame_equal(cached_index("x", "key", build), FRAME)
    assert build.calls == 1


def test_nothing_half_written_is_left(monkeypatch) -> None:
    def fails(*_args: object, **_kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fails)
    assert_frame_equal(cached_index("x", "key", Builder()), FRAME)
    assert list((cache_folder() / "index").iterdir()) == []


def test_the_key_follows_names_sizes_times_and_rules(tmp_path: Path) -> None:
    path = tmp_path / "mask"
    path.write_bytes(b"abc")
    os.utime(path, ns=(1, 1))
    key = key_of([path], "rule")
    assert key_of([path], "rule") == key
    assert key_of([path], "another rule") != key
    os.utime(path, ns=(1, 2))
    assert key_of([path], "rule") != key
    path.write_bytes(b"abcd")
    os.utime(path, ns=(1, 1))
    assert key_of([path], "rule") != key


def test_the_fingerprint_is_of_content_and_order_of_lists() -> None:
    lists = [("a", 1), ("b", 2)]
    fingerprint = fingerprint_of({"rule": "r"}, FRAME, lists)
    assert fingerprint_of({"rule": "r"}, FRAME.iloc[::-1], lists) == fingerprint, "the index has no order"
    assert fingerprint_of({"rule": "r"}, FRAME, lists[::-1]) != fingerprint, "the lists have"
    assert fingerprint_of({"rule": "s"}, FRAME, lists) != fingerprint
    assert fingerprint_of({"rule": "r"}, FRAME.assign(pixels=FRAME["pixels"] + 1), lists) != fingerprint
    assert fingerprint == "f4692c96962d3302df98f06df9fe5756d46a350471c5eac7fee61905552dec05"


def test_one_relative_path_in_two_folders_has_two_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        mask = Path("mask.png")
        mask.write_bytes(b"same size")
        os.utime(mask, ns=(10**18, 10**18))
        keys.append(key_of([mask]))
        assert key_of([mask]) == key_of([mask.absolute()])
    assert keys[0] != keys[1]


def test_a_file_changed_in_place_has_another_key_though_size_and_time_are_kept(tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"before")
    os.utime(mask, ns=(10**18, 10**18))
    before, changed_at = key_of([mask]), mask.stat().st_ctime_ns
    while mask.stat().st_ctime_ns == changed_at:  # The clock of a file system ticks every few milliseconds.
        mask.write_bytes(b"after!")
        os.utime(mask, ns=(10**18, 10**18))
    assert key_of([mask]) != before


def test_a_link_to_another_folder_of_the_same_names_has_another_key(tmp_path: Path) -> None:
    keys = []
    link = tmp_path / "data"
    for folder in ("one", "two"):
        mask = tmp_path / folder / "mask.png"
        mask.parent.mkdir()
        mask.write_bytes(b"same size")
        os.utime(mask, ns=(10**18, 10**18))
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / folder)
        keys.append(key_of([link / "mask.png"]))
    assert keys[0] != keys[1]


def test_what_killed_commands_left_of_any_data_set_goes() -> None:
    (cache_folder() / "index").mkdir(parents=True)
    (cache_folder() / "index" / ".y-0123456789abcdef.npz.0123abcd").touch()
    cached_index("x", "key", Builder())
    assert cached_file().name.startswith("x-")


def cached_names() -> list[str]:
    return sorted(path.name for path in (cache_folder() / "index").iterdir())


def test_an_index_replaces_the_earlier_one_of_its_folder_alone(tmp_path: Path) -> None:
    build = Builder()
    for name, key, folder in (("x", "a", "one"), ("x", "b", "two"), ("x-y", "c", "one"), ("x", "d", "one")):
        cached_index(name, key * 64, build, tmp_path / folder)
    assert sorted(name[-20:-4] for name in cached_names()) == [key * 16 for key in "bcd"]
    cached_index("x", "d" * 64, build, tmp_path / "one")
    assert build.calls == 4


def test_so_many_indices_are_kept_that_were_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_cache, "MOST", 3)
    build = Builder()
    for number in range(3):
        cached_index("x", str(number) * 64, build)
        os.utime(cache_folder() / "index" / f"x-drawn-{str(number) * 16}.npz", (number, number))
    cached_index("x", "0" * 64, build)  # used now
    cached_index("x", "3" * 64, build)
    assert cached_names() == [f"x-drawn-{key * 16}.npz" for key in "023"]


def test_an_index_that_can_not_be_removed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Builder()
    cached_index("x", "a" * 64, build)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError("not allowed")))
    monkeypatch.setattr(index_cache, "MOST", 1)
    assert_frame_equal(cached_index("x", "b" * 64, build), FRAME)
