"""Where output is to go: empty paths, folders where a file is meant, files where a folder is, shards of nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fssbench.files import write_text
from tests.tables.runs import run_of, write_run

Fssbench = Callable[..., tuple[int, str, str]]

EVAL = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--shots", "1", "--limit", "4", "-q")
EXPORT = ("episodes", "export", "--dataset", "shapes20i", "--protocol", "shapes", "--count", "2")
TRAIN = ("train", "--dataset", "shapes20i", "--fold", "0", "--backbone", "small", "--steps", "1")


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two runs and a file in the folder one is in; nothing else is there afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    return [write_run(tmp_path / name, run_of("hsnet", (0,), backbone="small")) for name in ("a", "b")]


@pytest.fixture(autouse=True)
def _nothing_written(runs: list[Path], tmp_path: Path) -> object:
    yield
    there = {path.name for path in tmp_path.iterdir()} - {"cache"}
    assert there == {"file", *(path.name for path in runs)}
    assert (tmp_path / "file").read_text() == "kept"
    assert {path.name for run in runs for path in run.iterdir()} == {"run.json", "rows.jsonl"}


FILES = [
    (EXPORT, "--out"),
    ((*EXPORT, "--fold", "all"), "--out"),
    (("table",), "--out"),
    (("compare", "a", "b"), "--out"),
    (("check", "a"), "--junit"),
    (("check", "a"), "--step-summary"),
    (("bench", "--method", "copy-mask", "--episodes", "1"), "--out"),
]
FOLDERS = [
    (EVAL, "--out"),
    ((*EVAL, "--out", "c"), "--save-predictions"),
    (TRAIN, "--out"),
    (("merge", "a"), "--out"),
    (("score", "--predictions", "a", "--episodes", "a"), "--out"),
    (("launch", "--shards", "2", "--local", "--", *EVAL, "--out", "c"), "--logs"),
]


@pytest.mark.parametrize("name", [".", "..", "a", "./a/", "a/.."])
@pytest.mark.parametrize(("command", "option"), FILES, ids=lambda value: " ".join(value[:3]))
def test_a_folder_where_a_file_is_written_is_a_mistake(
    command: tuple[str, ...], option: str, name: str, fssbench: Fssbench
) -> None:
    code, out, err = fssbench(*command, option, name)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {option} is the file to write, and {Path(name)} is a folder\n  try: {option} ")


@pytest.mark.parametrize(
    ("name", "why"), [("no/x", "its folder no is not there"), ("file/x", "its folder file is no folder")]
)
@pytest.mark.parametrize(("command", "option"), FILES[2:], ids=lambda value: " ".join(value[:3]))
def test_a_file_needs_a_folder(command: tuple[str, ...], option: str, name: str, why: str, fssbench: Fssbench) -> None:
    assert fssbench(*command, option, name) == (
        2,
        "",
        f"error: can't write {name}: {why}\n  try: give another {option}\n",
    )


@pytest.mark.parametrize("name", ["file", "file/x/y"])
@pytest.mark.parametrize(("command", "option"), FOLDERS, ids=lambda value: " ".join(value[:3]))
def test_a_file_where_a_folder_is_written_is_a_mistake(
    command: tuple[str, ...], option: str, name: str, fssbench: Fssbench
) -> None:
    given = (command[0], option, name, *command[1:])
    assert fssbench(*given) == (
        2,
        "",
        f"error: can't make {name}: file is a file, not a folder\n  try: give another {option}\n",
    )


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        *FILES,
        *FOLDERS,
        (("table",), "--runs"),
        (EVAL, "--root"),
        (TRAIN, "--config"),
        (TRAIN, "--backbone-weights"),
        (("check", "a"), "--baselines"),
        (("data", "where"), "--root"),
        (("data", "check", "shapes20i"), "--root"),
        (("data", "import-splits", "coco20i"), "--from"),
        (("score", "--predictions", "a", "--episodes", "a"), "--presence"),
        (("checkpoints", "add", "a"), "--backbone-file"),
    ],
    ids=lambda value: " ".join(value[:3]),
)
def test_an_empty_path_is_no_path(command: tuple[str, ...], option: str, empty: str, fssbench: Fssbench) -> None:
    where = 2 if command[0] in ("episodes", "data", "checkpoints") else 1
    code, out, err = fssbench(*command[:where], f"{option}={empty}", *command[where:])
    assert (code, out) == (2, "")
    assert err.startswith(f"error: invalid value for '{option}': the path is empty")


@pytest.mark.parametrize("command", [("check",), ("compare", "a"), ("merge",), ("episodes", "show")])
def test_an_empty_argument_is_no_path(command: tuple[str, ...], fssbench: Fssbench) -> None:
    code, out, err = fssbench(*command, "")
    assert (code, out) == (2, "")
    assert "the path is empty" in err


def test_shards_that_are_launched_need_a_folder_with_a_name(fssbench: Fssbench) -> None:
    for out in (("--out", ""), ("--out=",), ("--out",)):
        assert fssbench("launch", "--shards", "2", "--", *EVAL, *out)[::2] == (
            2,
            "error: --out names no folder\n  try: --out DIR\n",
        )


@pytest.mark.parametrize(
    ("asked", "shard", "what", "most"),
    [
        ((), "1/1000", "4 episodes", 4),
        ((), "4/5000", "4 episodes", 4),
        (("--fold", "all"), "999/1000", "lists of 16 episodes", 16),
    ],
)
def test_a_shard_without_an_episode_is_refused(
    asked: tuple[str, ...], shard: str, what: str, most: int, fssbench: Fssbench
) -> None:
    code, out, err = fssbench(*EVAL, *asked, "--out", "c", "--shard", shard)
    assert (code, out) == (2, "")
    assert err == (
        f"error: shard {shard} of {what} is empty\n"
        f"  try: use at most as many shards as episodes: --shard 1/{most} to --shard {most}/{most}\n"
    )


@pytest.mark.parametrize("name", ["", ".", "..", "a", "a/.."])
def test_no_folder_is_written_over(name: str, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_text(Path(name), "text")
