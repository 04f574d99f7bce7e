"""Sets on Google Drive: confirmed, continued, refused; a local host stands for Google, gdown is the real one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fssbench.datasets.fetching.archives import Wanted, fetch_parts
from fssbench.datasets.fetching.places import work_folder
from fssbench.datasets.fetching.sources import fetched_names, source_of
from fssbench.downloads import drive
from fssbench.downloads.shown import Silent
from fssbench.errors import BrokenFileError, MissingError
from tests.checkpoints.conftest import hosts, without_pauses
from tests.checkpoints.test_fetch import shown_folder
from tests.datasets.fetching.conftest import Change, stated, zipped
from tests.downloads.host import Host

__all__ = ["hosts", "stated", "without_pauses"]

FSS = "16TgqOeI_0P41Eh3jWQlxlRXG9KIqtMgI"
UC = f"/drive.google.com/uc?id={FSS}"
SUIM = "/drive.google.com/embeddedfolderview?id=10KMK0rNB43V2g30NcA1RYipL535DuZ-h"
PHOTOS = {
    f"fewshot_data/fewshot_data/ab_wheel/{n}.{end}": os.urandom(600_000) for n in (1, 10) for end in ("jpg", "png")
}


def wanted(name: str, folder: Path) -> Wanted:
    source = source_of(name)
    assert source is not None
    return Wanted(source, folder, source.needed(folder))


@pytest.fixture
def fss(hosts: Host, stated: Change) -> Host:
    """The archive of FSS-1000, two photos and masks in place of 10,000."""
    stated("fss1000", "fewshot_data.zip", None, holds={"*/*.jpg": 2, "*/*.png": 2})
    hosts.headers = {"Content-Disposition": 'attachment; filename="fewshot_data.zip"'}
    return hosts


def stored(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob("[!.]*/*") if path.is_file())


def test_the_page_of_a_virus_scan_is_confirmed_and_a_broken_download_goes_on(
    fss: Host, without_pauses: None, tmp_path: Path
) -> None:
    host = "drive.usercontent.google.com/download"
    fss.texts[UC] = (
        "<html>Google Drive can't scan this file for viruses.\n"
        f'<form id="download-form" action="https://{host}"><input type="hidden" name="id" value="{FSS}">'
        '<input type="hidden" name="confirm" value="t"></form></html>'
    )
    sent = f"/{host}?id={FSS}&confirm=t"
    fss.files[sent], fss.breaks[sent] = zipped(PHOTOS), [1 << 20]
    fetch_parts(wanted("fss1000", tmp_path), Silent())
    assert stored(tmp_path) == [f"ab_wheel/{n}.{end}" for n in (1, 10) for end in ("jpg", "png")]
    assert fss.ranges_of(sent) == ["", f"bytes={1 << 20}-"]
    assert wanted("fss1000", tmp_path).parts == ()


class Interrupted(Silent):
    """Ctrl-C as soon as something has arrived."""

    def advance(self, count: int) -> None:
        raise KeyboardInterrupt


def test_what_an_interrupted_command_left_is_counted_and_continued(fss: Host, tmp_path: Path) -> None:
    fss.files[UC] = zipped(PHOTOS)
    with pytest.raises(KeyboardInterrupt):
        fetch_parts(wanted("fss1000", tmp_path), Interrupted())
    again = wanted("fss1000", tmp_path)
    assert again.arrived(again.parts[0]) > 0
    assert stored(tmp_path) == []
    fetch_parts(again, Silent())
    assert len(stored(tmp_path)) == 4
    assert re.fullmatch(r"bytes=[1-9]\d*-", fss.ranges_of(UC)[-1])


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (
            '<html>\n<p class="uc-error-subcaption">Too many users have viewed this file recently.</p></html>',
            "too many people have fetched it lately",
        ),
        ("<html><title>Sign in</title>You need access</html>", ""),
    ],
)
def test_a_page_is_never_saved_as_the_archive(fss: Host, tmp_path: Path, page: str, reason: str) -> None:
    fss.texts[UC] = page
    with pytest.raises(MissingError, match=f"web page, not the file.*{reason}") as refused:
        fetch_parts(wanted("fss1000", tmp_path), Silent())
    assert f"save fewshot_data.zip from https://drive.google.com/file/d/{FSS}/view into {tmp_path}" in str(
        refused.value.remedy
    )
    assert list(work_folder(tmp_path).glob("*.zip")) == []


def test_a_page_that_gdown_takes_for_the_file_is_recognised(fss: Host, tmp_path: Path) -> None:
    fss.files[UC] = b"<!DOCTYPE html><html>Quota exceeded</html>"
    with pytest.raises(MissingError, match="web page, not the file: too many people"):
        fetch_parts(wanted("fss1000", tmp_path), Silent())
    fss.files[UC] = b"neither a page nor an archive"
    with pytest.raises(BrokenFileError):
        fetch_parts(wanted("fss1000", tmp_path), Silent())
    # Neither is kept: the next command gets the file.
    fss.files[UC] = zipped(PHOTOS)
    fetch_parts(wanted("fss1000", tmp_path), Silent())
    assert len(stored(tmp_path)) == 4


def test_an_archive_does_not_lead_out_of_the_folder(fss: Host, tmp_path: Path) -> None:
    fss.files[UC] = zipped({"../../evil/1.jpg": b"x", "a/1.jpg": b"x"})
    with pytest.raises(BrokenFileError):
        fetch_parts(wanted("fss1000", tmp_path / "data"), Silent())
    assert not (tmp_path / "evil").exists()


def test_both_archives_of_suim_are_found_in_the_folder(hosts: Host, stated: Change, tmp_path: Path) -> None:
    ids = {"a" * 30: "train_val.zip", "b" * 30: "TEST.zip", "c" * 30: "readme.txt"}
    hosts.texts[SUIM] = shown_folder("SUIM", ids)
    hosts.headers = {"Content-Disposition": 'attachment; filename="a.zip"'}
    for one, name in ids.items():
        top = name.removesuffix(".zip")
        hosts.files[f"/drive.google.com/uc?id={one}"] = zipped(
            {f"{top}/images/a.jpg": b"x", f"{top}/masks/a.bmp": b"x", f"{top}/masks/RO/a.bmp": b"x"}
        )
    stated("suim", "train_val.zip", None, holds={"train_val/masks/*.bmp": 1})
    stated("suim", "TEST.zip", None, holds={"[Tt][Ee][Ss][Tt]/masks/*.bmp": 1})
    fetch_parts(wanted("suim", tmp_path), Silent())
    assert sorted(path.name for path in tmp_path.glob("*/*/*.*")) == ["a.bmp", "a.bmp", "a.jpg", "a.jpg"]
    assert not list(tmp_path.glob("**/RO"))
    drive._listing.cache_clear()
    hosts.texts[SUIM] = shown_folder("SUIM", {"c" * 30: "readme.txt"})
    with pytest.raises(MissingError, match=r"has no files train_val.zip; it shows readme.txt"):
        fetch_parts(wanted("suim", tmp_path / "other"), Silent())


def test_without_gdown_its_extra_is_named_before_anything_is_fetched(
    fss: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(MissingError, match=r"fewshot_data\.zip of fss1000 is on Google Drive") as missing:
        fetch_parts(wanted("fss1000", tmp_path), Silent())
    assert str(missing.value.remedy).startswith("pip install 'fssbench[drive]'; or ")
    assert fss.requests == []


def test_a_mirror_has_the_file_under_its_id(
    hosts: Host, stated: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    stated("fss1000", "fewshot_data.zip", None, holds={"*/*.jpg": 2, "*/*.png": 2})
    hosts.files[f"/drive.google.com/{FSS}/fewshot_data.zip"] = zipped(PHOTOS)
    source = source_of("fss1000")
    assert source is not None
    fetch_parts(Wanted(source, tmp_path, source.needed(tmp_path), mirror=hosts.address), Silent())
    assert len(stored(tmp_path)) == 4


def test_what_is_on_google_drive_is_seen_by_its_page() -> None:
    on_drive: set[Any] = set()
    for name in fetched_names():
        source = source_of(name)
        assert source is not None
        on_drive |= {name for part in source.parts if part.on_drive}
        assert all(part.by_program for part in source.parts if part.on_drive)
    assert on_drive == {"fss1000", "suim", "pascalpart", "lvis92i", "isaid5i", "pacopart"}
    assert drive.file_id(f"https://drive.google.com/file/d/{FSS}/view") == FSS
    assert drive.file_id("https://evil.example/https://drive.google.com/file/d/x/view") == ""
    assert drive.folder_id("https://drive.google.com/drive/folders/abc-_1") == "abc-_1"
