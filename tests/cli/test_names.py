"""Names at the command line: completed through the protocol of the shells, and taken as papers write them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.cli.names import _spelled_text
from fssbench.errors import UsageError

Run = Callable[..., tuple[int, str, str]]

CASES = {
    "eval --method as": ["asgnet", "asnet", "asnet-hm"],
    "eval --method hsnet,as": ["hsnet,asgnet", "hsnet,asnet", "hsnet,asnet-hm"],
    "eval --method asnet,as": ["asnet,asgnet", "asnet,asnet-hm"],
    "eval --dataset pas": ["pascal5i", "pascalpart"],
    "eval --protocol ifsl": ["ifsl-fss", "ifsl-fscs"],
    "eval --method oslsm --backbone ": ["vgg16", "small"],
    "eval --method asnet --variant fscs-": ["fscs-local", "fscs-unmasked", "fscs-single-level"],
    "eval --task f": ["fss", "fs-cs", "fscs"],
    "checkpoints show hsnet-vgg16-pascal5i-fold": [f"hsnet-vgg16-pascal5i-fold{fold}" for fold in range(4)],
    "data check fss": ["fss1000"],
    "list methods hsn": ["hsnet"],
    "table --compare vat": ["vat", "vat-hm"],
    "table --dataset pascal5i_to_s": ["pascal5i_to_suim"],
    "published list --source vat-r": ["vat-readme"],
    "launch --nothing ": [],
}


@pytest.mark.parametrize(("line", "expected"), CASES.items())
def test_bash_completes(fssbench: Run, monkeypatch: pytest.MonkeyPatch, line: str, expected: list[str]) -> None:
    words = f"fssbench {line}"
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    monkeypatch.setenv("_FSSBENCH_COMPLETE", "complete_bash")
    code, out, err = fssbench()
    assert (code, out.split(), err) == (0, expected, "")


def test_zsh_completes(fssbench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "fssbench eval --method hsnet,pf")
    monkeypatch.setenv("_FSSBENCH_COMPLETE", "complete_zsh")
    assert fssbench() == (0, "_arguments '*: :((\"hsnet,pfenet\"))'\n", "")


def test_a_broken_configuration_completes_nothing(
    fssbench: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fssbench").mkdir()
    (tmp_path / "fssbench" / "checkpoints.toml").write_text("[[checkpoint]\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "fssbench checkpoints show hs")
    monkeypatch.setenv("_FSSBENCH_COMPLETE", "complete_zsh")
    assert fssbench() == (0, "_files\n", "")


def test_completion_is_quick_without_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit(99)\n")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
        "_TYPER_COMPLETE_ARGS": "fssbench checkpoints fetch hsnet-vgg16-pascal5i-fold0",
        "_FSSBENCH_COMPLETE": "complete_zsh",
    }
    command = [sys.executable, "-m", "fssbench"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (0, "_arguments '*: :((\"hsnet-vgg16-pascal5i-fold0\"))'\n"), done.stderr


@pytest.mark.parametrize(
    ("kind", "typed", "meant"),
    [
        ("method", "HSNet,AS-Net", "hsnet,asnet"),
        ("method", "./my.py:MyNet,HSNet", "./my.py:MyNet,hsnet"),
        ("dataset", "PASCAL-5i → SUIM", "pascal5i_to_suim"),
        ("dataset", "COCO-20i_to_PASCAL-5i", "coco20i_to_pascal5i"),
        ("backbone", "ResNet-50,resnet1*,hf:Owner/Name", "resnet50,resnet1*,hf:Owner/Name"),
        ("protocol", "IFSL-FSCS@original", "ifsl-fscs@original"),
        ("dataset", "planets", "planets"),
    ],
)
def test_names_as_papers_write_them(kind: str, typed: str, meant: str) -> None:
    assert _spelled_text(kind, typed) == meant


def test_an_ambiguous_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fssbench.methods.catalogue.list_methods", lambda: ["hs-net", "hsnet"])
    with pytest.raises(UsageError, match="hs-net or hsnet"):
        _spelled_text("method", "HS-Net")


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["list", "metods"], "did you mean methods?"),  # codespell:ignore metods
        (["eval", "--method", "hsnet", "--dataset", "shapes20i", "--task", "fsccs"], "did you mean fscs?"),
        (["data", "build", "pascl5i"], "did you mean pascal5i"),
        (["data", "init", "foldr", "--root", "."], "did you mean folder?"),
        (["data", "import-splits", "coco2i", "--from", "."], "did you mean coco20i?"),
        (["eval", "--method", "hsnet", "--dataset", "shapes20i", "--variant", "fcss"], "did you mean fss?"),
        (["eval", "--method", "hsnet", "--dataset", "shapes20i", "--device", "cudda"], "did you mean cuda?"),
        (["eval", "--method", "hsnet", "--dataset", "coco20i", "--labels", "hsnt"], "did you mean hsnet?"),
        (["train", "--backbone", "smalx", "--dataset", "shapes20i", "--fold", "0"], "did you mean small?"),
        (["published", "list", "--task", "fcss"], "did you mean fss"),
        (["checkpoints", "show", "hsnet-resnet50-pascal5i-fold9"], "did you mean hsnet-resnet50-pascal5i-fold"),
    ],
    ids=" ".join,
)
def test_a_near_miss_is_told_what_is_near(fssbench: Run, arguments: list[str], near: str) -> None:
    code, out, err = fssbench(*arguments)
    assert (code, out) == (2, "")
    assert near in err


def test_what_is_missing_is_told_on_one_line(fssbench: Run) -> None:
    message = "error: missing argument 'what'. Choose from: methods, datasets, protocols, backbones\n"
    assert fssbench("list") == (2, "", f"{message}  try: fssbench list --help\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["list", "methods", "VRP-SAM"], "published only"),
        (["list", "methods", "HS-Net"], "Centre-pivot 4D"),
        (["checkpoints", "status", "--method", "ASNet_w"], "asnet-w"),
        (["checkpoints", "show", "HSNet-VGG16-PASCAL5i-fold0"], "hsnet-vgg16-pascal5i-fold0"),
        (
            ["published", "list", "--method", "HS-Net", "--venue", "ICCV-2021", "--dataset", "PASCAL-5^i"],
            "ifsl-paper:51",
        ),
        (["table", "--compare", "VAT_HM", "--dataset", "PASCAL-5i", "--backbone", "ResNet-50"], "VAT-HM"),
    ],
    ids=" ".join,
)
def test_printed_names_too(fssbench: Run, arguments: list[str], text: str) -> None:
    code, out, err = fssbench(*arguments)
    assert (code, err) == (0, "")
    assert text in out
