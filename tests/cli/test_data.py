"""`fssbench data`: what a person sees, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fssbench.cli.data import app
from fssbench.config import config_file
from fssbench.datasets.pascal5i import common_masks as common
from fssbench.datasets.pascal5i import dataset as pascal5i
from fssbench.datasets.shapes20i import dataset as shapes20i
from fssbench.datasets.splits import stored as imported
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from tests.datasets.trees import annotation, box, coco_tree, label_map, own_tree, truncate, voc_tree


def run(*arguments: object) -> tuple[str, FSSBenchError | None]:
    """What a command printed, and the error that ends it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, FSSBenchError):
        raise result.exception
    return result.output, result.exception


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    labels = {f"2008_00000{n}": label_map((n, 0, 0, 96, 96)) for n in range(1, 9)}
    return voc_tree(tmp_path, labels, ["2008_000001", "2008_000002"])


def test_where_says_how_each_root_is_found(voc: Path, tmp_path: Path, monkeypatch) -> None:
    output, error = run("where")
    assert error is None
    assert [line.split()[:2] for line in output.splitlines()[1:15]] == [
        ["chestxray", "-"], ["coco20i", "-"], ["deepglobe", "-"], ["folder", "-"], ["fss1000", "-"], ["isaid5i", "-"],
        ["isic2018", "-"], ["lvis92i", "-"], ["pacopart", "-"], ["pascal5i", "-"], ["pascalpart", "-"],
        ["shapes20i", "rendered"], ["shapes20i-underwater", "rendered"], ["suim", "-"],
    ]  # fmt: skip
    assert "export FSSBENCH_DATA=DIR" in output
    holds = "LungSegmentation, COCO2014, Deepglobe, own-data, FSS-1000, iSAID, ISIC, LVIS, PACO-Part, VOC2012, "
    assert f"DIR holds {holds}Pascal-Part, SUIM" in output
    assert "[data]" in output
    monkeypatch.setenv("FSSBENCH_DATA", str(voc.parent))
    (tmp_path / "f").mkdir()
    config_file().parent.mkdir(parents=True)
    config_file().write_text(f'[data]\nfss1000 = "{tmp_path / "f"}"\n')
    rows = {line.split()[0]: line for line in run("where")[0].splitlines() if line}
    assert "environment" in rows["pascal5i"]
    assert "config file" in rows["fss1000"]


def test_where_says_what_an_option_would_find(voc: Path) -> None:
    for root in (voc, voc.parent):
        rows = {line.split()[0]: line for line in run("where", "--root", root)[0].splitlines() if line}
        assert "option" in rows["pascal5i"]
        assert "option" not in rows["coco20i"]
    _, error = run("where", "--root", voc.parent / "nowhere" / "VOC2012")
    assert error is None


def test_where_finds_own_data_under_any_name(tmp_path: Path) -> None:
    root = own_tree(tmp_path / "reef", {"a": label_map((1, 0, 0, 9, 9))}, '[classes]\n1 = "fish"\n')
    rows = {line.split()[0]: line for line in run("where", "--root", root)[0].splitlines() if line}
    assert ("option" in rows["folder"], "option" in rows["pascal5i"]) == (True, False)
    assert str(root) in rows["folder"]


def test_where_survives_a_folder_that_is_gone_but_not_a_broken_file(tmp_path: Path) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text(f'[data]\nfss1000 = "{tmp_path / "gone"}"\n')
    output, error = run("where")
    assert error is None
    assert "missing" in output
    config_file().write_text("[data\n")
    _, error = run("where")
    assert isinstance(error, BrokenFileError)


def test_check_shows_counts_and_ends_with_2(voc: Path) -> None:
    output, error = run("check", "pascal5i", "--root", voc.parent)
    row = next(line.split() for line in output.splitlines() if line.startswith("val entries, fold 0"))
    assert "masks" in output
    assert "12031" in output
    assert row[4:7] == ["2", "346", "differs"]
    assert isinstance(error, MissingError)
    assert error.exit_code == 2
    assert error.message.startswith(f"pascal5i in {voc} is not the complete release: 11 of 11 counts differ")


def test_check_names_the_first_problems_and_counts_the_rest(voc: Path, monkeypatch) -> None:
    # The sample lacks masks of the release; nothing but its broken photos is of interest here.
    none: dict[str, frozenset[tuple[str, int]]] = {"add": frozenset(), "remove": frozenset()}
    small = replace(pascal5i.facts(), exceptions={"val": none, "train": none})
    monkeypatch.setattr(pascal5i, "facts", lambda: small)
    hashes = {n: common.short_hash(label_map((n, 0, 0, 96, 96))) for n in range(1, 9)}
    masks = {f"2008_00000{n}": common.CommonMask("sbd", found) for n, found in hashes.items()}
    monkeypatch.setattr(common, "common_masks", lambda: masks)
    for path in sorted((voc / "JPEGImages").iterdir())[:7]:
        truncate(path)
    output, error = run("check", "pascal5i", "--root", voc)
    problems = [line for line in output.splitlines() if line.startswith("!")]
    assert len(problems) == 6
    assert "2008_000001.jpg is truncated" in problems[0]
    assert problems[-1] == "! and 2 more broken files"
    assert error is not None
    assert "7 files are broken" in error.message
    assert "is truncated" not in run("check", "pascal5i", "--root", voc, "--quick")[0]


