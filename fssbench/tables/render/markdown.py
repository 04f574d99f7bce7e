"""Tables as Markdown, with HTML that GitHub allows for underlined numbers and footnote marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fssbench.escape import markdown_escaped
from fssbench.tables.table import Cell, Row, Table

_SHAPES = {"": "{}", "best": "**{}**", "second": "<u>{}</u>"}


def render_markdown(tables: Iterable[Table]) -> str:
    """Return tables as GitHub-flavoured Markdown; block titles are part of the column names."""
    return "\n".join(_render(table) for table in tables)


def _render(table: Table) -> str:
    heads = [
        markdown_escaped(f"{block.title} {column.name}".strip()) + _marks(column.marks)
        for block in table.blocks
        for column in block.columns
    ]
    text = table.heads if table.venue else table.heads[:1]
    columns = [*map(markdown_escaped, text), *heads]
    ranked = "best in bold, second underlined" if table.ranked else ""
    if table.caption:
        lines = [f"{markdown_escaped(table.caption)}", ""]
    else:
        legend = "; ".join(filter(None, (markdown_escaped(table.legend), ranked)))
        lines = [f"### {markdown_escaped(table.title)}", "", f"{legend}.", ""]
    lines += [_line(columns), _line([*[":---"] * len(text), *["---:"] * len(heads)])]
    for group in table.groups:
        lines.append(_line([f"*{markdown_escaped(group.title)}*", *[""] * (len(columns) - 1)]))
        for row, under in group.lines():
            name = ("&nbsp;" * 3 if under else "") + _name(row)
            venue = [markdown_escaped(row.venue)] if table.venue else []
            lines.append(_line([name, *venue, *map(_cell, row.cells)]))
    lines.append("")
    for note in table.footnotes:
        lead = f"<sup>{note.mark}</sup> " if note.mark else ""
        lines.append(f"- {lead}{markdown_escaped(note.text)}")
    return "\n".join(lines) + "\n"


def _name(row: Row) -> str:
    return markdown_escaped(row.label) + _marks(row.marks)


def _marks(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""


def _cell(cell: Cell) -> str:
    number = _SHAPES[cell.emphasis].format(markdown_escaped(cell.text))
    spread = f" {cell.spread}" if cell.spread else ""
    return f"{number}{spread} <sup>{cell.mark}</sup>" if cell.mark else f"{number}{spread}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
