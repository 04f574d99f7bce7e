"""Pickles in checkpoints that claim, call or repeat too much: nothing of them is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from fssbench.checkpoints.files import recognise
from fssbench.checkpoints.loading import read_state
from fssbench.datasets.io.pickled_annotations import read_annotations
from fssbench.errors import BrokenFileError, CheckpointError

ENDLESS = b"\x80\x02}()q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(41)) + b"u."
"""Tuples of the same tuple twice, 41 levels deep, as keys: to hash one takes 2 to the power of 41 steps."""


class Calling:
    """Something that would call the system."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


def with_program(path: Path, program: bytes) -> Path:
    """Write a torch file with a pickle of one's own."""
    torch.save({"w": torch.arange(4.0)}, path.with_suffix(".good"))
    with zipfile.ZipFile(path.with_suffix(".good")) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, program if name.endswith("data.pkl") else good.read(name))
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_a_pickle_would_call_is_named(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(Calling(), protocol))
    with pytest.raises(BrokenFileError, match=r"it would call posix\.system; it was not opened"):
        recognise(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_a_torch_file_would_call_is_named(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "a.pt"
    torch.save({"w": Calling()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"posix\.system.* it was not run"):
        read_state(path)


def test_an_old_file_that_claims_more_than_it_has_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"w": torch.arange(200.0)}, path, _use_new_zipfile_serialization=False)
    assert read_state(path)["w"].numel() == 200
    raw = path.read_bytes()
    assert raw.count(b"K\xc8N") == 1
    path.write_bytes(raw.replace(b"K\xc8N", b"J\x00\x00\x00\x10N"))
    with pytest.raises(BrokenFileError, match=f"claims {2**28} values, more than its"):
        read_state(path)


@pytest.mark.parametrize("called", [b"cbuiltins\nbytearray\n", b"ctorch\nTensor\n"])
def test_nothing_is_allocated_by_a_call(tmp_path: Path, called: bytes) -> None:
    program = b"\x80\x02}X\x01\x00\x00\x00w" + called + b"J\x00\x00\x00\x10\x85Rs."
    with pytest.raises(BrokenFileError, match=f"claims {2**28} values"):
        read_state(with_program(tmp_path / "a.pt", program))


def test_keys_that_share_their_parts_end(tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="values within values without end"):
        read_state(with_program(tmp_path / "a.pt", ENDLESS))
    (tmp_path / "a.pkl").write_bytes(ENDLESS)
    with pytest.raises(BrokenFileError, match="not a pickle of annotations"):
        read_annotations(tmp_path / "a.pkl")
