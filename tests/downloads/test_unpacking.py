"""Archives that try to leave the folder, to fill the disk, or are damaged; and ordinary ones."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from fssbench.downloads.unpacking import Limits, unpack
from fssbench.errors import BrokenFileError, MissingError

TAKE = [r"(?:.*/)?(photos/[^/]+\.jpg)"]


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: Mapping[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, content in files.items():
            entry = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                archive.addfile(entry)
    return path


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return entry


def made(folder: Path, name: str, files: Mapping[str, bytes]) -> Path:
    return (zipped if name.endswith(".zip") else tarred)(folder / name, files)


def unpacked(archive: Path, into: Path, limits: Limits | None = None) -> int:
    return unpack(archive, into, TAKE, into.parent / "temporary", limits=limits)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_what_is_wanted_is_unpacked_and_what_is_there_is_kept(tmp_path: Path, name: str) -> None:
    files = {
        "top/photos/a.jpg": b"one",
        "top/photos/b.jpg": b"two",
        "top/readme.txt": b"no",
        "top/photos/x/c.jpg": b"n",
    }
    archive, into = made(tmp_path, name, files), tmp_path / "data"
    assert unpacked(archive, into) == 2
    assert files_in(into) == {"photos/a.jpg": b"one", "photos/b.jpg": b"two"}
    (into / "photos" / "a.jpg").write_bytes(b"ONE")
    (into / "photos" / "b.jpg").write_bytes(b"shorter" * 3)
    assert unpacked(archive, into) == 1
    assert files_in(into) == {"photos/a.jpg": b"ONE", "photos/b.jpg": b"two"}
    assert not (tmp_path / "temporary").exists()


@pytest.mark.parametrize("archive", ["a.zip", "a.tar"])
@pytest.mark.parametrize(
    "name", ["../photos/a.jpg", "/photos/a.jpg", "x/../../photos/a.jpg", "x\\photos\\a.jpg", "C:a"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, archive: str, name: str) -> None:
    made(tmp_path, archive, {name: b"out"})
    with pytest.raises(BrokenFileError, match="leads out of the folder"):
        unpacked(tmp_path / archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "a.tar", {"x": link("photos/a.jpg", "/etc/passwd", kind)})
    with pytest.raises(BrokenFileError, match="holds a link or a device"):
        unpacked(archive, tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made_zip:
        info = zipfile.ZipInfo("photos/a.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        made_zip.writestr(info, "/etc/passwd")
    with pytest.raises(BrokenFileError, match="holds a link or a device"):
        unpacked(tmp_path / "a.zip", tmp_path / "data")


def test_a_link_that_the_archive_does_not_unpack_makes_no_way_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tarred(tmp_path / "a.tar", {"x": link("photos", str(outside)), "photos/a.jpg": b"one"})
    assert unpacked(archive, tmp_path / "data") == 1
    assert files_in(outside) == {}
    (tmp_path / "data" / "photos" / "a.jpg").unlink()
    (tmp_path / "data" / "photos" / "a.jpg").symlink_to(outside / "target")
    with pytest.raises(BrokenFileError, match="is a link"):
        unpacked(archive, tmp_path / "data")
    assert files_in(outside) == {}


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path, name: str) -> None:
    archive = made(tmp_path, name, {"photos/a.jpg": bytes(1_000_000), "photos/b.jpg": bytes(1_000_000)})
    with pytest.raises(BrokenFileError, match="too many for an archive of its size"):
        unpacked(archive, tmp_path / "data")
    assert sum(map(len, files_in(tmp_path / "data").values())) == 0
    with pytest.raises(BrokenFileError, match="too many for an archive of its size"):
        unpacked(archive, tmp_path / "data", Limits(size=1_500_000, ratio=10_000))
    with pytest.raises(BrokenFileError, match="more than 1 files"):
        unpacked(archive, tmp_path / "data", Limits(files=1, ratio=10_000))
    assert unpacked(archive, tmp_path / "data", Limits(ratio=10_000)) in (1, 2)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_a_damaged_archive_is_refused_and_no_half_file_is_left(tmp_path: Path, name: str) -> None:
    content = bytes(range(256)) * 400
    archive = made(tmp_path, name, {"photos/a.jpg": content, "photos/b.jpg": content})
    raw = bytearray(archive.read_bytes())
    if name == "a.zip":
        raw[60] ^= 255  # in the compressed content of the first file
    else:
        del raw[len(raw) // 2 :]
    archive.write_bytes(raw)
    with pytest.raises(BrokenFileError):
        unpacked(archive, tmp_path / "data")
    assert set(files_in(tmp_path / "data").values()) <= {content}
    assert not (tmp_path / "temporary").exists()
    (tmp_path / "b.zip").write_bytes(b"<html>")
    with pytest.raises(BrokenFileError, match="is damaged or not an archive"):
        unpacked(tmp_path / "b.zip", tmp_path / "data")


def test_a_zip_that_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 1000})())
    with pytest.raises(MissingError, match=r"what is in a.zip needs 3 bytes"):
        unpacked(zipped(tmp_path / "a.zip", {"photos/a.jpg": b"one"}), tmp_path / "data")
    assert files_in(tmp_path / "data") == {}
