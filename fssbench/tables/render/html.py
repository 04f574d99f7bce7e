"""Tables as one HTML page that needs no other file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from fssbench.escape import plain

if TYPE_CHECKING:
    from fssbench.tables.table import Cell, Row, Table

_SHAPES = {"": "{}", "best": "<b>{}</b>", "second": "<u>{}</u>"}

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
table { border-top: 2px solid; border-bottom: 2px solid; }
caption { text-align: left; padding-bottom: .5rem; white-space: normal; }
sup { line-height: 0; }
caption strong { display: block; font-size: 1.15rem; }
th, td { padding: .15rem .45rem; text-align: right; }
th { font-weight: 600; }
td.text, th.text { text-align: left; }
td.venue { opacity: .7; }
td.first, th.first { padding-left: 1.4rem; }
th.block { text-align: center; border-bottom: 1px solid; }
tbody { border-top: 1px solid; }
th.group { text-align: left; font-style: italic; font-weight: 400; }
tbody tr:hover td { background: color-mix(in srgb, currentColor 8%, transparent); }
tr.under td { font-size: .85em; opacity: .75; }
tr.under td.text { padding-left: 1.4rem; }
ul.notes { list-style: none; padding: 0; font-size: .85rem; }
section { margin-bottom: 3rem; }
td a { color: inherit; text-decoration-style: dotted; text-underline-offset: .15em; }
th.sortable { cursor: pointer; }
th[aria-sort] { text-decoration: underline; }"""

_SCRIPT = """\
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const order = [...table.tBodies].map((body) => [...body.rows]);
  heads.forEach((head, place) => {
    head.classList.add("sortable");
    head.title = "sort the rows of each group";
    head.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const next = now === "descending" ? "ascending" : now === "ascending" ? null : "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      [...table.tBodies].forEach((body, number) => {
        const [title, ...rows] = order[number];
        const blocks = [];
        for (const row of rows) {
          if (row.className === "under" && blocks.length) blocks[blocks.length - 1].push(row);
          else blocks.push([row]);
        }
        const key = (block) => block[0].cells[place].dataset.value ?? block[0].cells[place].textContent;
        const compare = (one, other) => {
          const [a, b] = [key(one), key(other)];
          const [x, y] = [parseFloat(a), parseFloat(b)];
          if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
          const sign = next === "descending" ? -1 : 1;
          return sign * (Number.isNaN(x) ? a.localeCompare(b) : x - y);
        };
        body.replaceChildren(title, ...(next ? [...blocks].sort(compare) : blocks).flat());
      });
    });
  });
}"""


def render_html(tables: Iterable[Table]) -> str:
    """Return a page with all tables, which loads no other files.

    Numbers are links to where they are from. A click on a heading sorts the rows of each group; without scripts the
    page is the same, in its first order.
    """
    tables = list(tables)
    title = escaped("; ".join(table.title for table in tables))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n"
        + "".join(map(_render, tables))
        + f"<script>\n{_SCRIPT}\n</script>\n</body>\n</html>\n"
    )


def table_html(table: Table) -> str:
    """Return a table as a part of a page, for a notebook, which has neither the style of the page nor its alignment."""
    left = re.sub(r'(<t[hd]) (class="(?:group|text))', r'\1 style="text-align: left" \2', _render(table))
    return left.replace("</strong>", "</strong><br>", 1)


def _render(table: Table) -> str:
    ranked = "; best in <b>bold</b>, second <u>underlined</u>" if table.ranked else ""
    caption = f"<strong>{escaped(table.title)}</strong>{escaped(table.legend)}{ranked}."
    if table.caption:
        caption = escaped(table.caption)
    lines = [
        '<section>\n<div class="wide">\n<table>',
        f"<caption>{caption}</caption>",
        "<thead>",
        *_heads(table),
        "</thead>",
    ]
    starts = frozenset(table.offsets())
    span = 1 + table.venue + sum(len(block.columns) for block in table.blocks)
    for group in table.groups:
        lines += [
            "<tbody>",
            f'<tr><th class="group" colspan="{span}" scope="rowgroup">{escaped(group.title)}</th></tr>',
        ]
        lines += [_row(row, starts, under, table.venue) for row, under in group.lines()]
        lines.append("</tbody>")
    lines.append("</table>\n</div>")
    if table.footnotes:
        lines.append('<ul class="notes">')
        for note in table.footnotes:
            lead = f"<sup>{escaped(note.mark)}</sup> " if note.mark else ""
            lines.append(f"<li>{lead}{_linked(escaped(note.text), note.href)}</li>")
        lines.append("</ul>")
    lines.append("</section>")
    return "\n".join(lines) + "\n"


def _heads(table: Table) -> list[str]:
    text = table.heads if table.venue else table.heads[:1]
    titles = f'<tr><td colspan="{len(text)}"></td>'
    names = "<tr>" + "".join(f'<th class="text" scope="col">{escaped(head)}</th>' for head in text)
    for block in table.blocks:
        width = len(block.columns)
        titles += (
            f'<th class="block first" colspan="{width}" scope="colgroup">{escaped(block.title)}</th>'
            if block.title
            else f'<td colspan="{width}"></td>'
        )
        for place, column in enumerate(block.columns):
            first = ' class="first"' if place == 0 else ""
            names += f'<th{first} scope="col">{escaped(column.name)}{_marks(column.marks)}</th>'
    return [titles + "</tr>", names + "</tr>"]


def _row(row: Row, starts: frozenset[int], under: bool, venue: bool) -> str:
    cells = "".join(_cell(cell, place in starts) for place, cell in enumerate(row.cells))
    name = f'<td class="text">{escaped(row.label)}{_marks(row.marks)}</td>'
    opening = '<tr class="under">' if under else "<tr>"
    where = ""
    if venue:
        year = f' data-value="{found.group()}"' if (found := re.search(r"\d{4}$", row.venue)) else ""
        where = f'<td class="text venue"{year}>{escaped(row.venue)}</td>'
    return f"{opening}{name}{where}{cells}</tr>"


def _cell(cell: Cell, first: bool) -> str:
    opening = '<td class="first">' if first else "<td>"
    number = _linked(_SHAPES[cell.emphasis].format(escaped(cell.text)), cell.href)
    spread = f" {escaped(cell.spread)}" if cell.spread else ""
    mark = f" <sup>{escaped(cell.mark)}</sup>" if cell.mark else ""
    return f"{opening}{number}{spread}{mark}</td>"


def _marks(marks: Sequence[str]) -> str:
    return f"<sup>{escaped(','.join(marks))}</sup>" if marks else ""


def _linked(shown: str, href: str) -> str:
    """Return HTML as a link, if there is an address or a path to link to."""
    if not href:
        return shown
    # A path is quoted, its colons too: the name of a folder is no scheme.
    address = href if href.startswith("https://") else quote(href.replace(os.sep, "/"))
    return f'<a href="{escape(address)}">{shown}</a>'


def escaped(text: str) -> str:
    """Return text on one line, escaped for HTML."""
    return escape(plain(text))
