"""What answers at once: help, lists, tables and mistakes come without torch, in two lines, with their exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

ANSWERS = [
    ["--version"],
    ["--help"],
    ["list", "methods"],
    ["list", "methods", "hsnet", "dan"],
    ["list", "datasets"],
    ["list", "protocols"],
    ["list", "protocols", "hsnet", "hdmnet"],
    ["table"],
    ["table", "--compare", "hsnet,ntrenet", "--dataset", "pascal5i"],
    ["published", "list", "--method", "hsnet"],
    ["published", "show", "hsnet", "--dataset", "pascal5i"],
    ["data", "where"],
    ["checkpoints", "list"],
    ["checkpoints", "show", "hsnet-resnet50-pascal5i-fold0"],
    *[
        [name, "--help"]
        for name in (
            "eval",
            "score",
            "table",
            "published",
            "compare",
            "explain",
            "check",
            "train",
            "data",
            "episodes",
            "checkpoints",
            "list",
        )
    ],
]

EVAL = ["eval", "--method", "copy-mask"]

MISTAKES = {
    "command": ["evla"],
    "option": ["--colour"],
    "subcommand": ["episodes", "shwo"],  # codespell:ignore shwo
    "missing option": ["episodes", "export"],
    "not a number": [*EVAL, "--dataset", "pascal5i", "--shots", "five"],
    "what to list": ["list", "planets"],
    "method": ["eval", "--method", "hsnt", "--dataset", "pascal5i"],
    "dataset": [*EVAL, "--dataset", "pascal"],
    "protocol": [*EVAL, "--dataset", "shapes20i", "--protocol", "hsnot"],
    "fold": [*EVAL, "--dataset", "shapes20i", "--fold", "9"],
    "fold name": [*EVAL, "--dataset", "shapes20i", "--fold", "first"],
    "shots": [*EVAL, "--dataset", "shapes20i", "--shots", "0"],
    "backbone": ["eval", "--method", "hsnet", "--dataset", "shapes20i", "--backbone", "resnet18"],
    "no data": [*EVAL, "--dataset", "pascal5i"],
    "no such root": [*EVAL, "--dataset", "pascal5i", "--root", "nowhere"],
    "no such checkpoint": ["eval", "--method", "hsnet", "--dataset", "shapes20i", "--checkpoint", "gone.pt"],
    "no such list": [*EVAL, "--dataset", "shapes20i", "--episodes", "gone.json"],
    "list of the predicted episodes": ["score", "--predictions", ".", "--episodes", "gone.json"],
    "data to check": ["data", "check", "coco20i"],
    "data set to check": ["data", "check", "coco"],
    "list to show": ["episodes", "show", "gone.json"],
    "checkpoint to show": ["checkpoints", "show", "hsnot"],
    "checkpoint to add": ["checkpoints", "add", "gone.pt", "--method", "hsnet", "--dataset", "pascal5i", "--fold", "0"],
    "method to compare": ["table", "--compare", "hsnet,hsnot"],
    "dataset of a table": ["table", "--dataset", "pascal"],
    "printed method": ["published", "show", "hsnot"],
    "printed row": ["published", "show", "vat-readme:900"],
    "printed data set": ["published", "list", "--dataset", "pascal"],
    "nothing printed": ["published", "list", "--method", "canet", "--dataset", "coco20i"],
    "one run to compare": ["compare", "gone"],
    "run to check": ["check", "gone"],
    "baselines to check": ["check", "--against", "baseline", "--baselines", "gone", "."],
    "run to report": ["report", "gone"],
    "run to show": ["show", "gone", "--worst", "2"],
    "run to plot": ["plot", "gone", "--kind", "fold"],
    "runs to compare": ["compare", "gone", "lost"],
    "runs to explain": ["explain", "gone", "lost"],
    "runs of a table": ["table", "--source", "measured", "--runs", "nowhere"],
    "method to train": ["train", "--method", "hsnot", "--dataset", "shapes20i"],
    "nothing to train": ["train", "--method", "copy-mask", "--dataset", "shapes20i"],
}


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `torch` ends the process with code 99 as soon as it is imported."""
    folder = tmp_path_factory.mktemp("without_torch")
    (folder / "torch.py").write_text("import os, sys\nsys.stderr.write('torch was imported\\n')\nos._exit(99)\n")
    return folder


DEPENDENCIES = {"PIL", "cv2", "numpy", "pandas", "pycocotools", "pydantic", "requests", "rich", "safetensors"}
DEPENDENCIES |= {"scipy", "tomlkit", "torch", "typer"}
"""What is installed with fssbench; each of them takes its time to import."""


