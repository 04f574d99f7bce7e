"""Pickled annotations are read without making an object."""

from __future__ import annotations

import enum
import pickle
from pathlib import Path

import numpy as np
import pytest

from fssbench.datasets.io.pickled_annotations import OPAQUE, read_annotations
from fssbench.errors import BrokenFileError, MissingError

CONTENT = {
    "plain": [1, -2, 2**70, 1.5, "é", b"ab", None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    7: {"nested": [{}, [], {"a": [0.25] * 3}]},
}


class Mode(enum.IntEnum):
    """As detectron2's BoxMode, which its annotations contain."""

    XYWH = 1


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    content = CONTENT if protocol > 2 else {**CONTENT, "plain": [1, -2, 2**70, 1.5, "é", None, (1, 2)]}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    if protocol < 2:
        # The oldest protocols write tuples and empty values by other instructions.
        content["plain"] = content["plain"][:]  # type: ignore[index]
    assert read_annotations(path) == content


def test_objects_are_passed_over_and_never_made(tmp_path: Path) -> None:
    path, trap = tmp_path / "a.pkl", tmp_path / "trap"
    shared = [1.0, 2.0]
    path.write_bytes(
        pickle.dumps({"mode": Mode.XYWH, "array": np.ones(3), "trap": Trap(trap), "a": shared, "b": shared})
    )
    assert read_annotations(path) == {"mode": OPAQUE, "array": OPAQUE, "trap": OPAQUE, "a": shared, "b": shared}
    assert not trap.exists()


@pytest.mark.parametrize(
    "raw", [b"", b"no pickle", pickle.dumps(CONTENT)[:-9], b"}(.", b"l.", pickle.dumps({(1,): {2}})]
)
def test_other_files_are_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(raw)
    with pytest.raises(BrokenFileError, match=r"a\.pkl"):
        read_annotations(path)
    with pytest.raises(MissingError):
        read_annotations(tmp_path / "b.pkl")
