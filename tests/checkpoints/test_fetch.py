"""Checkpoints behind pages, from hosts on this machine that are slow, break off, show pages, and send other files."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from fssbench.checkpoints import fetch, file_sha256, locate, record
from fssbench.checkpoints.download import remove_old
from fssbench.checkpoints.fetching import cached_file, pattern_of, present
from fssbench.checkpoints.registry import user_registry
from fssbench.downloads import space
from fssbench.downloads.resumable import CHUNK
from fssbench.downloads.shown import Silent
from fssbench.errors import BrokenFileError, MissingError
from tests.checkpoints.conftest import weights
from tests.downloads.host import Host

ASNET = "asnet-resnet50-coco20i-fold0"
FORM = "/postechackr-my.sharepoint.com/personal/kjdr86_postech_ac_kr/_layouts/15/download.aspx?share=" + (
    "EdIdskGuuhVBkRPIZ_b1rFYBn50vsLYp0Cl01k0G0l0BAQ"
)
LINK = (
    "/postechackr-my.sharepoint.com/:u:/g/personal/kjdr86_postech_ac_kr/"
    "EdIdskGuuhVBkRPIZ_b1rFYBn50vsLYp0Cl01k0G0l0BAQ?e=2XWdbw"
)
LOGIN = "<!-- Copyright (C) Microsoft --><html><title>Sign in to your account</title></html>"
MLC = "mlc-resnet50-pascal5i-fold0-1shot"
FILE = "1Itnv562-dhfZOV-_upX1BlMFWIGJFFhn"
UC = f"/drive.google.com/uc?id={FILE}"
HSNET = "hsnet-resnet50-pascal5i-fold1"
FOLDER = "/drive.google.com/embeddedfolderview?id=1z4KgjgOu--k6YuIj3qWrGg264GRcMis2"


def in_cache() -> list[str]:
    """Return what is in the folder of the checkpoints."""
    folder = cached_file(record(ASNET)).parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_sharepoints_form_sends_the_file_and_its_hash_is_kept(hosts: Host) -> None:
    hosts.files[FORM] = weights()
    assert not record(ASNET).sha256
    path = fetch(record(ASNET))
    assert path.read_bytes() == weights()
    entry = record(ASNET)
    assert (entry.sha256, entry.first_seen, entry.url != "") == (file_sha256(path), True, True)
    assert user_registry().read_text().count(entry.sha256) == 1
    assert locate(entry) == (path,)
    assert fetch(entry) == path
    assert [asked for asked, _ in hosts.requests] == [FORM], "what is there is not fetched again"
    assert in_cache() == [ASNET]


def test_another_file_than_at_the_first_fetch_is_refused(hosts: Host) -> None:
    hosts.files[FORM] = weights()
    fetch(record(ASNET)).unlink()
    hosts.files[FORM] = weights(1.0)
    with pytest.raises(BrokenFileError, match="is not the file of the first fetch") as caught:
        fetch(record(ASNET))
    assert f"remove the [[fetched]] entry of {ASNET} from {user_registry()}" in str(caught.value.remedy)
    assert in_cache() == []
    user_registry().unlink()
    assert fetch(record(ASNET)).read_bytes() == weights(1.0)


def test_a_hash_that_the_registry_states_counts(hosts: Host) -> None:
    hosts.files[FORM] = weights()
    with pytest.raises(BrokenFileError, match="is not the recorded file"):
        fetch(record(ASNET).model_copy(update={"sha256": "0" * 64}))
    assert in_cache() == []
    assert not user_registry().exists()


def test_the_second_address_is_tried_and_redirects_are_followed(hosts: Host) -> None:
    hosts.texts[FORM] = LOGIN
    hosts.redirects[f"{LINK}&download=1"] = "/else.where/a.ckpt"
    hosts.files["/postechackr-my.sharepoint.com/else.where/a.ckpt"] = weights()
    assert fetch(record(ASNET)).read_bytes() == weights()

    raw = "/github.com/ECCV20/PMMs/raw/master/snapshots/FRPMMs/group_0_of_4/best.pth.tar"
    hosts.redirects[raw] = "https://raw.githubusercontent.com/x/best.pth.tar"
    hosts.files["/raw.githubusercontent.com/x/best.pth.tar"] = weights(2.0)
    assert fetch(record("rpmm-resnet50-pascal5i-fold0")).read_bytes() == weights(2.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LOGIN, "it asks for a login"),
        ("<html>The download quota is exceeded. <a>Sign in</a></html>", "too many people have fetched it lately"),
        ("<html>This item has been removed</html>", "it may have been removed"),
        ("<html>Hello</html>", "shows a web page, not the file"),
    ],
)
def test_a_page_that_says_no_ends_in_the_way_with_a_browser(hosts: Host, text: str, reason: str) -> None:
    hosts.texts |= {FORM: text, f"{LINK}&download=1": text}
    with pytest.raises(MissingError, match=f"{ASNET} has to be downloaded by hand: .*{reason}") as caught:
        fetch(record(ASNET))
    assert caught.value.remedy == (
        f"open {record(ASNET).url} in a browser, save best_model*.ckpt, then fssbench checkpoints add FILE --id {ASNET}"
    )
    assert in_cache() == []
    assert not user_registry().exists()


def test_a_host_that_refuses_ends_there_too(hosts: Host) -> None:
    with pytest.raises(MissingError, match=r"downloaded by hand: .* its host says 404"):
        fetch(record(ASNET))


def test_what_was_broken_off_is_continued(hosts: Host) -> None:
    hosts.files[FORM], hosts.breaks[FORM] = weights(), [2 * CHUNK]
    assert fetch(record(ASNET)).read_bytes() == weights()
    assert hosts.ranges_of(FORM) == ["", f"bytes={2 * CHUNK}-"]


def test_what_an_interrupted_command_left_is_continued(hosts: Host) -> None:
    hosts.files[FORM] = weights()
    with pytest.raises(KeyboardInterrupt):
        fetch(record(ASNET), shown=Interrupted())
    assert in_cache() == []
    assert fetch(record(ASNET)).read_bytes() == weights()
    assert hosts.ranges_of(FORM) == ["", f"bytes={CHUNK}-"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "is not a weight file"),
        (weights()[:-30], "cut short or damaged"),
        (weights().replace(b"\0" * 999, b"\0" * 500 + b"\1" + b"\0" * 498, 1), "does not match its checksum"),
    ],
)
def test_what_is_no_weight_file_is_not_kept(hosts: Host, content: bytes, message: str) -> None:
    hosts.files[FORM] = content
    with pytest.raises(BrokenFileError, match=message):
        fetch(record(ASNET))
    assert in_cache() == []
    assert not user_registry().exists()


def test_two_at_once_fetch_it_once(hosts: Host) -> None:
    hosts.files[FORM], hosts.pause = weights(), 0.1
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(record(ASNET)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [cached_file(record(ASNET))] * 2
    assert len(hosts.requests) == 1


def test_what_does_not_fit_on_the_disk_is_not_begun(hosts: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.files |= {FORM: weights(), UC: weights(size=400_000)}
    hosts.headers = {"Content-Disposition": 'attachment; filename="a.pth"'}
    monkeypatch.setattr(space, "RESERVE", 1 << 60)
    for identifier in (ASNET, MLC):
        with pytest.raises(MissingError, match=rf"^{identifier} needs 1[.0-9]+ [kM]B in ") as caught:
            fetch(record(identifier))
        assert "XDG_CACHE_HOME" in str(caught.value.remedy)


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_an_archive_of_all_folds_is_fetched_once(hosts: Host) -> None:
    folder = "/www.dropbox.com/sh/zstajrmnqrpqxld/AAAvZc-Mp0Kjx_ParKsqQ-gCa?dl=1"
    hosts.files[folder] = zipped({f"models/split{fold}.pth": weights(fold) for fold in (0, 1, 3)} | {"a.txt": b"x"})
    for fold in (0, 1):
        path = fetch(record(f"mmnet-resnet50-pascal5i-fold{fold}-1shot"))
        assert path.read_bytes() == weights(fold)
    assert len(hosts.requests) == 1
    with pytest.raises(MissingError, match=r"none of the 4 files there fits: a.txt, models/split0.pth"):
        fetch(record("mmnet-resnet50-pascal5i-fold2-1shot"))


def test_a_name_in_an_archive_does_not_lead_out_of_the_folder(hosts: Host) -> None:
    folder = "/www.dropbox.com/sh/zstajrmnqrpqxld/AAAvZc-Mp0Kjx_ParKsqQ-gCa?dl=1"
    hosts.files[folder] = zipped({"../../fold0.pth": weights()})
    with pytest.raises(BrokenFileError, match="leads out of the folder"):
        fetch(record("mmnet-resnet50-pascal5i-fold0-1shot"))


def shown_folder(title: str, files: dict[str, str], folders: dict[str, str] | None = None) -> str:
    """Return Google Drive's list of a folder: names by id."""
    links = [f'<a href="https://drive.google.com/file/d/{one}/view">{name}</a>' for one, name in files.items()]
    links += [
        f'<a href="https://drive.google.com/drive/folders/{one}">{name}</a>' for one, name in (folders or {}).items()
    ]
    return f"<html><title>{title}</title>{''.join(links)}</html>"


