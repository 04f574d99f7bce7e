"""Lists at a terminal: a line or two for each name, within its width."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import pytest

from fssbench.datasets.catalogue import list_datasets
from fssbench.methods.catalogue import list_methods
from fssbench.protocols.rules import list_protocols

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize(("what", "names"), [("methods", list_methods), ("datasets", list_datasets)])
def test_a_name_takes_a_line_or_two(
    fssbench: Run, monkeypatch: pytest.MonkeyPatch, width: int, what: str, names: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, _ = fssbench("list", what)
    table, notes = out.split("\n\n")
    assert max(map(len, out.splitlines())) <= width
    lines = table.splitlines()[1:]
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == names()
    assert not any(one.startswith(" ") and other.startswith(" ") for one, other in itertools.pairwise(lines))
    assert notes


def test_a_protocol_takes_two_lines(fssbench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    _, out, _ = fssbench("list", "protocols")
    table, notes = out.split("\n\n")
    lines = table.splitlines()[1:]
    assert "not runnable here: scl-pfenet, " in notes
    assert [line.split()[0] for line in lines[::2]] == list_protocols()
    assert "  HSNet's released evaluation" in lines
