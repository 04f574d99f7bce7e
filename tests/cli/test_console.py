"""A table for a program is the one that rich prints, without rich."""

from __future__ import annotations

import pytest

from fssbench.cli.console import console, print_table

TABLES = {
    "numbers": (["run", "mIoU", "±"], [["a", "48.3", "0.2"], ["hsnet, ResNet-50", "5.0", ""]]),
    "wide and joined letters": (["漢字", "é"], [["a👍", "e\u0301"], ["", "–"]]),
    "what could drive a terminal": (["run", "why"], [["a\x1b[31m", "[b]x[/b] :smile:"], ["two\nlines", "a\ttab "]]),
    "nothing": (["", "mIoU", ""], []),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_colours_is_the_one_of_rich(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    headings, rows = TABLES[name]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table, soft_wrap=True)
    expected = capsys.readouterr().out
    print_table(headings, rows)
    assert capsys.readouterr().out == expected


def test_colours_that_are_forced_stay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    print_table(*TABLES["numbers"])
    assert "\x1b[1m" in capsys.readouterr().out