def test_a_file_of_google_drive_is_confirmed_and_continued(hosts: Host, without_pauses: None) -> None:
    host = "drive.usercontent.google.com/download"
    hosts.texts[UC] = (
        "<html>Google Drive can't scan this file for viruses.\n"
        f'<form id="download-form" action="https://{host}"><input type="hidden" name="id" value="{FILE}">'
        '<input type="hidden" name="confirm" value="t"></form></html>'
    )
    sent = f"/{host}?id={FILE}&confirm=t"
    hosts.headers = {"Content-Disposition": 'attachment; filename="a.pth"'}
    hosts.files[sent], hosts.breaks[sent] = weights(size=400_000), [1 << 20]
    assert fetch(record(MLC)).read_bytes() == weights(size=400_000)
    assert hosts.ranges_of(sent) == ["", f"bytes={1 << 20}-"]
    assert record(MLC).first_seen


class Interrupted(Silent):
    """Ctrl-C as soon as something has arrived."""

    def advance(self, count: int) -> None:
        raise KeyboardInterrupt


def test_what_an_interrupted_command_left_of_google_drive_is_continued(hosts: Host) -> None:
    hosts.headers = {"Content-Disposition": 'attachment; filename="a.pth"'}
    hosts.files[UC] = weights(size=400_000)
    with pytest.raises(KeyboardInterrupt):
        fetch(record(MLC), shown=Interrupted())
    assert fetch(record(MLC)).read_bytes() == weights(size=400_000)
    assert re.fullmatch(r"bytes=[1-9]\d*-", hosts.ranges_of(UC)[-1])


