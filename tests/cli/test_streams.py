"""Standard output and error that are closed, full, or read by nobody: the work is done, and what it left is whole."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SHORT = ("list", "methods")
EVAL = ("eval", "--method", "copy-mask", "--dataset", "shapes20i", "--fold", "0", "--shots", "1", "--limit", "2")


def in_shell(arguments: tuple[str, ...], rest: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run fssbench with what a shell makes of its streams."""
    command = ["bash", "-c", f'"$0" -m fssbench "$@" {rest}', sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def answered(folder: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("closed", [">&- 2>&- <&-", "> >(true) 2> >(true)"])
def test_an_evaluation_is_written_whole_whoever_reads_its_output(closed: str, tmp_path: Path) -> None:
    done = in_shell((*EVAL, "--out", "there"), closed, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [
        "episodes-fold0.json",
        "rows.jsonl",
        "run.json",
        "summary.json",
    ]
    assert [row["episode"] for row in answered(tmp_path / "there")] == [0, 1]
    assert not any(b"fold 0:" in path.read_bytes() for path in (tmp_path / "there").iterdir())


@pytest.mark.parametrize(
    ("arguments", "rest", "code", "out", "err"),
    [
        (SHORT, ">&-", 0, "", ""),
        (("eval",), "2>&-", 2, "", ""),
        (("eval",), ">&-", 2, "", "error: missing option '--method'\n  try: fssbench eval --help\n"),
        (("--help",), ">&-", 0, "", ""),
        (SHORT, "> /dev/full", 2, "", "error: standard output is not complete: No space left on device\n"),
        (("eval",), "2> /dev/full", 2, "", ""),
        (("table",), "| head -c 9; exit ${PIPESTATUS[0]}", 0, "PASCAL-5i", ""),
        (("eval",), "2>&1 | true; exit ${PIPESTATUS[0]}", 2, "", ""),
    ],
)
def test_no_traceback_and_the_exit_code_of_the_command(
    arguments: tuple[str, ...], rest: str, code: int, out: str, err: str, tmp_path: Path
) -> None:
    done = in_shell(arguments, rest, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_what_follows_the_first_line_is_done_though_nobody_reads_it(tmp_path: Path) -> None:
    lists = ("episodes", "export", "--dataset", "shapes20i", "--protocol", "shapes", "--fold", "all", "--shots", "1")
    done = in_shell(
        (*lists, "--count", "3", "--out", "list-{fold}.json"), "| true; exit ${PIPESTATUS[0]}", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.glob("*.json")) == [f"list-{fold}.json" for fold in range(4)]


def test_a_pipe_that_does_not_wait_gets_all_of_it() -> None:
    command = [sys.executable, "-m", "fssbench", "published", "list"]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen(command, stdout=writer) as process, os.fdopen(reader, "rb") as pipe:
        os.close(writer)
        first = pipe.read(1)
        got = first + pipe.read()
    assert process.returncode == 0
    assert got.count(b"\n") > 300
