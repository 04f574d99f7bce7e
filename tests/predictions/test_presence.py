"""Presence files in JSON and CSV: both are read the same way, and refused if they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.predictions.presence import check_presence, find_presence, read_presence

SAID = {"fold0-00000": (True, False), "fold0-00001": (False, False)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", '{"fold0-00000": [true, false], "fold0-00001": [false, false]}'),
        ("p.json", '{"fold0-00000": [1, 0], "fold0-00001": [0, 0]}'),
        ("p.csv", "fold0-00000,1,0\nfold0-00001,0,0\n"),
        ("p.csv", "id,class 1,class 2\r\nfold0-00000, True, False\r\n\r\nfold0-00001,false,FALSE\r\n"),
    ],
)
def test_both_forms_say_the_same(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert read_presence(tmp_path / name) == SAID


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", b"", "not JSON"),
        ("p.json", b"[" * 100_000, "not JSON"),
        ("p.json", b"[1, 2]", "not an object"),
        ("p.json", b'{"fold0-00000": {"a": [true]}}', "needs a list"),
        ("p.json", b'{"fold0-00000": "10"}', "needs a list"),
        ("p.json", b'{"fold0-00000": [2]}', "needs a list of true or false"),
        ("p.json", b'{"fold0-00000": [1.0]}', "needs a list of true or false"),
        ("p.json", b'{"fold0-00000": [true], "fold0-00000": [false]}', "fold0-00000 twice"),
        ("p.json", b'{"fold0-00000": [1e999, NaN]}', "needs a list"),
        ("p.json", b"\xff\xfe", "not UTF-8 text"),
        ("p.csv", b"fold0-00000,1\nfold0-00000,0\n", "fold0-00000 twice"),
        ("p.csv", b"id,1\nfold0-00000,maybe\n", "line 2: presence is 1 or 0"),
        ("p.csv", b"fold0-00000,\n", "line 1: presence is 1 or 0"),
    ],
)
def test_what_says_nothing_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BrokenFileError, match=message):
        read_presence(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no presence file"):
        read_presence(tmp_path / "gone.json")
    with pytest.raises(BrokenFileError, match="can't read"):
        read_presence(tmp_path)


def test_what_lies_beside_the_label_maps(tmp_path: Path) -> None:
    assert find_presence(tmp_path, {"fold0-00000.png"}) is None
    assert find_presence(tmp_path, {"presence.csv", "x"}) == tmp_path / "presence.csv"
    with pytest.raises(UsageError, match="both"):
        find_presence(tmp_path, {"presence.csv", "presence.json"})


def test_answers_that_do_not_fit_are_counted_and_named() -> None:
    known = {f"fold0-{n:05d}" for n in range(6)}
    check_presence(SAID, ["fold0-00000"], known, {0}, 2, "p.json")
    said = SAID | {"fold0-00009": (True, True), "fold1-00000": (True, True), "fold0-00002": (True,), "x": (True, True)}
    with pytest.raises(BrokenFileError) as caught:
        check_presence(said, sorted(known), known, {0}, 2, "p.json")
    assert caught.value.message == (
        "presence in p.json: 3 episodes are missing: fold0-00003, fold0-00004, fold0-00005; "
        "2 ids belong to no episode: fold0-00009, x; 1 have not 2 values: fold0-00002"
    )
