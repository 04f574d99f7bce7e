"""Comparisons as text: for the terminal, as Markdown, as CSV with a line per number, as JSON."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import fill
from typing import Literal

from fssbench.comparison.paired import Comparison, Difference, Duel
from fssbench.escape import plain

Form = Literal["terminal", "markdown", "csv", "json"]
WIDTH = 100
COLUMNS = (
    *("reference", "reference_folder", "method", "folder", "measure", "fold", "reference_value", "value"),
    *("difference", "low", "high", "p_value", "p_holm", "won", "lost", "tied"),
)
"""Of the CSV: values in per cent, differences in per cent points, episodes by fold whatever the measure."""

_MEASURES = {
    "miou": "mIoU", "fb_iou": "FB-IoU", "exact_ratio": "ER", "base_miou": "base mIoU", "total_miou": "all mIoU",
}  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def render(comparison: Comparison, form: Form) -> str:
    """Return a comparison as text that ends with a line's end."""
    if form == "json":
        return json.dumps(asdict(comparison), indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return _csv(comparison)
    return _markdown(comparison) if form == "markdown" else _terminal(comparison)


def _terminal(comparison: Comparison) -> str:
    lines = [plain(comparison.title), f"reference: {_named(comparison.reference, comparison.folder)}"]
    for duel in comparison.duels:
        lines += ["", f"{_named(duel.name, duel.folder)} against it", *_aligned(_table(comparison, duel))]
    lines.append("")
    for note in _notes(comparison):
        lines += fill(plain(note), WIDTH).split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _markdown(comparison: Comparison) -> str:
    lines = [f"### {_escaped(comparison.title)}", ""]
    lines += [f"Reference: {_escaped(_named(comparison.reference, comparison.folder))}", ""]
    for duel in comparison.duels:
        head, *rows = _table(comparison, duel)
        lines += [f"{_escaped(_named(duel.name, duel.folder))} against it:", ""]
        lines += [_cells(head), _cells([":---", ":---", *["---:"] * (len(head) - 2)])]
        lines += [*map(_cells, rows), ""]
    lines += [f"- {_escaped(note)}" for note in _notes(comparison)]
    return "\n".join(lines) + "\n"


def _csv(comparison: Comparison) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for duel in comparison.duels:
        episodes = {its.fold: (its.won, its.lost, its.tied) for its in duel.episodes}
        for its in duel.differences:
            names = (comparison.reference, comparison.folder, duel.name, duel.folder)
            numbers = (its.reference, its.value, its.difference, its.interval.low, its.interval.high)
            writer.writerow(
                [
                    *(f"'{text}" if (text := plain(name)).startswith(_FORMULA) else text for name in names),
                    *(its.measure, "mean" if its.fold is None else its.fold),
                    *(f"{number:.4f}" for number in numbers),
                    *(f"{its.p_value:.6f}", f"{its.p_holm:.6f}"),
                    *episodes[its.fold],
                ]
            )
    return out.getvalue()


def _table(comparison: Comparison, duel: Duel) -> list[list[str]]:
    """Return the cells of the table of one method, the heads first."""
    several = len(comparison.duels) > 1
    head = ["", "fold", "reference", "method", "difference", f"{100 * comparison.level:g} %", "p"]
    head += ["p (Holm)"] if several else []
    rows = [[*head, "won", "lost", "tied"]]
    episodes = {its.fold: its for its in duel.episodes}
    before = ""
    for its in duel.differences:
        name = _MEASURES[its.measure]
        # Episodes are won by their IoU: they stand once, beside mIoU.
        counts = [str(n) for n in (episodes[its.fold].won, episodes[its.fold].lost, episodes[its.fold].tied)]
        rows.append(
            [
                *("" if name == before else name, "mean" if its.fold is None else str(its.fold)),
                *(f"{its.reference:.2f}", f"{its.value:.2f}", f"{its.difference:+.2f}"),
                f"{its.interval.low:+.2f} to {its.interval.high:+.2f}",
                *_p_values(its, several),
                *(counts if its.measure == "miou" else [""] * 3),
            ]
        )
        before = name
    return rows


def _p_values(its: Difference, several: bool) -> list[str]:
    return [f"{its.p_value:.4f}", *([f"{its.p_holm:.4f}"] if several else [])]


def _notes(comparison: Comparison) -> list[str]:
    count = len(comparison.duels)
    notes = [
        f"difference: the method's less the reference's; interval: paired bootstrap of query images, "
        f"{comparison.draws} draws; p: permutation test, the answers to each query image swapped by a coin, "
        f"{comparison.draws} times",
        "won, lost, tied: episodes in which the method's IoU is larger than the reference's, smaller, the same",
    ]
    if count > 1:
        notes.append(f"Holm: corrected for {count} methods against one reference, each number and fold apart")
    return [*notes, *comparison.notes]


def _named(name: str, folder: str) -> str:
    return plain(f"{name} ({folder})" if folder and f"({folder})" not in name else name)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first two columns flush left, numbers flush right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in enumerate(each))
        for each in (list(zip(row, widths, strict=True)) for row in rows)
    ]


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(plain(text), quote=False))
