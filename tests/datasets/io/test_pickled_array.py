"""One pickled array of float32 is read without making an object; anything else is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from fssbench.datasets.io.pickled_array import read_array
from fssbench.errors import BrokenFileError, MissingError

VALUES = np.random.default_rng(0).standard_normal((4, 30)).astype(np.float32)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def _written(path: Path, content: object, protocol: int = 3) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def test_the_values_are_read_in_an_array_of_its_own(tmp_path: Path) -> None:
    read = read_array(_written(tmp_path / "a.pkl", VALUES), (4, 30))
    assert read.dtype == np.float32
    assert np.array_equal(read, VALUES)
    read[0] = 0.0


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (VALUES.astype(np.float64), "too large|its shape, type"),
        (VALUES.astype(">f4"), "its shape, type or order"),
        (np.asfortranarray(VALUES), "its shape, type or order"),
        (VALUES[:3], "its shape, type or order"),
        (VALUES.T.copy(), "its shape, type or order"),
        (VALUES.astype(np.int32), "its shape, type or order"),
        ([VALUES, VALUES], "too large|instruction|its shape"),
        ({"a": 1}, "instruction|its shape"),
    ],
)
def test_any_other_content_is_refused(tmp_path: Path, content: object, wrong: str) -> None:
    with pytest.raises(BrokenFileError, match=wrong):
        read_array(_written(tmp_path / "a.pkl", content), (4, 30))


def test_nothing_is_called_and_a_cut_or_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="it names"):
        read_array(_written(tmp_path / "trap.pkl", Trap(tmp_path / "made"), protocol=2), (4, 30))
    assert not (tmp_path / "made").exists()
    whole = _written(tmp_path / "a.pkl", VALUES)
    (tmp_path / "cut.pkl").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(BrokenFileError, match="not one pickled array of 4 x 30"):
        read_array(tmp_path / "cut.pkl", (4, 30))
    with pytest.raises(MissingError, match="there is no file"):
        read_array(tmp_path / "none.pkl", (4, 30))
    whole.write_bytes(whole.read_bytes() + b"\0" * 8192)
    with pytest.raises(BrokenFileError, match="too large"):
        read_array(whole, (4, 30))
