"""Explanations against a printed row as text: sentences for a person, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from fssbench.comparison.render import without_nan
from fssbench.explaining import render
from fssbench.explaining.meaning import EXTRA, stated_text
from fssbench.explaining.printed import PrintedExplanation
from fssbench.explaining.worth import MEASURES
from fssbench.protocols.releases import TOPICS


def as_json(found: PrintedExplanation) -> str:
    """Return an explanation as JSON, with a newline at the end."""
    more = {"differs": found.differs, "unknown": found.unknown, "same": found.same}
    again = None if found.again is None else json.loads(render.as_json(found.again))
    return json.dumps(without_nan(asdict(found) | more | {"again": again}), indent=1, allow_nan=False) + "\n"


def as_text(found: PrintedExplanation, width: int) -> str:
    """Return an explanation in sentences, folded to a width, with a newline at the end."""
    lines: list[str] = []
    for text, indent in _sentences(found):
        lines += render.folded(text, indent, width) if text else [""]
    text = "\n".join(lines) + "\n"
    if found.again is not None:
        heading = f"The run again by the protocol {found.protocol} (B), against the run as it is (A):"
        left = "\n".join(line for one in _left(found) for line in render.folded(one, 0, width))
        text += f"\n{heading}\n\n{render.as_text(found.again, width)}\n{left}\n"
    return text


def _sentences(found: PrintedExplanation) -> Iterator[tuple[str, int]]:
    yield f"run: {found.folder}", 0
    yield f"printed: {found.row}, {found.source}", 0
    yield "", 0
    for one in found.numbers:
        difference = one.here - one.printed
        yield f"{one.what}: printed {one.printed:.2f}, here {one.here:.2f}: {difference:+.2f} points", 0
    yield "", 0
    if found.setting:
        yield "The setting differs:", 0
        yield from (
            (f"{name}: {here or 'none'} here, {there} there", 2) for name, (here, there) in found.setting.items()
        )
        yield "", 0
    if found.printed is None:
        yield f"How the row was evaluated is not known: {found.unread}. Nothing of it can be tested.", 0
        return
    yield f"The row is taken to be of the released evaluation: {found.printed.title}; {found.printed.place}.", 0
    yield "", 0
    yield from _topics(found)
    if found.again is None:
        yield "", 0
        yield from _tests(found)


def _topics(found: PrintedExplanation) -> Iterator[tuple[str, int]]:
    if found.printed is None:
        return
    words = {**TOPICS, **EXTRA}
    yield "What differs:" if found.differs else "Nothing that is stated of the evaluation differs.", 0
    for topic in found.differs:
        yield f"{words[topic]}: {stated_text(found.run, topic)} here, {stated_text(found.printed, topic)} there", 2
    if found.unknown:
        yield "Not stated for one of them, so that it may differ:", 0
        for topic in found.unknown:
            here, there = (stated_text(one, topic) for one in (found.run, found.printed))
            yield f"{words[topic]}: {here} here, {there} there", 2
    if found.same:
        yield f"The same: {', '.join(words[topic] for topic in found.same)}.", 0


def _tests(found: PrintedExplanation) -> Iterator[tuple[str, int]]:
    if not found.differs:
        yield "What is left are the weights, the versions, and what no release states.", 0
    elif found.protocol:
        yield (
            f"What the choices of the evaluation are worth can be tested: the protocol {found.protocol} repeats them.",
            0,
        )
        yield f"try: fssbench explain {found.folder} --published {found.row} --rerun", 2
    else:
        yield "No protocol here repeats this evaluation as a whole: not runnable here.", 0
        yield "Its sizes and its rule for 255 can be had by a protocol of your own: fssbench new protocol mine", 2


def _left(found: PrintedExplanation) -> Iterator[str]:
    if found.again is None:
        return
    measure = MEASURES[found.again.measure]
    total = found.again.total
    for one in found.numbers:
        if len(found.numbers) == 1 or one.what == "mean":
            yield (
                f"{one.what}: printed {one.printed:.2f}; by the release's protocol {measure} here is "
                f"{total.after:.2f}. {total.after - one.printed:+.2f} points are not explained by the evaluation: "
                "weights, versions, and what the release does not state."
            )