FORKING = """
import json, os, runpy, sys
from pathlib import Path
for name in json.loads(sys.argv[1]):
    __import__(name)
base, commands = Path.cwd(), json.loads(sys.argv[2])
def left():
    return [number for number in range(len(commands)) if not (base / str(number) / "code").exists()]
while left():
    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            (base / str(left()[0]) / "code").write_text(str(code))
        continue
    for number in left():
        folder = base / str(number) / "folder"
        folder.mkdir(parents=True)
        for stream in (1, 2):
            os.dup2(os.open(folder.parent / str(stream), os.O_WRONLY | os.O_CREAT), stream)
        os.chdir(folder)
        sys.argv = ["fssbench", *commands[number]]
        try:
            runpy.run_module("fssbench", run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        (folder.parent / "code").write_text(str(code))
    os._exit(0)
"""
"""Runs one command after the other in a fork of a process that has imported other packages, not fssbench.

Where a command ends the process, as importing `torch` does, the process's code is its code, and another fork goes on.
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it said on standard error.
        left: Names of the files that it left in its folder.
    """

    code: int
    out: str
    err: str
    left: list[str]


@pytest.fixture(scope="module")
def ended(without_torch: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], Ended]:
    """How a command ends; all of them are run at once, as importing other packages takes most of a command's time."""
    base = tmp_path_factory.mktemp("commands")
    home = {f"XDG_{kind}_HOME": str(tmp_path_factory.mktemp("home")) for kind in ("CACHE", "CONFIG", "DATA")}
    environment = {name: value for name, value in os.environ.items() if name != "FSSBENCH_DATA"} | home
    environment |= {"PYTHONPATH": os.pathsep.join([str(without_torch), str(REPOSITORY)]), "COLUMNS": "100"}
    commands = [*ANSWERS, *MISTAKES.values()]
    others = json.dumps(sorted(DEPENDENCIES - {"torch"}))
    subprocess.run(
        [sys.executable, "-c", FORKING, others, json.dumps(commands)],
        check=True,
        cwd=base,
        env=environment,
        timeout=600,
    )

    def read(arguments: list[str]) -> Ended:
        folder = base / str(commands.index(arguments))
        texts = [(folder / name).read_text() for name in ("code", "1", "2")]
        return Ended(int(texts[0]), texts[1], texts[2], [path.name for path in (folder / "folder").iterdir()])

    return read


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_answers_without_torch(arguments: list[str], ended: Callable[[list[str]], Ended]) -> None:
    answer = ended(arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_ends_in_two_lines_without_torch(arguments: list[str], ended: Callable[[list[str]], Ended]) -> None:
    answer = ended(arguments)
    lines = answer.err.splitlines()
    assert (answer.code, answer.out) == (2, ""), answer
    assert lines[0].startswith("error: ")
    assert all(line.startswith("  try: ") for line in lines[1:])
    assert len(lines) <= 2
    assert answer.left == [], "half-written"


QUICK = {
    "--help": (["--help"], {"rich", "typer"}),
    "list methods": (["list", "methods"], {"pydantic", "rich", "typer"}),
    "table": (["table"], {"numpy", "pydantic", "typer"}),
    "data where": (["data", "where"], {"PIL", "numpy", "pydantic", "rich", "typer"}),
    "a mistake": (MISTAKES["method"], {"numpy", "pydantic", "typer"}),
    "no data": (MISTAKES["no data"], {"PIL", "numpy", "pydantic", "typer"}),
}


@pytest.mark.parametrize(("arguments", "needed"), QUICK.values(), ids=QUICK.keys())
def test_a_quick_command_imports_no_more_than_it_needs(
    arguments: list[str], needed: set[str], without_torch: Path, tmp_path: Path
) -> None:
    """What a command imports is what it takes to start; the seconds belong to benchmarks."""
    report = tmp_path / "imported.json"
    code = (
        "import atexit, json, pathlib, runpy, sys; "
        f"atexit.register(lambda: pathlib.Path({str(report)!r}).write_text(json.dumps(sorted(sys.modules)))); "
        f"sys.argv = ['fssbench', *{arguments!r}]; runpy.run_module('fssbench', run_name='__main__')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(without_torch), str(REPOSITORY)])}
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=tmp_path, env=environment)
    imported = {name.partition(".")[0] for name in json.loads(report.read_text())}
    assert imported & DEPENDENCIES <= needed


def test_importing_fssbench_imports_nothing_heavy() -> None:
    heavy = ("torch", "pandas", "numpy", "cv2", "pydantic", "rich")
    code = f"import sys, fssbench; dir(fssbench); print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["list", "methods"], ["table"], ["--help"]], ids=" ".join)
def test_a_closed_pipe_is_quiet(arguments: list[str], without_torch: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(without_torch), str(REPOSITORY)])}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "fssbench", *arguments],
            check=False, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (answer.returncode, answer.stderr) == (0, "")
