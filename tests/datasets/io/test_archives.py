"""Files of folders and archives: which are read, and what a hostile archive can't do."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from fssbench.datasets.io import archives
from fssbench.datasets.io.archives import files_in
from fssbench.errors import BrokenFileError, MissingError

FILES = {"repo/a.txt": b"first", "repo/deep/b.txt": b"second" * 1000, "repo/big.bin": b"0" * 300_000}


def texts(name: str) -> bool:
    return name.endswith(".txt")


def tar_of(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def source_of(folder: Path, kind: str) -> Path:
    if kind == "zip":
        return zip_of(folder / "a.download", FILES)  # The content tells what it is, not the name.
    if kind != "folder":
        return tar_of(folder / "a.download", FILES, "w:gz" if kind == "tar.gz" else "w")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


KINDS = ["folder", "zip", "tar", "tar.gz"]


@pytest.mark.parametrize("kind", KINDS)
def test_wanted_files_are_read(tmp_path: Path, kind: str) -> None:
    found = dict(files_in(source_of(tmp_path, kind), texts, largest=10_000))
    assert found == {name: content for name, content in FILES.items() if texts(name)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_wanted_file_has_a_limit(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BrokenFileError, match=r"b\.txt has 6000 bytes, more than the 5999"):
        list(files_in(source_of(tmp_path, kind), texts, largest=5999))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_an_archive_that_is_cut_off(tmp_path: Path, kind: str) -> None:
    path = source_of(tmp_path, kind)
    whole = path.read_bytes()
    for part in (0.3, 0.6):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(BrokenFileError, match=r"a\.download"):
            list(files_in(path, lambda name: name.endswith("bin"), largest=1 << 20))


def test_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no folder or archive"):
        list(files_in(tmp_path / "none", texts, largest=9))
    for content in (b"", b"<html>not found</html>", b"PK\x03\x04", b"\x1f\x8b", gzip.compress(b"text" * 500)):
        (tmp_path / "page.zip").write_bytes(content)
        with pytest.raises(BrokenFileError, match=r"page\.zip"):
            list(files_in(tmp_path / "page.zip", texts, largest=9))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BrokenFileError, match="a pipe, a socket or a device"):
        list(files_in(tmp_path / "pipe", texts, largest=9))


def test_links_and_names_that_lead_out_are_only_names(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo("x.txt")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    tar_of(tmp_path / "b.tar", {"../../up.txt": b"content"}, "w")
    assert list(files_in(tmp_path / "a.tar", texts, largest=9)) == []
    assert list(files_in(tmp_path / "b.tar", texts, largest=9)) == [("../../up.txt", b"content")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "b.tar"]


def test_a_zip_whose_header_lies_about_a_size(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"x.txt": b"0" * 100_000})
    raw = bytearray(path.read_bytes())
    size = (100_000).to_bytes(4, "little")
    for _ in range(2):
        raw = raw.replace(size, (10).to_bytes(4, "little"), 1)
    path.write_bytes(raw)
    with pytest.raises(BrokenFileError):
        list(files_in(path, texts, largest=1000))


def test_a_tar_whose_long_name_would_fill_the_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 6 << 30
    (tmp_path / "a.tgz").write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(BrokenFileError, match="has a header that claims"):
        list(files_in(tmp_path / "a.tgz", texts, largest=1000))


def test_content_and_number_of_files_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar_of(tmp_path / "a.tgz", {"big.bin": bytes(3 << 20), "x.txt": b""})
    monkeypatch.setattr(archives, "MAX_TOTAL", 2 << 20)
    with pytest.raises(BrokenFileError, match="of content"):
        list(files_in(path, texts, largest=1000))
    monkeypatch.undo()
    assert len(list(files_in(path, texts, largest=1000))) == 1
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    for kind in ("folder", "tar"):
        (tmp_path / kind).mkdir()
        with pytest.raises(BrokenFileError, match="more than 1 files"):
            list(files_in(source_of(tmp_path / kind, kind), texts, largest=10_000))
