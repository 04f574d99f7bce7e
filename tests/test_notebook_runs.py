"""docs/notebook.ipynb: its cells run in their order, and the last value of each is shown as a notebook shows it.

A kernel would take some thirty packages (nbclient, ipykernel and theirs) for this one test; plain Python does the same.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "notebook.ipynb"


def cells() -> list[dict[str, Any]]:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    listed: list[dict[str, Any]] = found["cells"]
    return listed


def shown(source: str, names: dict[str, object]) -> str:
    """Run a cell, and return what a notebook shows of its last expression; nothing if it ends in a statement."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)  # noqa: S102 - the project's own text
    if last is None:
        return ""
    assert isinstance(last, ast.Expr)
    value = eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)  # noqa: S307 - as above
    as_html = getattr(value, "_repr_html_", None)
    return str(as_html()) if callable(as_html) else repr(value)


def test_it_is_stored_without_outputs() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert len(code) > 8
    assert all((cell["outputs"], cell["execution_count"]) == ([], None) for cell in code)
    assert NOTEBOOK.stat().st_size < 20_000


def test_its_cells_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    said = {
        source: shown(source, names)
        for cell in cells()
        if cell["cell_type"] == "code" and (source := "".join(cell["source"]))
    }
    assert all(said.values()), "each cell shows something"
    assert all(len(text) < 300_000 for text in said.values())
    last = {source.splitlines()[-1]: text for source, text in said.items()}
    assert last["episodes[0]"].count("data:image/png;base64,") == 2
    assert "data:image/png;base64," in last["found"]
    assert "only the first 6 episodes" in last["results"]
    assert "hsnet" in last["table"].lower()
    assert "<table" in last["table"]
    assert sorted(path.name for path in Path("runs/notebook").iterdir()) == ["copy-mask", "hsnet"]
