"""Tables as LaTeX with booktabs, to be pasted into a paper."""

from __future__ import annotations

from collections.abc import Iterable

from fssbench.escape import plain
from fssbench.publications.titles import short_venue
from fssbench.tables.table import Cell, Row, Table

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
    "†": "\\textdagger{}",
    "±": "$\\pm$",
    "→": "$\\rightarrow$",
    # After the end of a row, LaTeX would take these two for an option and a star.
    "[": "{[}",
    "*": "{*}",
}


def render_latex(tables: Iterable[Table]) -> str:
    """Return tables as `table*` environments, which span both columns; a comment at the top names the packages."""
    return "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}\n" + "\n".join(map(_render, tables))


def _render(table: Table) -> str:
    count = 2 + sum(len(block.columns) for block in table.blocks)
    spec = "ll" + "".join(" " + "c" * len(block.columns) for block in table.blocks)
    lines = [
        "\\begin{table*}[t]",
        "\\centering",
        f"\\caption{{{escaped(table.title)}: {escaped(table.legend)}.",
        "Best in bold, second underlined.}",
        "\\smallskip",
        "\\footnotesize",
        "\\setlength{\\tabcolsep}{3pt}",
        f"\\begin{{tabular}}{{@{{}}{spec}@{{}}}}",
        "\\toprule",
        *_heads(table),
    ]
    for group in table.groups:
        lines += ["\\midrule", f"\\multicolumn{{{count}}}{{@{{}}l}}{{\\textit{{{escaped(group.title)}}}}} \\\\"]
        for row, under in group.lines():
            name = f"\\quad {_name(row)}" if under else _name(row)
            lines.append(_line([name, escaped(short_venue(row.venue)), *map(_cell, row.cells)]))
    lines += ["\\bottomrule", "\\end{tabular}", ""]
    if table.footnotes:
        notes = [(_mark(n.mark) if n.mark else "") + escaped(n.text) for n in table.footnotes]
        # One paragraph: with a line for each note, the notes would not fit on the page of the table.
        lines += ["\\smallskip", "\\raggedright\\scriptsize", " \\quad\n".join(notes)]
    lines.append("\\end{table*}")
    return "\n".join(lines) + "\n"


def _heads(table: Table) -> list[str]:
    titles, rules = ["", ""], []
    # LaTeX counts columns from 1, and there are two text columns before the first block.
    for block, start in zip(table.blocks, table.offsets(), strict=True):
        width = len(block.columns)
        titles.append(f"\\multicolumn{{{width}}}{{c}}{{{escaped(block.title)}}}")
        if block.title:
            rules.append(f"\\cmidrule(lr){{{start + 3}-{start + 2 + width}}}")
    names = [escaped(column.name) for block in table.blocks for column in block.columns]
    return [_line(titles), "".join(rules), _line([*(escaped(head.capitalize()) for head in table.heads), *names])]


def _name(row: Row) -> str:
    return escaped(row.label) + (_mark(",".join(row.marks)) if row.marks else "")


def _mark(text: str) -> str:
    return f"\\textsuperscript{{{escaped(text)}}}"


def _cell(cell: Cell) -> str:
    return _SHAPES[cell.emphasis].format(escaped(cell.text))


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


def escaped(text: str) -> str:
    """Return text with LaTeX's special characters escaped, on one line."""
    # LaTeX would turn the two hyphens of a command-line option into a dash.
    return "".join(_SPECIAL.get(char, char) for char in plain(text)).replace("--", "-{}-")
