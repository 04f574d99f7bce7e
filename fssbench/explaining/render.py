"""Explanations as text: sentences for a person, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import wrap

from fssbench.comparison.render import without_nan
from fssbench.escape import plain
from fssbench.explaining.explanation import HOW, Effect, Explanation, Finding
from fssbench.explaining.worth import MEASURES, Worth

_ROUNDED = 0.005
"""Points below this are shown as 0.00."""


def as_json(found: Explanation) -> str:
    """Return an explanation as JSON, with a newline at the end."""
    more = {"left": {"from_a": found.left("a"), "from_b": found.left("b")}, "tested": found.tested}
    return json.dumps(without_nan(asdict(found) | more), indent=1, allow_nan=False) + "\n"


def as_text(found: Explanation, width: int) -> str:
    """Return an explanation in sentences, folded to a width, with a newline at the end."""
    lines: list[str] = []
    for text, indent in _sentences(found):
        lines += folded(text, indent, width) if text else [""]
    return "\n".join(lines) + "\n"


def folded(text: str, indent: int, width: int) -> list[str]:
    """Return the lines of a sentence that is set in by some columns."""
    space = " " * indent
    return wrap(
        plain(text),
        width,
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sentences(found: Explanation) -> Iterator[tuple[str, int]]:
    """Yield each sentence with the columns by which it is set in."""
    measure = MEASURES[found.measure]
    for letter, name, folder in zip("AB", found.names, found.folders, strict=True):
        yield f"{letter}: {name if folder in name else f'{name} ({folder})'}", 0
    yield found.title, 0
    yield "", 0
    total = found.total
    yield f"{measure} {total.before:.2f} in A, {total.after:.2f} in B: B has {_points(total)}, {_pairing(found)}.", 0
    if found.common is not None:
        same, count = found.common
        yield (
            f"On the {count:,} episodes that both have: {same.before:.2f} and {same.after:.2f}, B has {_points(same)}.",
            0,
        )
    yield "", 0
    if not found.findings:
        yield _equal(found), 0
    elif len(found.findings) == 1 and found.findings[0].from_a.how == "only difference":
        yield from _only(found)
    else:
        yield "What differs, each changed alone:", 0
        yield "", 0
        for finding in found.findings:
            yield from _finding(finding)
        yield from _left(found)
    if found.notes:
        yield "", 0
        yield from ((f"note: {note}", 0) for note in found.notes)


def _points(worth: Worth) -> str:
    if not worth.interval.given:
        return f"{_number(worth.points)} points (no interval: {worth.interval.reason})"
    return f"{_number(worth.points)} points (95 %: {worth.interval.text('+.2f')})"


def _number(value: float) -> str:
    return "0.00" if abs(value) < _ROUNDED else f"{value:+.2f}"


def _pairing(found: Explanation) -> str:
    return "on the same episodes" if found.paired else "on other episodes; the interval pairs the photos in both"


def _equal(found: Explanation) -> str:
    rows = found.rows
    if rows is None or not rows.different:
        return "All that is recorded is the same, and so are all rows: the two runs are equal."
    return (
        f"All that is recorded is the same, but {rows.different} of {rows.compared} rows differ, by {rows.most} pixels "
        "at most: the numerics of two computations."
    )


def _choices(finding: Finding) -> str:
    cause = finding.cause
    note = f" ({cause.note})" if cause.note else ""
    return f"{cause.title}: {cause.a} in A, {cause.b} in B{note}"


def _only(found: Explanation) -> Iterator[tuple[str, int]]:
    finding = found.findings[0]
    yield f"One choice differs. {_capital(_choices(finding))}.", 0
    yield f"All else is the same, so that it is worth the whole difference, {_points(found.total)}.", 0
    if found.rows is not None and not found.rows.different:
        yield "It changes no pixel of any episode.", 0
    elif found.rows is not None:
        rows = found.rows
        yield f"It changes {rows.different} of {rows.compared} episodes, by {rows.most} pixels at most.", 0


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _finding(finding: Finding) -> Iterator[tuple[str, int]]:
    yield _choices(finding), 0
    same = finding.from_a.how == finding.from_b.how == "not tested"
    if same and finding.from_a == finding.from_b:
        yield from _untested("from A and from B", finding.from_a)
    else:
        for where, effect in (("from A", finding.from_a), ("from B", finding.from_b)):
            if effect.worth is None:
                yield from _untested(where, effect)
            else:
                points = "0.00 points, it changes no pixel" if effect.unchanged else _points(effect.worth)
                yield f"{where}: {points}; {HOW[effect.how]}", 2
    yield "", 0


def _untested(where: str, effect: Effect) -> Iterator[tuple[str, int]]:
    yield f"{where}: not tested, as {effect.reason}", 2
    if effect.command:
        yield f"try: {effect.command}", 4


def _left(found: Explanation) -> Iterator[tuple[str, int]]:
    untested = [one.cause.title for one in found.findings if one.from_a.worth is None or one.from_b.worth is None]
    left_a, left_b = found.left("a"), found.left("b")
    total = found.total.points
    yield (
        f"Of {_number(total)} points the choices explain {_number(total - left_a)} changed one at a time from A, and "
        f"{_number(total - left_b)} from B. Together / not explained: {_number(left_a)} from A, {_number(left_b)} "
        "from B.",
        0,
    )
    if untested:
        yield f"What is left includes what was not tested: {', '.join(untested)}.", 0
    if any(one.from_a.worth is not None for one in found.findings):
        yield (
            "From A, a choice is changed while all others are A's; from B, while all others are B's. The two differ "
            "where choices act on each other, and neither order is the only right one.",
            0,
        )
