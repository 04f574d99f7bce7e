"""Pickles are read without being run: lists, dicts, strings and whole numbers, and nothing else."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fssbench.datasets.io import pickled_lists
from fssbench.datasets.io.pickled_lists import read_pickle
from fssbench.errors import BrokenFileError, MissingError

values = st.recursive(
    st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers() | st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def file_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "fold0.pkl"
    path.write_bytes(content)
    return path


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_what_a_pickle_of_plain_values_holds_comes_back(tmp_path: Path, value: object, protocol: int) -> None:
    assert read_pickle(file_of(tmp_path, pickle.dumps(value, protocol))) == value


def test_shared_values_stay_shared(tmp_path: Path) -> None:
    name = "val2014/COCO_val2014_000000000139.jpg"
    ids = [name, name]
    read = read_pickle(file_of(tmp_path, pickle.dumps({0: ids, 1: ids, 2: []}, 3)))
    assert read == {0: ids, 1: ids, 2: []}


class Runs:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize(
    ("value", "instruction"),
    [
        (Runs(), "GLOBAL"),
        ({0: [Runs()]}, "GLOBAL"),
        (collections.OrderedDict(a=1), "GLOBAL"),
        (Path("/"), "GLOBAL"),
        (b"bytes", "BYTES"),
        (1.5, "BINFLOAT"),
        (None, "NONE"),
        ((1, 2), "TUPLE"),
        ({1, 2}, "SET"),
        (True, "NEWTRUE"),
        (bytearray(b"x"), "(BYTEARRAY|GLOBAL)"),
    ],
)
def test_everything_else_is_refused_by_name(tmp_path: Path, value: object, instruction: str, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in (4, 5):
        path = file_of(tmp_path, pickle.dumps(value, protocol))
        with pytest.raises(BrokenFileError, match=rf"it has the instruction \w*{instruction}"):
            read_pickle(path)
        assert [path.name for path in tmp_path.iterdir()] == ["fold0.pkl"]


@pytest.mark.parametrize("protocol", [0, 1])
def test_true_of_the_oldest_protocols_is_no_number(tmp_path: Path, protocol: int) -> None:
    with pytest.raises(BrokenFileError, match="true or false"):
        read_pickle(file_of(tmp_path, pickle.dumps([True], protocol)))


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # GLOBAL and REDUCE by hand
        b"\x80\x03Pname\n.",  # a persistent id
        b"\x80\x02\x82\x01.",  # the extension registry
        b"\x80\x03}(ib\nb\nb.",  # INST
    ],
)
def test_hand_made_programs_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BrokenFileError, match=r"not a split file|truncated or no pickle"):
        read_pickle(file_of(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x03",
        b"not a pickle at all",
        b"\x80\x03}.}.."[:2] + b"(.",  # a mark is no value
        b"\x80\x03a.",  # nothing to append to
        b"\x80\x03]]e.",  # no mark
        b"\x80\x03K\x01K\x02.",  # two results
        b"\x80\x03h\x05.",  # an empty place of the memo
        b"\x80\x03}]K\x01s.",  # a list as a key
        b"\x80\x03}(K\x01u.",  # a key without a value
        b"\x80\x03X\xff\xff\xff\x7fabc.",  # a string longer than the file
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",  # likewise, 8 bytes of length
        b"\x80\x03K\x01r\xff\xff\xff\xff" * 3,  # places of the memo that would fill the memory
    ],
)
def test_senseless_programs_are_broken_files(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BrokenFileError):
        read_pickle(file_of(tmp_path, content))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_noise_is_a_value_or_a_broken_file(tmp_path: Path, content: bytes) -> None:
    try:
        value = read_pickle(file_of(tmp_path, b"\x80\x03" + content))
    except BrokenFileError:
        return
    assert isinstance(value, int | str | list | dict)


def test_missing_and_too_large_files(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(MissingError):
        read_pickle(tmp_path / "none.pkl")
    path = file_of(tmp_path, pickle.dumps([1]))
    monkeypatch.setattr(pickled_lists, "MAX_BYTES", 3)
    with pytest.raises(BrokenFileError, match="too large"):
        read_pickle(path)
