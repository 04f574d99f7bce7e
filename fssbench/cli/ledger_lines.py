"""The contamination ledger of a method, of a checkpoint or of a printed row, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill

from fssbench.escape import printable
from fssbench.ledger.facts import Facts
from fssbench.ledger.words import lines

WIDTH = 110


def stated(
    facts: Facts, backbone: str | None, further: Iterable[tuple[str, str]] = (), *, only: str = ""
) -> list[tuple[str, str]]:
    """Return each fact as what it is called and a text; a source that several facts share stands below them.

    Args:
        facts: The entry.
        backbone: Its backbone; None or empty if it is not known.
        further: Further lines of this kind.
        only: The one fact that is shown; default all.
    """
    found = [line for line in lines(facts, backbone) if only in ("", line[0])]
    shown = [
        (head, f"{text} ({source})" if source and source != facts.source else text) for head, text, source in found
    ]
    shown += further
    if any(source == facts.source != "" for _, _, source in found):
        shown.append(("stated in", facts.source))
    return [(head, printable(text)) for head, text in shown]


def ledger_lines(facts: Facts, backbone: str | None, further: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return a heading and the lines of `stated`, wrapped."""
    title = f"ledger{f', with {backbone}' if backbone else ''} (docs/ledger.md says what each line means)"
    return [
        title,
        *(
            line
            for head, text in stated(facts, backbone, further)
            for line in fill(f"  {head}: {text}", WIDTH, subsequent_indent="    ", break_on_hyphens=False).split("\n")
        ),
    ]
