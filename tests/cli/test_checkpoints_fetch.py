"""`fssbench checkpoints fetch` of whole sets, `status`, and what `eval` says without weights."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fssbench.checkpoints import file_sha256, record
from fssbench.checkpoints.fetching import cached_file
from fssbench.checkpoints.registry import user_registry
from fssbench.errors import MissingError
from fssbench.methods.base import word_vectors
from fssbench.methods.catalogue import method_info
from fssbench.planning.request import Request
from fssbench.planning.weights import sources_for
from tests.checkpoints.conftest import hosts, weights
from tests.downloads.host import Host

__all__ = ["hosts"]

Command = Callable[..., tuple[int, str, str]]
IDS = [f"asnet-resnet50-coco20i-fold{fold}" for fold in range(4)]


def form(identifier: str) -> str:
    """Return where the test's host has the file of a record on SharePoint."""
    token = record(identifier).url.rpartition("/")[2].partition("?")[0]
    place = "/postechackr-my.sharepoint.com/personal/kjdr86_postech_ac_kr/_layouts/15/download.aspx"
    return f"{place}?share={token}"


def test_a_pattern_fetches_a_set_and_says_that_nobody_vouches_for_it(hosts: Host, fssbench: Command) -> None:
    hosts.files = {form(name): weights(fold) for fold, name in enumerate(IDS)}
    code, out, err = fssbench("checkpoints", "fetch", "asnet-resnet50-coco20i-*")
    assert code == 0, err
    for name in IDS:
        assert f"{name}: {cached_file(record(name))}" in out
        assert f"no hash is recorded; it is {file_sha256(cached_file(record(name)))}" in out
    assert out.count("nobody had vouched for it before") == 4
    assert f"written to {user_registry()}" in out
    assert "continued" not in err

    code, out, _ = fssbench("checkpoints", "fetch", *IDS, IDS[0])
    assert (code, out.count("the same file as at the first fetch")) == (0, 4)
    assert len(hosts.requests) == 4
    code, out, _ = fssbench("checkpoints", "show", IDS[0])
    assert "of the first fetch; nobody else vouches for it" in out
    code, out, _ = fssbench(
        "checkpoints", "list", "--method", "asnet", "--backbone", "resnet50", "--dataset", "coco20i"
    )
    (line,) = [line.split() for line in out.splitlines() if line.startswith(IDS[0])]
    assert line[-6:] == ["first", "fetch", "yes", "0", "resnet50", "coco20i"]


def test_the_others_go_on_and_failures_are_listed_at_the_end(hosts: Host, fssbench: Command) -> None:
    hosts.files = {form(name): weights(fold) for fold, name in enumerate(IDS) if fold != 1}
    hosts.files[form(IDS[2])] = b"no weights"
    code, out, err = fssbench("checkpoints", "fetch", *IDS, "repri-resnet50-pascal5i-fold0")
    assert code == 2
    for name in (IDS[0], IDS[3]):
        assert f"{name}: {cached_file(record(name))}" in out
    assert f"{IDS[1]} has to be downloaded by hand: " in err
    assert f"open {record(IDS[1]).url} in a browser, save best_model*.ckpt" in err
    assert f"fssbench checkpoints add FILE --id {IDS[1]}" in err
    assert "is not a weight file" in err
    assert "fssbench checkpoints add FILE --id repri-resnet50-pascal5i-fold0" in err
    assert f"3 of 5 checkpoints were not fetched: {IDS[1]} {IDS[2]} repri-resnet50-pascal5i-fold0" in err


