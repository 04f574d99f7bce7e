"""`fssbench checkpoints`: what a person sees of weights, and the exit codes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import fssbench
from fssbench.checkpoints import file_sha256, find, record
from fssbench.checkpoints.registry import user_registry
from fssbench.cli import main

NEW = ("--method", "hsnet", "--backbone", "small", "--dataset", "shapes20i")


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["fssbench", "checkpoints", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr()
    return int(str(stop.value.code)), said.out, said.err


@pytest.fixture
def checkpoints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """What `fssbench train` writes: safetensors that name the options the network needs."""
    from safetensors.torch import save_file

    torch.manual_seed(1)
    state = fssbench.build("hsnet", backbone="small", channels=(4, 4, 4)).state_dict()
    save_file(dict(state), tmp_path / "weights.safetensors", metadata={"options": '{"channels": [4, 4, 4]}'})
    return tmp_path / "weights.safetensors"


def test_list_shows_what_is_asked_for(checkpoints: Any) -> None:
    code, out, _ = checkpoints("list", "--method", "asnet", "--dataset", "coco20i", "--backbone", "resnet101")
    rows = [line.split() for line in out.splitlines() if line.startswith("asnet")]
    assert code == 0
    assert [row[0] for row in rows] == [f"asnet-resnet101-coco20i-fold{fold}" for fold in range(4)]
    assert rows[2][1:4] == ["asnet", "fss", "1,5"]
    assert "4 registered, 0 on this machine" in out


def test_a_list_of_nothing_is_a_mistake(checkpoints: Any) -> None:
    code, out, err = checkpoints("list", "--method", "hsnet", "--dataset", "fss1000")
    assert (code, out) == (2, "")
    assert "no checkpoint is registered for method hsnet, dataset fss1000" in err


def test_show_gives_links_and_commands_whole(checkpoints: Any) -> None:
    code, out, _ = checkpoints("show", "hsnet-resnet50-pascal5i-fold0")
    said = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in out.splitlines()}
    assert code == 0
    assert said["url"] == record("hsnet-resnet50-pascal5i-fold0").url
    assert said["shots"] == "1, 5"
    assert said["sha256"].startswith("not recorded")
    assert said["here"].endswith("checkpoints add FILE --id hsnet-resnet50-pascal5i-fold0")
    assert "miou_1shot 64.3" in said["expected"]


def test_a_file_that_was_added_is_found_verified_and_told_from_a_changed_one(checkpoints: Any, weights: Path) -> None:
    code, out, _ = checkpoints("add", weights, *NEW, "--fold", 3, "--shots", "5,1", "--note", 'a "quoted" note')
    assert code == 0
    assert file_sha256(weights) in out
    found = find("hsnet", None, "small", "shapes20i", 3)
    assert (found.options, found.shots, found.note) == ({"channels": (4, 4, 4)}, (1, 5), 'a "quoted" note')

    code, out, err = checkpoints("verify", found.id)
    assert (code, err) == (0, "")
    assert "hash as recorded, 242 entries fit" in out
    assert checkpoints("verify", weights)[1] == out, "a file is known by its hash"

    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, out, err = checkpoints("verify", found.id)
    assert code == 1
    assert "is not the recorded file" in out
    assert "1 of 1 checkpoints are not what they should be" in err


def test_a_downloaded_file_takes_the_place_of_its_record_and_keeps_what_is_known_of_it(
    checkpoints: Any, weights: Path
) -> None:
    identifier = "hsnet-resnet50-pascal5i-fold0"
    before = record(identifier)
    assert checkpoints("add", weights, "--id", identifier)[0] == 0
    after = record(identifier)
    assert (after.expected, after.source, after.fold) == (before.expected, before.source, before.fold)
    assert (after.path, after.url, after.sha256) == (str(weights), "", file_sha256(weights))
    code, out, _ = checkpoints("verify", identifier)
    assert code == 1
    assert "they are for small, the method was built with resnet50" in out


def test_weak_and_strong_checkpoints_do_not_replace_each_other(checkpoints: Any, tmp_path: Path) -> None:
    asnet = ("--method", "asnet", "--backbone", "resnet50", "--dataset", "pascal5i", "--fold", 0, "--variant", "fscs")
    for name, extra in (("strong", ()), ("weak", ("--weak",))):
        torch.save({"a": torch.full((1,), len(name))}, tmp_path / f"{name}.pt")
        assert checkpoints("add", tmp_path / f"{name}.pt", *asnet, *extra)[0] == 0
    for weak in (False, True):
        found = find("asnet", "fscs", "resnet50", "pascal5i", 0, weak=weak)
        assert Path(found.path).stem == ("weak" if weak else "strong")


def test_the_users_own_file_comes_before_a_shipped_record_whatever_its_shots(checkpoints: Any, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "coco_fold0.pt")
    new = ("--method", "asnet", "--backbone", "resnet50", "--dataset", "coco20i", "--fold", 0, "--id", "mine")
    assert checkpoints("add", tmp_path / "coco_fold0.pt", *new, "--shots", 1)[0] == 0
    assert find("asnet", None, "resnet50", "coco20i", 0, shots=5).id == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", 0], "a new record needs --method"),
        ([*NEW, "--fold", 4], "shapes20i has no fold 4"),
        ([*NEW, "--fold", 0, "--shots", "one"], "shots are numbers"),
        ([*NEW, "--fold", 0, "--shots", "0"], "shots are numbers from 1"),
        ([*NEW, "--fold", 0, "--variant", "weak"], "has no variant 'weak'"),
        ([*NEW, "--fold", 0, "--id", "My file"], r"do not make a valid record: \(id\)"),
        (["--method", "hsnet", "--backbone", "vgg19", "--dataset", "pascal5i", "--fold", 0], "no backbone 'vgg19'"),
        (
            ["--method", "copy-mask", "--backbone", "vgg16", "--dataset", "pascal5i", "--fold", 0],
            "no weights of its own",
        ),
        (["--method", "hsnet", "--backbone", "vgg16", "--dataset", "pascal", "--fold", 0], "did you mean pascal5i"),
        ([*NEW, "--fold", 0, "--backbone-file", "gone.pt"], "there is no checkpoint gone.pt"),
    ],
)
def test_a_mistake_registers_nothing(checkpoints: Any, weights: Path, arguments: list[object], message: str) -> None:
    code, out, err = checkpoints("add", weights, *arguments)
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert not user_registry().exists()


def test_a_file_is_for_one_fold(checkpoints: Any, weights: Path) -> None:
    assert checkpoints("add", weights, *NEW, "--fold", 3)[0] == 0
    code, _, err = checkpoints("add", weights, *NEW, "--fold", 2)
    assert code == 2
    assert "registered as hsnet-small-shapes20i-fold3: it was trained on classes of fold 2" in err


def test_a_web_page_is_not_registered(checkpoints: Any, tmp_path: Path) -> None:
    (tmp_path / "best_model.pt").write_text("<!DOCTYPE html><title>Sign in</title>")
    code, _, err = checkpoints("add", tmp_path / "best_model.pt", "--id", "hsnet-resnet50-pascal5i-fold0")
    assert code == 2
    assert "is a web page, not weights" in err
    assert "open the link in a browser" in err
    assert not user_registry().exists()


def test_weights_of_a_package_are_verified_by_the_method_that_takes_them(checkpoints: Any) -> None:
    code, out, _ = checkpoints("verify", "efficientnet-lite0-imagenet")
    assert code == 0
    assert "hash as recorded, 296 entries fit" in out


def test_verify_reads_a_file_that_no_record_knows(checkpoints: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1), "b": torch.zeros(1)}}, tmp_path / "model.pt")
    code, out, _ = checkpoints("verify", tmp_path / "model.pt")
    assert code == 0
    assert "2 entries, in no record" in out
    assert file_sha256(tmp_path / "model.pt") in out


def test_verify_and_fetch_say_what_to_download_by_hand(checkpoints: Any) -> None:
    for command in ("verify", "fetch"):
        code, _, err = checkpoints(command, "repri-resnet50-pascal5i-fold0")
        assert code == 2
        assert record("repri-resnet50-pascal5i-fold0").url in err
        assert "checkpoints add FILE --id repri-resnet50-pascal5i-fold0" in err
    code, _, err = checkpoints("verify", "gone.pt")
    assert code == 2
    assert "there is no checkpoint gone.pt" in err


def test_at_a_terminal_the_folds_of_a_set_are_one_row(checkpoints: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = checkpoints("list", "--method", "HSNet", "--dataset", "PASCAL-5i")
    rows = [line.split() for line in out.splitlines() if line.startswith("hsnet")]
    assert code == 0
    assert ["hsnet", "fss", "resnet50", "pascal5i", "0-3", "1,5", "-", "-"] in rows
    assert len(rows) == 4
    assert "16 registered" in out


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["list", "--method", "hsnett"], "unknown method 'hsnett'; did you mean hsnet"),
        (["list", "--dataset", "pascal5"], "unknown data set 'pascal5'; did you mean pascal5i"),
        (["list", "--backbone", "resnet5"], "unknown backbone 'resnet5'; did you mean resnet50"),
        (["status", "--dataset", "pascal5"], "'pascal5'; did you mean pascal5i"),
        (["show", "nope"], "unknown checkpoint 'nope'; none of the "),
    ],
)
def test_a_near_miss_is_told_what_is_near(checkpoints: Any, arguments: list[str], near: str) -> None:
    code, out, err = checkpoints(*arguments)
    assert (code, out) == (2, "")
    assert near in err
    assert len(err) < 300
