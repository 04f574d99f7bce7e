"""Detects the kind of a weight file from its bytes, before heavy imports and before its contents are trusted."""

from __future__ import annotations

import hashlib
import math
import struct
import zipfile
from pathlib import Path
from typing import Literal

from fssbench.checkpoints.programs import names_in, shown
from fssbench.damaged_archives import DAMAGED
from fssbench.errors import BrokenFileError, MissingError
from fssbench.unique_keys import RepeatedKeyError, loads

Kind = Literal["torch-zip", "torch-legacy", "safetensors", "npz"]

_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Names of types in safetensors files."""

_HEAD = 4096
_MAX_HEADER = 8 << 20
_ENCRYPTED = 0x1
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of torch files before 1.6: the magic number 0x1950a86a20f9469cfc6c, pickled with protocol 2."""

_ARCHIVES = {b"\x1f\x8b": "a gzip archive", b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive", b"BZh": "bzip2"}


def file_sha256(path: Path) -> str:
    """Return the hex sha256 of a file.

    Raises:
        MissingError: If it is missing.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recognise(path: Path) -> Kind:
    """Return the kind of a weight file.

    Raises:
        MissingError: If it is missing.
        BrokenFileError: If it is something else; each frequent mistake has its own message.
    """
    if path.is_dir():
        raise MissingError(f"{path} is a folder, not a checkpoint", "name the weight file inside")
    if not path.is_file():
        raise MissingError(f"there is no checkpoint {path}", "fssbench checkpoints list")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    again = "download it again"
    if not head:
        raise BrokenFileError(f"{path} is empty: the download did not begin", again)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    # Microsoft's login page begins with a comment.
    if start.startswith((b"<!doctype", b"<!--", b"<html", b"<head", b"<?xml")):
        raise BrokenFileError(
            f"{path} is a web page, not weights: the host sent its login or virus-scan page under the name of the file",
            "open the link in a browser, save the file itself, then fssbench checkpoints add FILE ...",
        )
    # Without a zero byte at the start: a safetensors file may also begin with a brace, which is part of its length.
    if start.startswith((b'{"', b"{\r", b"{\n", b"{ ")) and b"\0" not in head[:8]:
        raise BrokenFileError(
            f"{path} is JSON text, not weights: the host sent an error under the name of the file", again
        )
    if start.startswith(b"version https://git-lfs"):
        raise BrokenFileError(f"{path} is a Git LFS pointer, not the weights it points to", "git lfs pull")
    if b"annex/objects" in head[:200]:
        raise BrokenFileError(f"{path} is a git-annex pointer, not the weights it points to", f"git annex get {path}")
    for magic, name in _ARCHIVES.items():
        if head.startswith(magic):
            raise BrokenFileError(f"{path} is {name}, not weights", "unpack it and name the weight file inside")
    if head[257:262] == b"ustar":
        raise BrokenFileError(f"{path} is a tar archive, not weights", "unpack it and name the weight file inside")
    if head.startswith(b"PK"):
        return _check_zip(path, again)
    if head.startswith(_LEGACY):
        return "torch-legacy"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        raise BrokenFileError(
            f"{path} is a Python pickle, not weights{shown(names_in(path))}; it was not opened",
            "ask its author for a file written by torch.save, or for safetensors",
        )
    if (header := _safetensors_header(path)) is not None:
        return _check_safetensors(path, header, again)
    raise BrokenFileError(f"{path} is not a weight file: neither torch's format nor safetensors", again)


def _check_zip(path: Path, again: str) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (*DAMAGED, OSError) as error:
        size = path.stat().st_size
        raise BrokenFileError(f"{path} is cut short or damaged: its {size} bytes have no valid end", again) from error
    if entries and all(entry.filename.endswith(".npy") for entry in entries):
        _check_stored(
            path, entries, "numpy.savez", "if you trust it, read it with numpy.load and write it with numpy.savez"
        )
        return "npz"
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        raise BrokenFileError(
            f"{path} is a zip archive of {len(entries)} files, not weights", "unpack it and name the weight file inside"
        )
    again = "if you trust it, read it with torch.load(..., weights_only=True) and write it again with torch.save"
    _check_stored(path, entries, "torch.save", again)
    return "torch-zip"


def _check_stored(path: Path, entries: list[zipfile.ZipInfo], writer: str, again: str) -> None:
    # A few MB of compressed zeros could fill the memory. Both writers leave records uncompressed, each once.
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
            how = "encrypted" if entry.flag_bits & _ENCRYPTED else "compressed"
            raise BrokenFileError(
                f"{path} was not written by {writer}: its record {entry.filename} is {how}, and was not opened", again
            )
        if entry.file_size != entry.compress_size:
            raise BrokenFileError(
                f"{path} is damaged: its record {entry.filename} claims {entry.file_size} bytes, "
                f"but has {entry.compress_size} in the file",
                "download it again",
            )
    claimed, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if claimed > size:
        raise BrokenFileError(
            f"{path} is damaged: its records claim {claimed} bytes, more than the {size} bytes of the file",
            "download it again",
        )


def check_contents(path: Path) -> None:
    """Check every part of a torch zip file against the checksum in the file, which torch does not do.

    If no hash was recorded, only this check detects a damaged file.

    Raises:
        BrokenFileError: If a part is damaged, naming it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (*DAMAGED, OSError) as error:
        raise BrokenFileError(f"{path} is damaged: {error}", "download it again") from error
    if damaged is not None:
        raise BrokenFileError(f"{path} is damaged: {damaged} does not match its checksum", "download it again")


def _check_safetensors(path: Path, header: dict[str, object], again: str) -> Kind:
    ends = [
        offsets[1]
        for entry in header.values()
        if isinstance(entry, dict) and isinstance(offsets := entry.get("data_offsets"), list) and len(offsets) == 2
    ]
    with path.open("rb") as file:
        length: int = struct.unpack("<Q", file.read(8))[0]
    data_size = path.stat().st_size - 8 - length
    if any(not isinstance(end, int) or end > data_size for end in ends):
        raise BrokenFileError(f"{path} is cut short: its header names more than its {data_size} bytes of data", again)
    return "safetensors"


def _safetensors_header(path: Path) -> dict[str, object] | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            return None
        length: int = struct.unpack("<Q", prefix)[0]
        if not 2 <= length <= min(size - 8, _MAX_HEADER):
            return None
        try:
            header = loads(file.read(length))
        except RepeatedKeyError as error:
            raise BrokenFileError(f"{path}: its header can't be trusted: {error}") from error
        except (ValueError, RecursionError):
            return None
    return header if isinstance(header, dict) else None


def file_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file by name; {} if it has none, or is another kind of file.

    `fssbench train` writes, among others, `network`, `dataset` and `fold`: the method, the training data set, and the
    fold whose classes training has not seen.
    """
    metadata = (_safetensors_header(path) or {}).get("__metadata__") if path.is_file() else None
    if not isinstance(metadata, dict):
        return {}
    return {str(name): value for name, value in metadata.items() if isinstance(value, str)}


def stored_precision(path: Path) -> str:
    """Return the types of the floating-point numbers in a safetensors file, e.g. "float32"; "" for another file."""
    header = _safetensors_header(path) or {}
    found = {str(entry.get("dtype")) for entry in header.values() if isinstance(entry, dict) and "dtype" in entry}
    return " and ".join(_FLOATS[name] for name in sorted(found) if name in _FLOATS)


def stated_options(path: Path) -> dict[str, bool | int | float | str | tuple[int | float, ...]]:
    """Return the arguments of `fssbench.build` in the metadata of a safetensors file; {} if there are none.

    `fssbench train` writes them, so that a network can be built again with widths other than the release's.
    """
    text = file_metadata(path).get("options")
    if text is None:
        return {}
    try:
        options = loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"{path}: the options in its metadata are not JSON") from error
    if not isinstance(options, dict) or not all(_is_option(value) for value in options.values()):
        raise BrokenFileError(
            f"{path}: the options in its metadata are not names with numbers, texts or lists of numbers"
        )
    return {str(name): tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _is_option(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, int | float) and math.isfinite(item) for item in value)
    return isinstance(value, bool | str) or (isinstance(value, int | float) and math.isfinite(value))