def test_a_part_of_another_file_is_not_joined_with_the_rest(hosts: Host) -> None:
    """safetensors has no checksums, and gdown does not know that the file has changed since the last command."""
    hosts.headers = {"Content-Disposition": 'attachment; filename="a.pth"'}
    old, new = (save({"a": torch.full((400_000,), number)}) for number in (0.0, 1.0))
    hosts.files[UC] = old
    with pytest.raises(KeyboardInterrupt):
        fetch(record(MLC), shown=Interrupted())
    hosts.files[UC] = new
    assert fetch(record(MLC)).read_bytes() == new


def test_a_quota_of_google_drive_is_recognised(hosts: Host) -> None:
    hosts.texts[UC] = '<html>\n<p class="uc-error-subcaption">Too many users have viewed this file recently.</p></html>'
    with pytest.raises(MissingError, match=r"by hand: .*too many people have fetched it lately") as caught:
        fetch(record(MLC))
    assert f"fssbench checkpoints add FILE --id {MLC}" in str(caught.value.remedy)
    assert in_cache() == []


def test_a_folder_of_google_drive_is_listed_once_and_the_file_of_the_fold_taken(hosts: Host) -> None:
    folders = {f"{fold}{'f' * 30}": f"pascal_res50_fold{fold}" for fold in range(2)}
    hosts.texts[FOLDER] = shown_folder("PASCAL-5i", {}, folders)
    hosts.headers = {"Content-Disposition": 'attachment; filename="best_model.pt"'}
    for fold, one in enumerate(folders):
        hosts.texts[f"/drive.google.com/embeddedfolderview?id={one}"] = shown_folder(
            folders[one], {f"{fold}{'a' * 30}": "best_model.pt"}
        )
        hosts.files[f"/drive.google.com/uc?id={fold}{'a' * 30}"] = weights(fold)
    for fold in range(2):
        assert fetch(record(f"hsnet-resnet50-pascal5i-fold{fold}")).read_bytes() == weights(fold)
    assert [asked for asked, _ in hosts.requests].count(FOLDER) == 1


