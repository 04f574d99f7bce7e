"""A report as text: cells for the terminal, and Markdown for the summary of a GitHub job."""

from __future__ import annotations

import html
import re

from fssbench.checking.verdict import Check, Report
from fssbench.escape import plain

HEADINGS = ("measured", "number", "expected", "here", "difference", "tolerance", "95 %", "verdict", "tier")
_WORDS = {"pass": "ok", "miss": "MISS", "none": "no verdict"}


def table_rows(report: Report) -> list[list[str]]:
    """Return the cells of the table, a row per check, in the order of `HEADINGS`."""
    return [_row(check) for check in report.checks]


def _row(check: Check) -> list[str]:
    interval = check.interval
    difference = check.difference
    return [
        plain(check.subject.name),
        check.title,
        _number(check.expected),
        _number(check.measured),
        "" if difference is None else f"{difference:+.2f}",
        "" if check.tolerance is None else str(check.tolerance),
        "" if interval is None else interval.text(".2f"),
        _WORDS[check.verdict],
        "not comparable" if check.tolerance is None else check.tolerance.tier,
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def notes(report: Report) -> list[str]:
    """Return the notes below the table: the sources of tolerances and of expected numbers, and all remarks."""
    tiers = {tolerance.tier: tolerance.source for check in report.checks if (tolerance := check.tolerance)}
    found = [f"tolerance, {tier}: {source}" for tier, source in tiers.items()]
    sources: dict[str, list[str]] = {}
    for check in report.checks:
        if check.source:
            sources.setdefault(check.subject.name, []).append(check.source)
    found += [f"expected of {name}: {'; '.join(dict.fromkeys(tolerance))}" for name, tolerance in sources.items()]
    remarks: dict[str, list[str]] = {}
    for check in report.checks:
        unknown = check.interval.reason if check.interval is not None else ""
        for remark in (check.remark, f"the 95 % interval can't be given: {unknown}" if unknown else ""):
            if remark:
                remarks.setdefault(remark, []).append(f"{check.subject.name} {check.title}")
    for remark, checks in remarks.items():
        more = f" and {len(checks) - 1} more" if len(checks) > 1 else ""
        found.append(f"{checks[0]}{more}: {remark}")
    return [plain(text) for text in found]


def headline(report: Report) -> str:
    """Return the outcome in a sentence without a full stop."""
    missed, decided = len(report.missed), report.decided
    outcome = f"{missed} of {decided} checks missed" if missed else f"{decided} checks passed"
    if not decided:
        outcome = "nothing to compare"
    undecided = len(report.checks) - decided
    return f"{outcome} against {report.against}" + (f", {undecided} without verdict" if undecided else "")


def markdown(report: Report) -> str:
    """Return a report as GitHub-flavoured Markdown, with a newline at the end."""
    lines = [f"### fssbench check: {escaped(headline(report))}", "", _cells(list(HEADINGS))]
    lines.append(_cells([":---", ":---", "---:", "---:", "---:", "---:", "---:", ":---", ":---"]))
    lines += [_cells([escaped(cell) for cell in row]) for row in table_rows(report)]
    lines += ["", *(f"- {escaped(note)}" for note in notes(report)), ""]
    return "\n".join(lines) + "\n"


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(text: str) -> str:
    """Return text on one line, escaped for Markdown."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(plain(text), quote=False))
