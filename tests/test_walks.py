"""The walks of CONTRIBUTING.md: each station exists, and the command named reaches them in the order written there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets.trees import label_map, voc_tree

REPOSITORY = Path(__file__).resolve().parent.parent

MOST = 12
"""Stations of a walk, at most."""

Station = tuple[str, str]

TRACE = """
import json, sys
from pathlib import Path
import fssbench
package = str(Path(fssbench.__file__).parent) + "/"
reached = {}
def note(frame, event, _):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(package):
        reached.setdefault(f"{code.co_filename[len(package):]}:{code.co_qualname}", len(reached))
from fssbench.cli import main
sys.setprofile(note)
try:
    main()
except SystemExit as done:
    sys.setprofile(None)
    Path("reached.json").write_text(json.dumps(reached))
    raise
"""


def walks() -> list[list[Station]]:
    """Return the walks, each its files and functions in order."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Three walks\n")[2].partition("\n## ")[0]
    found: list[list[Station]] = []
    for line in section.splitlines():
        if station := re.match(r"(\d+)\. `([\w/]+\.py)`, `([\w.]+)`: ", line):
            if station[1] == "1":
                found.append([])
            found[-1].append((station[2], station[3]))
            assert len(found[-1]) == int(station[1])
    return found


def functions_of(path: Path) -> set[str]:
    """Return the functions of a file, and the methods as `Class.method`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = [("", node) for node in tree.body]
    inside += [(f"{node.name}.", part) for node in tree.body if isinstance(node, ast.ClassDef) for part in node.body]
    return {prefix + node.name for prefix, node in inside if isinstance(node, ast.FunctionDef)}


EVAL, IMAGE, PRINTED = walks()


@pytest.mark.parametrize("walk", [EVAL, IMAGE, PRINTED], ids=["eval", "image", "printed number"])
def test_each_station_is_there(walk: list[Station]) -> None:
    assert 5 < len(walk) <= MOST
    for file, function in walk:
        assert function in functions_of(REPOSITORY / "fssbench" / file), (file, function)


def reached(folder: Path, *arguments: str) -> dict[str, int]:
    """Run a command; return when each function of the package was called first."""
    done = subprocess.run(
        [sys.executable, "-c", TRACE, *arguments], check=False, capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads((folder / "reached.json").read_text())
    return found


def in_order(walk: list[Station], calls: dict[str, int]) -> bool:
    steps = [calls[f"{file}:{function}"] for file, function in walk]
    return steps == sorted(steps)


def test_an_evaluation_goes_this_way(tmp_path: Path) -> None:
    labels = {f"2008_{number:06d}": label_map((1 + number % 5, 0, 0, 96, 96)) for number in range(1, 11)}
    root = voc_tree(tmp_path, labels, list(labels))
    command = (
        "eval --method hsnet --dataset pascal5i --fold 0 --plain --random-weights --episodes 1 --workers 0 --quiet"
    )
    calls = reached(tmp_path, *command.split(), "--root", str(root), "--out", "run")
    assert in_order(EVAL, calls)
    assert in_order(IMAGE, calls)


def test_a_printed_number_goes_this_way(tmp_path: Path) -> None:
    assert in_order(PRINTED, reached(tmp_path, "table", "--compare", "hsnet", "--dataset", "pascal5i"))
