"""Tables as LaTeX with booktabs, to be pasted into a paper."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fssbench.escape import plain
from fssbench.publications.titles import short_venue
from fssbench.tables.table import Cell, Column, Group, Row, Table

_SHAPES = {"": "{}", "best": "\\textbf{{{}}}", "second": "\\underline{{{}}}"}
_SPECIAL = {
    "\\": "\\textbackslash{}",
    "&": "\\&",
    "%": "\\%",
    "$": "\\$",
    "#": "\\#",
    "_": "\\_",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "`": "\\textasciigrave{}",
    "†": "\\textdagger{}",
    "±": "$\\pm$",
    "→": "$\\rightarrow$",
    # After the end of a row, LaTeX would take these two for an option and a star.
    "[": "{[}",
    "*": "{*}",
}


_ENVIRONMENTS = {"page": "table*", "column": "table"}

_MANY = 40
"""Rows from which on a table is set smaller, to fit on a page with its footnotes."""

_PAGE = 70
"""Lines of a table, titles of groups among them, that fit on a page; footnotes take their share."""

_NOTES = 119
"""Characters of the footnotes of a long table that take as much room as a line of it."""

_WIDE = 12
"""Columns of numbers from which on they are set closer."""

_COLUMN = 235
"""Width of a column of the text in points, as in the style of CVPR."""

_CHARACTER, _SPACE = 3.9, 4.0
"""Width of a character and of the space between two columns of a table that is set for a column of the text."""

_WESTERN = 0x24F
"""The last letter of the Latin scripts in Unicode, most of which pdfLaTeX can set."""


def render_latex(tables: Iterable[Table]) -> str:
    """Return tables as `table*` environments, or as `table` if they are as wide as a column of the text.

    A comment at the top names the packages that they need. In a column of the text the blocks of a wide table stand one
    below the other.
    """
    tables = list(tables)
    text = "\n".join(
        _render(part, (f"{table.key}-{number}" if number > 1 and table.key else table.key) if first else "", first)
        for number, table in enumerate(tables, 1)
        for part, first in _pages(table)
    )
    lead = "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}\n"
    if strange := "".join(sorted({char for char in text if ord(char) > _WESTERN})):
        lead += f"% has letters that pdfLaTeX may lack; LuaLaTeX and XeLaTeX have them with a font: {strange}\n"
    return lead + text


def _pages(table: Table) -> list[tuple[Table, bool]]:
    """Return the parts of a table that fit on a page each, and whether a part is the first; the last has the footnotes.

    A group that goes over the end of a page is continued on the next one, under its title. A table for a column of the
    text is left whole.
    """
    lines = [(group, row) for group in table.groups for row in group.rows]
    height = len(table.groups) + sum(1 + len(row.under) for _, row in lines)
    notes = sum(len(note.text) + 3 for note in table.footnotes) // _NOTES if height > _MANY else 0
    count = 1 if table.span == "column" else -(-(height + notes) // _PAGE)
    if count < 2:
        return [(table, True)]
    # The footnotes stand on the last page, which has fewer rows the more they are.
    room = max(height / count, (height + notes - _PAGE) / (count - 1))
    pages: list[list[Group]] = [[]]
    filled = 0
    for group in table.groups:
        begun = False
        for row in group.rows:
            if filled >= room and len(pages) < count:
                pages.append([])
                filled = 0
            if not pages[-1] or not begun or filled == 0:
                pages[-1].append(replace(group, title=f"{group.title} (continued)" if begun else group.title, rows=()))
                filled += 1
            pages[-1][-1] = replace(pages[-1][-1], rows=(*pages[-1][-1].rows, row))
            filled += 1 + len(row.under)
            begun = True
    last = len(pages) - 1
    return [
        (replace(table, groups=tuple(groups), footnotes=table.footnotes if number == last else ()), number == 0)
        for number, groups in enumerate(pages)
    ]


def _render(table: Table, key: str, first: bool = True) -> str:
    environment = _ENVIRONMENTS[table.span]
    long = sum(len(list(group.lines())) for group in table.groups) > _MANY
    caption = [f"\\caption{{{table.caption}}}"]
    if not table.caption:
        ranked = ["Best in bold, second underlined."] if table.ranked else []
        caption = [f"\\caption{{{escaped(table.title)}: {escaped(table.legend)}.", *ranked]
        caption[-1] += "}"
    if not first:
        # The number of the table is that of its first part.
        caption = ["\\addtocounter{table}{-1}", f"\\caption{{{table.caption or escaped(table.title)} (continued)}}"]
    wide = sum(len(block.columns) for block in table.blocks) > _WIDE
    lines = [
        f"\\begin{{{environment}}}[t]",
        "\\centering",
        *caption,
        *([f"\\label{{{key}}}"] if key else []),
        "\\smallskip",
        "\\scriptsize" if table.span == "column" or long else "\\footnotesize",
        f"\\setlength{{\\tabcolsep}}{{{2 if table.span == 'column' or wide else 3}pt}}",
        *(["\\renewcommand{\\arraystretch}{0.88}"] if long else []),
    ]
    for number, part in enumerate(_parts(table)):
        lines += [*(["\\smallskip", ""] if number else []), *_tabular(part), ""]
    if table.footnotes:
        notes = [(_mark(n.mark) if n.mark else "") + escaped(n.text) + _cite(n.cite) for n in table.footnotes]
        # One paragraph: with a line for each note, the notes would not fit on the page of the table.
        size = "\\tiny" if long else "\\scriptsize"
        lines += ["\\smallskip", f"\\raggedright{size}", " \\quad\n".join(notes)]
    lines.append(f"\\end{{{environment}}}")
    return "\n".join(lines) + "\n"


def _parts(table: Table) -> list[Table]:
    """Return the tables that stand one below the other: the whole table, unless it is to fit into a column."""
    if table.span == "page":
        return [table]
    parts: list[Table] = []
    rest = table
    while (count := sum(len(block.columns) for block in rest.blocks)) > 1 and _width(rest) > _COLUMN:
        # Blocks stay together if they fit.
        first = len(rest.blocks[0].columns)
        stops = (*reversed(rest.offsets()[1:]), *range(min(first, count - 1), 0, -1))
        stop = next((stop for stop in stops if _width(rest.part(0, stop)) <= _COLUMN), 1)
        parts.append(rest.part(0, stop))
        rest = rest.part(stop, count)
    return [*parts, rest]


def _heading(column: Column, table: Table) -> str:
    return column.short if table.span == "column" else column.name


def _width(table: Table) -> float:
    """Return about how wide a table is in points."""
    rows = [line for group in table.groups for line, _ in group.lines()]
    lead = max(len(row.label) + (0.6 * len(",".join(row.marks))) + (5 if row.cite else 0) for row in rows)
    lead += max(len(short_venue(row.venue)) for row in rows) if table.venue else 0
    columns = [column for block in table.blocks for column in block.columns]
    heads = [len(_heading(column, table)) + 0.6 * len(",".join(column.marks)) for column in columns]
    cells = [
        max(head, *(len(cell.text + cell.spread + cell.mark) for cell in (row.cells[place] for row in rows)))
        for place, head in enumerate(heads)
    ]
    return _CHARACTER * (lead + sum(cells)) + _SPACE * (len(cells) + table.venue)


def _tabular(table: Table) -> list[str]:
    text = 2 if table.venue else 1
    count = text + sum(len(block.columns) for block in table.blocks)
    spec = "l" * text + "".join(" " + "c" * len(block.columns) for block in table.blocks)
    lines = [f"\\begin{{tabular}}{{@{{}}{spec}@{{}}}}", "\\toprule", *_heads(table, text)]
    for group in table.groups:
        lines += ["\\midrule", f"\\multicolumn{{{count}}}{{@{{}}l}}{{\\textit{{{escaped(group.title)}}}}} \\\\"]
        for row, under in group.lines():
            name = f"\\quad {_name(row)}" if under else _name(row)
            venue = [escaped(short_venue(row.venue))] if table.venue else []
            lines.append(_line([name, *venue, *map(_cell, row.cells)]))
    return [*lines, "\\bottomrule", "\\end{tabular}"]


def _heads(table: Table, text: int) -> list[str]:
    titles, rules = [""] * text, []
    # LaTeX counts columns from 1, and the text columns are before the first block.
    for block, start in zip(table.blocks, table.offsets(), strict=True):
        width = len(block.columns)
        titles.append(f"\\multicolumn{{{width}}}{{c}}{{{escaped(block.title)}}}")
        if block.title:
            rules.append(f"\\cmidrule(lr){{{start + text + 1}-{start + text + width}}}")
    names = [
        escaped(_heading(column, table)) + (_mark(",".join(column.marks)) if column.marks else "")
        for block in table.blocks
        for column in block.columns
    ]
    heads = _line([*(escaped(head.capitalize()) for head in table.heads[:text]), *names])
    return [_line(titles), "".join(rules), heads] if rules else [heads]


def _name(row: Row) -> str:
    marks = _mark(",".join(row.marks)) if row.marks else ""
    return escaped(row.label) + _cite(row.cite) + marks


def _cite(key: str) -> str:
    return f"~\\cite{{{key}}}" if key else ""


def _mark(text: str) -> str:
    return f"\\textsuperscript{{{escaped(text)}}}"


def _cell(cell: Cell) -> str:
    number = _SHAPES[cell.emphasis].format(escaped(cell.text))
    spread = f"\\,{escaped(cell.spread)}" if cell.spread else ""
    return f"{number}{spread}" + (f"\\,{_mark(cell.mark)}" if cell.mark else "")


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


def escaped(text: str) -> str:
    """Return text with LaTeX's special characters escaped, on one line."""
    # LaTeX would turn the two hyphens of a command-line option into a dash.
    return "".join(_SPECIAL.get(char, char) for char in plain(text)).replace("--", "-{}-")
