"""`fssbench episodes`: what a person sees, and the exit codes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fssbench.cli.episodes import app
from fssbench.episode import episodes, read_episodes
from fssbench.errors import CheckFailedError, FSSBenchError, MissingError, UsageError
from tests.episode.stub import ListsOnly, synthetic

Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `fssbench episodes ...` on data sets that are lists only."""

    def open_stub(name: str, root: Path | None = None, **options: object) -> ListsOnly:
        if name == "short":
            return ListsOnly("pascal5i", [("a", 1), ("b", 2), ("c", 2)], (1, 2))
        if options:
            raise UsageError(f"opened with {options}")
        return synthetic(name, images=20 if root else 30)

    monkeypatch.setattr("fssbench.datasets.open_dataset", open_stub)

    def invoke(*arguments: object) -> Any:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, FSSBenchError | SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def exported(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "list.json"
    assert run("export", "--dataset", "pascal5i", "--shots", 5, "--count", 30, "--out", path).exit_code == 0
    return path


def test_export_writes_what_the_library_draws(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    options = ["--fold", 2, "--shots", 3, "--ways", 2, "--protocol", "ifsl-fscs", "--count", 20, "--seed", 4]
    result = run("export", "--dataset", "coco20i", *options, "--out", path)
    drawn = episodes(synthetic("coco20i"), 2, 2, 3, "ifsl-fscs", 20, 4)
    assert read_episodes(path) == drawn
    assert f"20 episodes, hash {drawn.hash}" in result.output


def test_export_of_all_folds(run: Run, tmp_path: Path) -> None:
    common = ["export", "--dataset", "pascal5i", "--fold", "all", "--count", 3]
    result = run(*common, "--out", tmp_path / "list.json")
    assert isinstance(result.exception, UsageError)
    assert "list-fold{fold}.json" in str(result.exception.remedy)
    assert list(tmp_path.iterdir()) == []
    assert run(*common, "--out", tmp_path / "list-{fold}.json").exit_code == 0
    assert [read_episodes(tmp_path / f"list-{fold}.json").fold for fold in range(4)] == [0, 1, 2, 3]


def test_export_says_when_a_full_list_is_not_the_releases(run: Run, tmp_path: Path) -> None:
    result = run("export", "--dataset", "pascal5i", "--out", tmp_path / "list.json")
    assert "is not the list of hsnet's release" in result.output


def test_short_classes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    result = run("export", "--dataset", "short", "--count", 4, "--out", path)
    assert isinstance(result.exception, MissingError)
    assert not path.exists()
    result = run("export", "--dataset", "short", "--count", 4, "--skip-short-classes", "--out", path)
    assert "without class1: not the protocol's own list" in result.output
    assert read_episodes(path).left_out == (1,)


def test_show_a_file(run: Run, exported: Path) -> None:
    result = run("show", exported, "--rows", 2)
    drawn = read_episodes(exported)
    assert result.exit_code == 0
    for text in (drawn.hash, "pascal5i", "hsnet", drawn[0].query, drawn[1].supports[0][0]):
        assert text in result.output
    assert "The first 2" in result.output
    count = sum(6 in episode.classes for episode in drawn)
    [row] = [line.split() for line in result.output.splitlines() if line.split()[:1] == ["6"]][:1]
    assert row[1] == str(count)


def test_show_draws_where_no_file_is_given(run: Run) -> None:
    result = run("show", "--dataset", "pascal5i", "--count", 12, "--rows", 0)
    assert episodes(synthetic("pascal5i"), shot=1, count=12).hash in result.output
    assert "6 class6" in result.output
    assert "The first" not in result.output


def test_show_names_classes_without_episodes(run: Run) -> None:
    result = run("show", "--dataset", "short", "--count", 4, "--skip-short-classes", "--rows", 0)
    rows = [line.split() for line in result.output.splitlines()]
    assert ["1", "class1", "0", "0", "0"] in rows
    assert ["2", "class2", "4", "4", "2"] in rows


@pytest.mark.parametrize("arguments", [(), ("FILE", "--dataset", "pascal5i")])
def test_show_takes_one_or_the_other(run: Run, arguments: tuple[str, ...]) -> None:
    assert isinstance(run("show", *arguments).exception, UsageError)


def test_verify_checks_the_hash_and_says_what_it_did_not_check(run: Run, exported: Path) -> None:
    result = run("verify", exported)
    assert result.exit_code == 0
    assert read_episodes(exported).hash in result.output
    assert f"fssbench episodes verify {exported} --dataset pascal5i" in result.output


def test_verify_against_the_data(run: Run, exported: Path) -> None:
    result = run("verify", exported, "--dataset", "pascal5i")
    assert result.exit_code == 0
    assert "equals protocol hsnet on pascal5i fold 0, first 30" in result.output


def test_verify_against_other_data_fails(run: Run, exported: Path) -> None:
    result = run("verify", exported, "--root", "elsewhere")
    assert isinstance(result.exception, CheckFailedError)
    assert result.exception.exit_code == 1
    assert "failed" in result.output
    assert "are not in pascal5i, val" in str(result.exception)


def test_verify_of_another_data_set_fails(run: Run, exported: Path) -> None:
    result = run("verify", exported, "--dataset", "coco20i")
    assert isinstance(result.exception, CheckFailedError)
    assert "is for pascal5i, not for coco20i" in result.exception.message


def test_verify_of_a_tampered_file_fails_and_of_none_is_a_mistake(run: Run, exported: Path) -> None:
    exported.write_text(exported.read_text().replace("image_0003", "image_0004"))
    tampered = run("verify", exported).exception
    assert isinstance(tampered, CheckFailedError)
    assert tampered.exit_code == 1
    assert "changed after it was written" in tampered.message
    missing = run("verify", exported.with_name("none.json")).exception
    assert isinstance(missing, MissingError)
    assert missing.exit_code == 2


def test_the_label_rule_goes_to_the_data_set(run: Run, exported: Path, tmp_path: Path) -> None:
    for command in (
        ("export", "--dataset", "coco20i", "--out", tmp_path / "x.json"),
        ("show", "--dataset", "coco20i"),
        ("verify", exported),
    ):
        result = run(*command, "--labels", "pycocotools")
        assert str(result.exception) == "opened with {'labels': 'pycocotools'}"


@pytest.mark.parametrize("fold", ["-1", "x", "1.5", "²"])
def test_a_fold_is_a_number(run: Run, fold: str) -> None:
    assert isinstance(run("show", "--dataset", "pascal5i", f"--fold={fold}").exception, UsageError)


def test_help_needs_neither_torch_nor_pandas() -> None:
    code = "import sys, fssbench.cli.episodes; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    top = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=top).returncode == 0
