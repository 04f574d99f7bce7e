"""The kind of a weight file, and the message for each frequent mistake."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fssbench.checkpoints import recognise, stated_options
from fssbench.errors import BrokenFileError, MissingError

STATE = {"weight": torch.zeros(3)}


def _zip(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("best_model.pt"))
    return buffer.getvalue()


def test_the_three_formats_are_told_apart(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.save(STATE, tmp_path / "new.pt")
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file(STATE, tmp_path / "own.safetensors")
    assert recognise(tmp_path / "new.pt") == "torch-zip"
    assert recognise(tmp_path / "old.pt") == "torch-legacy"
    assert recognise(tmp_path / "own.safetensors") == "safetensors"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><title>Google Drive - Virus scan warning", "web page"),
        (b"\xef\xbb\xbf\r\n  <HTML><head>", "web page"),
        (b"\r\n\r\n<!-- Copyright (C) Microsoft Corporation. -->\r\n<!DOCTYPE html>", "web page"),
        (b'{"error": {"code": "itemNotFound"}}', "JSON text"),
        (pickle.dumps({"a": 1}, protocol=2), "a Python pickle"),
        (pickle.dumps({"a": 1}, protocol=4), "a Python pickle"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (b"../.git/annex/objects/aa/bb/SHA256E-s1--0.pt", "git-annex pointer"),
        (b"\x1f\x8b\x08\x00rest", "gzip archive"),
        (b"Rar!\x1a\x07", "RAR archive"),
        (_tar(), "tar archive"),
        (_zip(["a.txt", "b/best_model.pt"]), "zip archive of 2 files"),
        (_zip(["archive/data.pkl"])[:-30], "cut short or damaged"),
        (b"just some text", "not a weight file"),
        (struct.pack("<Q", 1 << 40) + b"{}", "not a weight file"),
        (struct.pack("<Q", 2) + b"[]", "not a weight file"),
    ],
)
def test_every_accident_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(BrokenFileError, match=message):
        recognise(path)


def _rewritten(path: Path, method: int, only: str) -> Path:
    """Write a torch file again, record by record, those whose names end in `only` in another way."""
    again = path.with_name(f"again-{path.name}")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(again, "w") as target:
        for entry in source.infolist():
            how = method if entry.filename.endswith(only) else zipfile.ZIP_STORED
            target.writestr(entry.filename, source.read(entry), how)
    return again


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("only", ["data/0", "data.pkl", "/version"])
def test_compressed_records_are_not_opened(method: int, only: str, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(100_000)}, tmp_path / "model.pt")
    assert recognise(_rewritten(tmp_path / "model.pt", zipfile.ZIP_STORED, only)) == "torch-zip"
    small = _rewritten(tmp_path / "model.pt", method, only)
    with pytest.raises(BrokenFileError, match=rf"its record \w+/{only.strip('/')} is compressed, and was not opened"):
        recognise(small)


def _patched(path: Path, change: Callable[[bytearray, int], None]) -> Path:
    """Change the entry of data/0 in the directory at the end of a torch file."""
    content = bytearray(path.read_bytes())
    change(content, content.rfind(b"PK\x01\x02", 0, content.rfind(b"/data/0")))
    path.write_bytes(content)
    return path


def test_encrypted_records_are_refused(tmp_path: Path) -> None:
    def encrypted(content: bytearray, entry: int) -> None:
        content[entry + 8] |= 1

    torch.save(STATE, tmp_path / "model.pt")
    with pytest.raises(BrokenFileError, match="data/0 is encrypted"):
        recognise(_patched(tmp_path / "model.pt", encrypted))


def test_a_record_that_claims_another_size_than_it_has_is_refused(tmp_path: Path) -> None:
    def larger(content: bytearray, entry: int) -> None:
        struct.pack_into("<I", content, entry + 24, 1 << 30)

    torch.save(STATE, tmp_path / "model.pt")
    with pytest.raises(BrokenFileError, match="data/0 claims 1073741824 bytes, but has 12 in the file"):
        recognise(_patched(tmp_path / "model.pt", larger))


def test_records_that_claim_more_than_the_file_has_are_refused(tmp_path: Path) -> None:
    def larger(content: bytearray, entry: int) -> None:
        struct.pack_into("<II", content, entry + 20, 1 << 30, 1 << 30)

    torch.save(STATE, tmp_path / "model.pt")
    with pytest.raises(BrokenFileError, match=r"its records claim 10737\d+ bytes, more than the"):
        recognise(_patched(tmp_path / "model.pt", larger))


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 60_000,
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}',
    ],
)
def test_a_header_that_no_parser_takes_is_no_header(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(BrokenFileError, match="not a weight file"):
        recognise(path)
    assert stated_options(path) == {}


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no checkpoint"):
        recognise(tmp_path / "nowhere.pt")


def test_a_header_whose_length_looks_like_text_is_a_header(tmp_path: Path) -> None:
    header = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    length = struct.unpack("<Q", b'{"' + bytes(6))[0]
    (tmp_path / "own.safetensors").write_bytes(struct.pack("<Q", length) + header.ljust(length) + bytes(4))
    assert recognise(tmp_path / "own.safetensors") == "safetensors"


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is a folder"):
        recognise(tmp_path)


@pytest.mark.parametrize("lost", [1, 8, 12])
def test_a_safetensors_file_that_is_cut_short_is_told_from_its_header(lost: int, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "own.safetensors"
    save_file(STATE, path)
    assert recognise(path) == "safetensors"
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(BrokenFileError, match="is cut short"):
        recognise(path)


def _with_metadata(path: Path, options: str) -> Path:
    from safetensors.torch import save_file

    save_file(STATE, path, metadata={"options": options})
    return path


def test_options_are_read_from_the_header(tmp_path: Path) -> None:
    path = _with_metadata(tmp_path / "a.safetensors", json.dumps({"channels": [8, 16, 32], "weak": True}))
    assert stated_options(path) == {"channels": (8, 16, 32), "weak": True}
    torch.save(STATE, tmp_path / "b.pt")
    assert stated_options(tmp_path / "b.pt") == {}


@pytest.mark.parametrize(
    "options",
    [
        "{",
        "[1]",
        '{"channels": {"a": 1}}',
        '{"channels": ["x"]}',
        '{"width": 1e999}',
        '{"channels": [NaN]}',
        "[" * 100_000,
        '{"width": ' + "9" * 5000 + "}",
    ],
)
def test_options_from_outside_are_not_believed(options: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="options"):
        stated_options(_with_metadata(tmp_path / "a.safetensors", options))
