"""Comparisons as text: for the terminal, as Markdown, as CSV with a line per metric and fold, and as JSON."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from textwrap import fill
from typing import Literal

from fssbench.comparison.differences import Difference
from fssbench.comparison.paired import Comparison, Duel
from fssbench.escape import plain

Format = Literal["terminal", "markdown", "csv", "json"]
WIDTH = 100
COLUMNS = (
    *("reference", "reference_folder", "method", "folder", "measure", "fold", "reference_value", "value"),
    *("difference", "low", "high", "p_value", "p_holm", "won", "lost", "tied", "no_interval", "no_p"),
)
"""The columns of the CSV. Values are in per cent, differences in percentage points; won, lost and tied are per fold;
no_interval and no_p say why low and high, or p_value and p_holm, are empty."""

_MEASURES = {
    "miou": "mIoU", "fb_iou": "FB-IoU", "exact_ratio": "ER", "base_miou": "base mIoU", "total_miou": "all mIoU",
    "miou_worst": "mIoU, worst references", "miou_best": "mIoU, best references",
    "miou_present": "mIoU, without absent", "empty": "empty, of absent", "false_area": "false area, of absent",
    "wrongly_empty": "wrongly empty",
}  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def render(comparison: Comparison, form: Format) -> str:
    """Return a comparison as text in one of the formats, with a newline at the end."""
    if form == "json":
        return json.dumps(without_nan(asdict(comparison)), indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return _csv(comparison)
    return _markdown(comparison) if form == "markdown" else _terminal(comparison)


def without_nan(value: object) -> object:
    """Return nested values with None for each NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value


def _terminal(comparison: Comparison) -> str:
    lines = [plain(comparison.title), f"reference: {_named(comparison.reference, comparison.folder)}"]
    for duel in comparison.duels:
        lines += ["", f"{_named(duel.name, duel.folder)} against the reference", *_aligned(_table(comparison, duel))]
    lines.append("")
    for note in _notes(comparison):
        lines += fill(plain(note), WIDTH).split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _markdown(comparison: Comparison) -> str:
    lines = [f"### {_escaped(comparison.title)}", ""]
    lines += [f"Reference: {_escaped(_named(comparison.reference, comparison.folder))}", ""]
    for duel in comparison.duels:
        head, *rows = _table(comparison, duel)
        lines += [f"{_escaped(_named(duel.name, duel.folder))} against the reference:", ""]
        lines += [_cells(head), _cells([":---", ":---", *["---:"] * (len(head) - 2)])]
        lines += [*map(_cells, rows), ""]
    lines += [f"- {_escaped(note)}" for note in _notes(comparison)]
    return "\n".join(lines) + "\n"


def _csv(comparison: Comparison) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for duel in comparison.duels:
        episodes = {difference.fold: (difference.won, difference.lost, difference.tied) for difference in duel.episodes}
        for difference in duel.differences:
            names = (comparison.reference, comparison.folder, duel.name, duel.folder)
            numbers = (
                difference.reference,
                difference.value,
                difference.difference,
                difference.interval.low,
                difference.interval.high,
            )
            writer.writerow(
                [
                    *(f"'{text}" if (text := plain(name)).startswith(_FORMULA) else text for name in names),
                    *(difference.measure, "mean" if difference.fold is None else difference.fold),
                    *("" if isnan(number) else f"{number:.4f}" for number in numbers),
                    *("" if difference.no_p else f"{p:.6f}" for p in (difference.p_value, difference.p_holm)),
                    *episodes[difference.fold],
                    *(difference.interval.reason, difference.no_p),
                ]
            )
    return out.getvalue()


def _table(comparison: Comparison, duel: Duel) -> list[list[str]]:
    """Return the cells of the table of one method, the header row first."""
    several = len(comparison.duels) > 1
    head = ["", "fold", "reference", "method", "difference", f"{100 * comparison.level:g} %", "p"]
    head += ["p (Holm)"] if several else []
    rows = [[*head, "won", "lost", "tied"]]
    episodes = {difference.fold: difference for difference in duel.episodes}
    before = ""
    for difference in duel.differences:
        name = _MEASURES[difference.measure]
        # Won, lost and tied depend on the IoU of the episodes only, so they are shown once, in the rows of mIoU.
        counts = [
            str(n)
            for n in (episodes[difference.fold].won, episodes[difference.fold].lost, episodes[difference.fold].tied)
        ]
        rows.append(
            [
                *("" if name == before else name, "mean" if difference.fold is None else str(difference.fold)),
                *(f"{difference.reference:.2f}", f"{difference.value:.2f}", f"{difference.difference:+.2f}"),
                difference.interval.text("+.2f"),
                *_p_values(difference, several),
                *(counts if difference.measure == "miou" else [""] * 3),
            ]
        )
        before = name
    return rows


def _p_values(difference: Difference, several: bool) -> list[str]:
    values = [difference.p_value, *([difference.p_holm] if several else [])]
    return ["-" if difference.no_p else f"{value:.4f}" for value in values]


def _notes(comparison: Comparison) -> list[str]:
    count = len(comparison.duels)
    notes = [
        f"difference: method minus reference; interval: paired bootstrap over query images, "
        f"{comparison.draws} draws; p: permutation test that swaps the predictions for each query image at random, "
        f"{comparison.draws} times",
        "won, lost, tied: episodes in which the method's IoU is larger than the reference's, smaller, equal",
    ]
    if "miou_worst" in comparison.measures:
        notes.append(
            "episodes are paired by query and reference; an image is resampled and swapped with all its references; "
            "worst and best references: those of each query with the method's lowest and highest IoU"
        )
    if "empty" in comparison.measures:
        notes.append(
            "empty: absent queries in which nothing is predicted; false area: mean share of the pixels that is "
            "predicted in absent queries; wrongly empty: classes that are there and are not predicted; all in per cent"
        )
    if count > 1:
        notes.append(f"Holm: corrected for {count} methods against one reference, for each metric and fold separately")
    return [*notes, *not_given(comparison), *comparison.notes]


def not_given(comparison: Comparison) -> list[str]:
    """Return a sentence for each reason why intervals or p-values can't be given, with their numbers."""
    found: dict[tuple[str, str], list[str]] = {}
    for duel in comparison.duels:
        name = f"{plain(duel.name)}: " if len(comparison.duels) > 1 else ""
        for difference in duel.differences:
            where = "mean" if difference.fold is None else f"fold {difference.fold}"
            number = f"{name}{where} {_MEASURES[difference.measure]}"
            if difference.interval.reason:
                found.setdefault(("interval", difference.interval.reason), []).append(number)
            if difference.no_p:
                found.setdefault(("p", difference.no_p), []).append(number)
    return [f"{what} can't be given for {', '.join(numbers)}: {reason}" for (what, reason), numbers in found.items()]


def _named(name: str, folder: str) -> str:
    return plain(f"{name} ({folder})" if folder and f"({folder})" not in name else name)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first two columns aligned left, the numbers aligned right."""
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