def test_what_the_page_shows_works(hosts: Host, fssbench: Command) -> None:
    hosts.files = {form(name): weights(fold) for fold, name in enumerate(IDS)}
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(fssbench checkpoints .*?)```", page, re.DOTALL)
    for line in block.splitlines():
        assert fssbench(*shlex.split(line)[1:])[0] == 0


def test_what_names_nothing_is_a_mistake(hosts: Host, fssbench: Command) -> None:
    for name, message in (
        ("asnet-resnet18-*", "no checkpoint's id fits 'asnet-resnet18-*'"),
        ("asnet-resnet50-coco20i", "try: fssbench checkpoints fetch 'asnet-resnet50-coco20i-*'"),
        ("asnet-resnet50-coco20i-fold9", "did you mean"),
    ):
        code, out, err = fssbench("checkpoints", "fetch", name)
        assert (code, out) == (2, "")
        assert message in err
    assert hosts.requests == []


def without_weights(method: str, dataset: str, backbone: str, shots: int, *folds: int) -> str:
    """Return what an evaluation says that finds its data, but no weights."""
    request = Request(method=method, dataset=dataset, backbone=backbone, shots=shots)
    info = method_info(method)
    with pytest.raises(MissingError) as caught:
        sources_for(request, info, info.variant_for("fss"), backbone, list(folds))
    return str(caught.value)


def test_an_evaluation_without_weights_names_the_one_command() -> None:
    told = without_weights("asnet", "coco20i", "resnet50", 5, 0, 1, 2, 3)
    assert "4 checkpoints are not on this machine yet (SharePoint): " + ", ".join(IDS) in told
    assert told.endswith("try: fssbench checkpoints fetch 'asnet-resnet50-coco20i-*'")
    told = without_weights("asnet", "coco20i", "resnet50", 5, 2)
    assert f"try: fssbench checkpoints fetch {IDS[2]}; or open " in told
    told = without_weights("bam", "pascal5i", "vgg16", 5, 0, 1, 2, 3)
    assert "4 checkpoints have to be downloaded by hand (SharePoint): " in told
    assert "try: fssbench checkpoints fetch 'bam-vgg16-pascal5i-fold*-5shot' shows the page" in told


def rows_of(out: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(out)
    return rows


def test_status_counts_the_folds_that_are_here(hosts: Host, fssbench: Command) -> None:
    hosts.files = {form(name): weights(fold) for fold, name in enumerate(IDS)}
    assert fssbench("checkpoints", "fetch", *IDS[:3])[0] == 0
    code, out, _ = fssbench("checkpoints", "status", "--method", "asnet", "--dataset", "coco20i", "--json")
    found = [row for row in rows_of(out) if (row["task"], row["backbone"]) == ("fss", "resnet50")]
    assert code == 0
    assert sorted(row["shot"] for row in found if isinstance(row["shot"], int)) == [1, 5]
    for row in found:
        assert (row["released"], row["where"], row["fetched"]) == ("registered", "SharePoint", True)
        assert (row["here"], row["folds"], row["ids"]) == (3, 4, IDS)
        assert row["command"] == "fssbench checkpoints fetch 'asnet-resnet50-coco20i-*'"
    code, out, _ = fssbench("checkpoints", "status", "--method", "asnet", "--dataset", "coco20i")
    assert code == 0
    assert "3 of 4" in out
    assert "printed results: " in out


def test_status_says_what_was_never_released_and_what_nobody_looked_for(fssbench: Command) -> None:
    code, out, _ = fssbench("checkpoints", "status", "--json")
    rows = rows_of(out)
    assert code == 0
    names = [(row["method"], row["variant"], row["backbone"], row["dataset"], row["task"], row["shot"]) for row in rows]
    assert len(set(names)) == len(names) > 250
    by_method = {str(row["method"]): row for row in rows}
    assert {name: by_method[name]["released"] for name in ("canet", "cwt", "ntrenet", "vat-hm", "dan", "gfsam")} == {
        "canet": "none",
        "cwt": "none",
        "ntrenet": "none",
        "vat-hm": "elsewhere",
        "dan": "unknown",
        "gfsam": "public networks",
    }
    assert str(by_method["vat-hm"]["where"]).startswith("https://drive.google.com/")
    five = next(row for row in rows if (row["method"], row["backbone"], row["shot"]) == ("bam", "vgg16", 5))
    assert (five["fetched"], five["ids"]) == (
        False,
        [f"bam-vgg16-{five['dataset']}-fold{fold}-5shot" for fold in range(4)],
    )
    coco = [row for row in rows if (row["method"], row["dataset"]) == ("mmnet", "coco20i")]
    assert {row["released"] for row in coco} == {"other rows"}


@pytest.mark.parametrize("option", [("--method", "hsnett"), ("--dataset", "cocoo")])
def test_status_of_nothing_is_a_mistake(fssbench: Command, option: tuple[str, str]) -> None:
    assert fssbench("checkpoints", "status", *option)[:2] == (2, "")


def test_word_vectors_are_fetched_by_their_id(hosts: Host, fssbench: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"vectors"
    released = word_vectors.shipped_vectors()["coco20i"]
    known = replace(released, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(word_vectors, "shipped_vectors", lambda: {"coco20i": known})
    hosts.files = {f"/{known.url.partition('://')[2]}": b"VECTORS"}
    code, _, err = fssbench("checkpoints", "fetch", known.id)
    assert (code, "is not the recorded file: its sha256 begins" in err) == (2, True)
    assert not known.path.exists()

    hosts.files = dict.fromkeys(hosts.files, content)
    code, out, _ = fssbench("checkpoints", "fetch", known.id)
    assert (code, out) == (0, f"{known.id}: {known.path}\n")
    assert known.path.read_bytes() == content
    sent = len(hosts.requests)
    assert fssbench("checkpoints", "fetch", known.id)[0] == 0
    assert len(hosts.requests) == sent