def test_check_of_a_rendered_data_set(monkeypatch) -> None:
    monkeypatch.setattr(shapes20i, "COUNTS", {"train": 60, "val": 40})
    output, error = run("check", "shapes20i")
    assert error is None
    assert "val entries, fold 3" in output


def test_check_explains_every_problem_of_own_data(tmp_path: Path) -> None:
    labels = {f"p{n}": label_map((1 + n % 2, 0, 0, 9, 9)) for n in range(9)}
    root = own_tree(tmp_path / "reef", labels, '[classes]\n1 = "fish"\n2 = "crab"\n')
    output, error = run("check", "folder", "--root", root)
    assert error is None
    assert output.splitlines()[-1] == "folder is complete"
    assert "official" not in output
    for n in range(7):
        (root / "masks" / f"p{n}.png").unlink()
    truncate(root / "images" / "p8.jpg")
    output, error = run("check", "folder", "--root", root)
    assert isinstance(error, MissingError)
    assert error.message == f"{root} can't be used yet: 10 things are wrong"  # each class has one photo left, too
    lines = output.splitlines()
    first = lines.index(f"! {root}/images/p0.jpg has no mask")
    assert lines[first + 5] == "! and 2 more of the kind (--all names them)"
    assert lines[first + 6].startswith("    add masks/NAME.png for each")
    assert any("p8.jpg is truncated" in line for line in lines)
    assert f"! {root}/images/p6.jpg has no mask" in run("check", "folder", "--root", root, "--all")[0]
    (root / "dataset.toml").unlink()
    output, _ = run("check", "folder", "--root", root)
    assert '[classes]\n1 = "class 1"\n2 = "class 2"\n' in output
    assert isinstance(run("check", "folder", "--root", root, "--labels", "png")[1], UsageError)


def test_init_writes_a_description_that_the_check_takes(tmp_path: Path) -> None:
    labels = {f"p{n}": label_map((1 + n % 2, 0, 0, 9, 9)) for n in range(4)}
    root = own_tree(tmp_path / "reef", labels, "")
    output, error = run("init", "folder", "--root", root)
    assert isinstance(error, UsageError)
    assert "is there already, and is not replaced" in error.message
    (root / "dataset.toml").unlink()
    output, error = run("init", "folder", "--root", root)
    assert error is None
    assert output.splitlines()[:3] == [f"{root}/dataset.toml:", '  name = "reef"', '  masks = "indexed"']
    assert "guessed:" in output
    assert output.splitlines()[-1] == f"  fssbench data check folder --root {root}"
    assert run("check", "folder", "--root", root)[1] is None
    assert run("init", "folder", "--root", root)[1] is not None
    _, error = run("init", "pascal5i", "--root", root)
    assert isinstance(error, UsageError)


def test_check_takes_the_label_rule(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, {"val": ([1], [annotation(1, 1, 1, box(0, 0, 60, 60))])})
    output, _ = run("check", "coco20i", "--root", root, "--labels", "pycocotools")
    assert "label rule: pycocotools" in output
    _, error = run("check", "coco20i", "--root", root, "--labels", "mine")
    assert isinstance(error, UsageError)
    _, error = run("check", "shapes20i", "--labels", "png")
    assert isinstance(error, UsageError)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("check", "pascal5i"), MissingError, "was not found"),
        (("check", "pascal"), UsageError, "did you mean pascal5i"),
        (("check", "pascal5i", "--root", "/nowhere"), MissingError, "no folder /nowhere"),
        (("import-splits", "coco20i", "--from", "/nowhere"), MissingError, "no folder /nowhere"),
        (("import-splits", "shapes20i", "--from", "/"), UsageError, "needs no imported splits"),
    ],
)
def test_mistakes_are_sentences(arguments: tuple[str, ...], kind: type[FSSBenchError], message: str) -> None:
    _, error = run(*arguments)
    assert isinstance(error, kind)
    assert message in error.message
    assert "\n" not in error.message


def test_import_splits_says_what_was_kept(tmp_path: Path) -> None:
    (tmp_path / "val.json").write_text(json.dumps({str(k): [k] for k in range(80)}))
    output, error = run("import-splits", "coco20i", "--from", tmp_path)
    assert error is None
    assert "val: 80 entries of 80 images in 80 classes, not HSNet's release" in output
    assert "note: the val list of fold 0 has 20 entries, HSNet's has 35783" in output
    assert imported.path_of("coco20i", "val").is_file()


def test_import_of_the_release(shared: Path) -> None:
    output, error = run("import-splits", "fss1000", "--from", shared / "reference" / "splits")
    assert error is None
    assert output.count(", HSNet's release;") == 3


def test_no_command_imports_torch(voc: Path) -> None:
    script = (
        "import sys; sys.argv = ['data', 'check', 'pascal5i', '--root', sys.argv[1]]\n"
        "from fssbench.cli.data import app\n"
        "try: app()\n"
        "except BaseException as error: assert 'complete release' in str(error), error\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(voc)], check=True, capture_output=True)