def test_a_folder_that_is_not_shown_is_told(hosts: Host) -> None:
    hosts.texts[FOLDER] = "<html><title>Sign in</title></html>"
    with pytest.raises(MissingError, match=r"by hand: .*shows no files: it is empty, or asks for a login"):
        fetch(record(HSNET))


def test_without_gdown_its_extra_is_named(hosts: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(MissingError, match="takes the package gdown") as caught:
        fetch(record(MLC))
    assert str(caught.value.remedy).startswith("pip install 'fssbench[drive]'; or open https://drive.google.com/file")
    assert hosts.requests == []


def test_what_only_a_browser_gets_asks_nobody(hosts: Host) -> None:
    for identifier, name in (
        ("bam-resnet50-pascal5i-fold0", "train_epoch_107_0.6897.pth"),
        ("repri-resnet50-pascal5i-fold0", "best.pth"),
    ):
        with pytest.raises(MissingError, match="downloaded by hand") as caught:
            fetch(record(identifier))
        assert f"{name}, then fssbench checkpoints add FILE --id {identifier}" in str(caught.value.remedy)
        assert not present(record(identifier))
    assert hosts.requests == []


def test_a_pattern_fits_no_other_checkpoint() -> None:
    bam = [f"bam-vgg16-pascal5i-fold{fold}" for fold in range(4)]
    five = [f"{name}-5shot" for name in bam]
    asnet = [f"asnet-resnet50-coco20i-fold{fold}" for fold in range(4)]
    known = [*bam, *five, *asnet]
    assert pattern_of(asnet, asnet, known) == "'asnet-resnet50-coco20i-*'"
    assert pattern_of(bam, bam, known) == "'bam-vgg16-pascal5i-fold?'"
    assert pattern_of(five, five, known) == "'bam-vgg16-pascal5i-fold*-5shot'"
    assert pattern_of(asnet[:2], asnet, known) == "'asnet-resnet50-coco20i-*'"
    assert pattern_of(asnet[:2], asnet[:2], known) == " ".join(asnet[:2])


def test_what_was_left_of_downloads_long_ago_is_removed(tmp_path: Path) -> None:
    for name, age in (
        ("a.file.part", 31),
        ("a.file.part.json", 31),
        ("b.archive", 31),
        ("c.file.part", 1),
        ("a.lock", 99),
    ):
        (tmp_path / name).write_bytes(b"some")
        then = time.time() - age * 86_400
        os.utime(tmp_path / name, (then, then))
    remove_old(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.lock", "c.file.part"]
    remove_old(tmp_path / "nowhere")
