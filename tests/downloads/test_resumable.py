"""Downloads against a host on this machine that is slow, breaks off, lies, or shows pages."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest
import requests

from fssbench.datasets.fetching.sources import fetched_names, source_of
from fssbench.downloads import resumable, space
from fssbench.downloads.remote import Remote, host_of, mirrored
from fssbench.downloads.responses import check_status
from fssbench.downloads.resumable import CHUNK, arrived, download, part_of
from fssbench.downloads.shown import Silent
from fssbench.errors import BrokenFileError, MissingError, UsageError
from tests.downloads.host import Host

CONTENT = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(12_500))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
INSTEAD = "see docs/data.md"


class Notes(Silent):
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, int | None]] = []
        self.notes: list[str] = []
        self.count = 0

    def begin(self, what: str, done: int, total: int | None) -> None:
        self.begun.append((done, total))

    def advance(self, count: int) -> None:
        self.count += count

    def note(self, text: str) -> None:
        self.notes.append(text)


def remote(host: Host, **known: object) -> Remote:
    return Remote(f"{host.address}/a.zip", "a.zip", **known)


@pytest.fixture
def served(host: Host) -> Host:
    host.files["/a.zip"] = CONTENT
    return host


@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT), "sha256": SHA256}, {"md5": MD5}])
def test_a_file_arrives_whole_and_is_not_downloaded_again(served: Host, tmp_path: Path, known: dict[str, str]) -> None:
    target, shown = tmp_path / "work" / "a.zip", Notes()
    assert download(remote(served, **known), target, INSTEAD, shown) == target
    assert target.read_bytes() == CONTENT
    assert (shown.begun, shown.count) == ([(0, len(CONTENT))], len(CONTENT))
    assert sorted(path.name for path in target.parent.iterdir()) == ["a.zip", "a.zip.lock"]
    download(remote(served, **known), target, INSTEAD)
    assert len(served.requests) == 1


def test_what_was_broken_off_is_continued_from_there(served: Host, tmp_path: Path) -> None:
    served.breaks["/a.zip"] = [3 * CHUNK, 4 * CHUNK + 99]
    target = tmp_path / "a.zip"
    download(remote(served), target, INSTEAD)
    assert target.read_bytes() == CONTENT
    assert served.ranges_of("/a.zip") == ["", f"bytes={3 * CHUNK}-", f"bytes={7 * CHUNK}-"]


def test_what_a_killed_process_left_is_continued(served: Host, tmp_path: Path) -> None:
    class KilledError(BaseException):
        pass

    class Killed(Silent):
        def advance(self, count: int) -> None:
            raise KilledError

    target = tmp_path / "a.zip"
    with pytest.raises(KilledError):
        download(remote(served, sha256=SHA256), target, INSTEAD, Killed())
    begun = arrived(target)
    assert 0 < begun < len(CONTENT)
    assert not target.exists()
    shown = Notes()
    download(remote(served, sha256=SHA256), target, INSTEAD, shown)
    assert target.read_bytes() == CONTENT
    assert shown.begun == [(begun, len(CONTENT))]
    assert shown.count == len(CONTENT) - begun


def test_a_file_that_has_changed_on_its_host_begins_again(served: Host, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    part_of(target).write_bytes(b"x" * 1000)
    part_of(target).with_name("a.zip.part.json").write_text(
        json.dumps({"url": f"{served.address}/a.zip", "validator": '"of another file"'})
    )
    download(remote(served), target, INSTEAD)
    assert target.read_bytes() == CONTENT
    assert served.ranges_of("/a.zip") == ["bytes=1000-"]


def test_a_part_without_validator_and_hash_begins_again(served: Host, tmp_path: Path) -> None:
    served.tagged = False
    for known, spans in (({}, ["", ""]), ({"sha256": SHA256}, ["", f"bytes={3 * CHUNK}-"])):
        served.requests.clear()
        served.breaks["/a.zip"] = [3 * CHUNK]
        target = tmp_path / f"{len(known)}.zip"
        download(remote(served, **known), target, INSTEAD)
        assert target.read_bytes() == CONTENT
        assert served.ranges_of("/a.zip") == spans


def test_a_host_that_knows_no_ranges_sends_all_again(served: Host, tmp_path: Path) -> None:
    served.ranges = False
    served.breaks["/a.zip"] = [3 * CHUNK]
    target = tmp_path / "a.zip"
    download(remote(served), target, INSTEAD)
    assert target.read_bytes() == CONTENT


def test_a_host_that_always_breaks_off_is_given_up_and_the_part_stays(served: Host, tmp_path: Path) -> None:
    served.ranges = False
    served.breaks["/a.zip"] = [3 * CHUNK] * 20
    target = tmp_path / "a.zip"
    with pytest.raises(MissingError, match="can't be had") as stop:
        download(remote(served), target, INSTEAD)
    assert stop.value.remedy == INSTEAD
    assert len(served.requests) == 6
    assert arrived(target) == 3 * CHUNK


def test_a_damaged_part_is_found_by_its_hash_and_downloaded_again(served: Host, tmp_path: Path) -> None:
    target, shown = tmp_path / "a.zip", Notes()
    part_of(target).write_bytes(b"y" * 1000)
    part_of(target).with_name("a.zip.part.json").write_text(
        json.dumps({"url": f"{served.address}/a.zip", "validator": ""})
    )
    download(remote(served, sha256=SHA256), target, INSTEAD, shown)
    assert target.read_bytes() == CONTENT
    assert "is damaged" in shown.notes[-1]
    assert served.ranges_of("/a.zip") == ["bytes=1000-", ""]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"sha256": "0" * 64}, "its sha256 begins"),
        ({"md5": "0" * 32}, "its md5 begins"),
        ({"size": 7}, f"it has {len(CONTENT)} bytes, not 7"),
    ],
)
def test_another_file_than_the_recorded_one_is_not_kept(
    served: Host, tmp_path: Path, known: dict[str, object], said: str
) -> None:
    with pytest.raises(BrokenFileError, match="is not the recorded file") as stop:
        download(remote(served, **known), tmp_path / "a.zip", INSTEAD)
    assert said in stop.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.lock"]
    assert len(served.requests) == 1


def test_a_page_with_status_200_is_no_file(served: Host, tmp_path: Path) -> None:
    served.pages.add("/a.zip")
    with pytest.raises(MissingError, match="shows a web page, not the file"):
        download(remote(served), tmp_path / "a.zip", INSTEAD)
    served.pages.clear()
    served.files["/a.zip"] = b" \n<HTML>sign in"
    with pytest.raises(MissingError, match="shows a web page, not the file"):
        download(remote(served), tmp_path / "b.zip", INSTEAD)
    assert not list(tmp_path.glob("*.zip"))


def test_redirects_are_followed_but_not_in_circles(served: Host, tmp_path: Path) -> None:
    served.redirects["/old.zip"] = "/a.zip"
    served.redirects["/round.zip"] = "/round.zip"
    download(Remote(f"{served.address}/old.zip", "a.zip"), tmp_path / "a.zip", INSTEAD)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    with pytest.raises(MissingError, match="without end"):
        download(Remote(f"{served.address}/round.zip", "a.zip"), tmp_path / "b.zip", INSTEAD)


def test_codes_are_told_from_each_other(served: Host, tmp_path: Path) -> None:
    served.codes["/a.zip"] = [503, 429]
    download(remote(served), tmp_path / "a.zip", INSTEAD)
    served.codes["/a.zip"] = [503] * 9
    with pytest.raises(MissingError, match="503 Service Unavailable, several times"):
        download(remote(served), tmp_path / "b.zip", INSTEAD)
    served.codes["/a.zip"] = [403]
    with pytest.raises(MissingError, match="its host says 403 Forbidden"):
        download(remote(served), tmp_path / "b.zip", INSTEAD)
    with pytest.raises(MissingError, match="can't be reached"):
        download(Remote("http://127.0.0.1:9/a.zip", "a.zip"), tmp_path / "b.zip", INSTEAD)
    with pytest.raises(MissingError, match="InvalidSchema"):
        download(Remote("file:///etc/passwd", "a.zip"), tmp_path / "b.zip", INSTEAD)


def test_two_downloads_of_one_file_wait_for_each_other(served: Host, tmp_path: Path) -> None:
    served.pause = 0.02
    target, shown = tmp_path / "a.zip", [Notes(), Notes()]
    threads = [
        threading.Thread(target=download, args=(remote(served, sha256=SHA256), target, INSTEAD, one)) for one in shown
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(served.requests) == 1
    assert [note for one in shown for note in one.notes] == ["another process downloads a.zip; waiting for it"]


def test_a_disk_without_room_is_found_before_anything_is_written(
    served: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, space.RESERVE + len(CONTENT) - 1))
    with pytest.raises(MissingError, match=r"a.zip needs 400 kB in .*, and 210 MB are free there"):
        download(remote(served), tmp_path / "a.zip", INSTEAD)
    assert arrived(tmp_path / "a.zip") == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, space.RESERVE + len(CONTENT)))
    download(remote(served), tmp_path / "a.zip", INSTEAD)


def test_a_disk_that_is_full_on_the_way_keeps_what_has_arrived(served: Host, tmp_path: Path) -> None:
    class Full(Silent):
        def advance(self, count: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "a.zip"
    with pytest.raises(MissingError, match=r"no space is left in .* for a.zip") as stop:
        download(remote(served), target, INSTEAD, Full())
    assert "the same command then continues" in str(stop.value.remedy)
    assert arrived(target) > 0
    download(remote(served), target, INSTEAD)
    assert served.ranges_of("/a.zip")[1].startswith("bytes=")


def test_a_mirror_holds_files_under_host_and_path(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://images.cocodataset.org/zips/val2014.zip"
    assert mirrored(url) == url
    monkeypatch.setenv("FSSBENCH_MIRROR", "http://localhost:8000/")
    assert mirrored(url) == "http://localhost:8000/images.cocodataset.org/zips/val2014.zip"
    with pytest.raises(UsageError, match="a mirror is an address, not 'localhost:8000'"):
        mirrored(url, "localhost:8000")
    assert mirrored(url, "https://b") == "https://b/images.cocodataset.org/zips/val2014.zip"


def test_a_host_that_does_not_end_is_stopped(served: Host, tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="sends more than 399999 bytes"):
        download(remote(served, most=len(CONTENT) - 1), tmp_path / "a.zip", INSTEAD)
    assert arrived(tmp_path / "a.zip") == 0
    served.lengths = False
    with pytest.raises(BrokenFileError, match="sends more than 100000 bytes"):
        download(remote(served, most=100_000), tmp_path / "a.zip", INSTEAD)
    assert arrived(tmp_path / "a.zip") <= 100_000
    download(remote(served, most=len(CONTENT)), tmp_path / "b.zip", INSTEAD)
    assert (tmp_path / "b.zip").read_bytes() == CONTENT


def test_a_host_that_stops_sending_is_asked_again(
    served: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "TIMEOUT", (5.0, 0.1))
    served.pause = 0.4
    with pytest.raises(MissingError, match="does not send anything"):
        download(remote(served), tmp_path / "a.zip", INSTEAD)
    assert len(served.requests) == resumable.TRIES
    served.pause = 0.0
    download(remote(served), tmp_path / "a.zip", INSTEAD)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_every_archive_comes_over_https_or_has_a_known_sha256() -> None:
    for name in fetched_names():
        source = source_of(name)
        assert source is not None
        for part in source.parts:
            assert part.url.startswith("https://") or not part.url or part.sha256, f"{name}: {part.url}"
        assert not source.photo or source.photo.startswith("https://")


def test_a_bucket_that_is_named_as_a_host_is_on_a_mirror_under_that_name() -> None:
    url = "https://s3.amazonaws.com/images.cocodataset.org/zips/val2014.zip"
    assert mirrored(url, "https://b") == "https://b/images.cocodataset.org/zips/val2014.zip"
    assert host_of(url) == "images.cocodataset.org"
    assert host_of("https://s3.amazonaws.com") == "s3.amazonaws.com"


def test_an_encrypted_address_does_not_lead_to_another_kind() -> None:
    response = requests.Response()
    response.status_code, response.url = 200, "http://elsewhere/a.zip"
    with pytest.raises(MissingError, match=r"leads to an address without encryption, http://elsewhere/a\.zip"):
        check_status(response, "https://host/a.zip", "")
    check_status(response, "http://host/a.zip", "")
