"""`fssbench list protocols NAME ...`: one protocol or release in full, or several side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.explaining.meaning import Meaning

_GAP = 2
_NARROWEST = 20


def meanings(names: Sequence[str], dataset: str | None) -> list[Meaning]:
    """Return what numbers by these protocols or releases are of, on one data set.

    Raises:
        UsageError: If a name is not known, there twice, or not known on the data set.
    """
    from fssbench.explaining.meaning import common_dataset, meaning_of

    if len(set(names)) < len(names):
        raise UsageError("a protocol is not compared with itself", "fssbench list protocols hsnet pfenet")
    chosen = common_dataset(names) if dataset is None else dataset
    return [meaning_of(name, chosen) for name in names]


def as_json(found: Sequence[Meaning]) -> dict[str, object]:
    """Return what differs and what is the same, each choice with its source."""
    from fssbench.explaining.meaning import differing

    differs, same = differing(found)
    return {
        "dataset": found[0].dataset,
        "protocols": [
            {"name": one.name, "title": one.title, "source": one.place, "runnable": one.runnable} for one in found
        ],
        "differs": [_topic(topic, found) for topic in differs],
        "same": [_topic(topic, found) for topic in same],
    }


def _topic(topic: str, found: Sequence[Meaning]) -> dict[str, object]:
    values = {
        one.name: {"text": stated.text, "source": stated.source} if (stated := one.choices.get(topic)) else None
        for one in found
    }
    return {"topic": topic, "values": values}


def lines(found: Sequence[Meaning], width: int) -> Iterator[str]:
    """Yield the lines of a comparison: what differs first, then what is the same; of one, all choices.

    Args:
        found: The protocols and releases, on one data set.
        width: Columns of the terminal; lines are folded there.
    """
    from fssbench.datasets.catalogue import dataset_title
    from fssbench.explaining.meaning import differing

    for one in found:
        where = "" if one.runnable else " (not runnable here)"
        yield from _folded(f"{one.name}{where}: {one.title}; {one.place}", "  ", width)
    yield ""
    differs, same = differing(found)
    on = f"on {dataset_title(found[0].dataset)}"
    if len(found) == 1:
        yield from _topics(same, found, width, each=False)
        return
    if differs:
        yield f"What differs {on}:"
        yield from _topics(differs, found, width, each=True)
        yield ""
    yield f"The same {on}:" if differs else f"Nothing that is stated differs {on}:"
    yield from _topics(same, found, width, each=False)


def _topics(topics: Sequence[str], found: Sequence[Meaning], width: int, *, each: bool) -> Iterator[str]:
    from fssbench.explaining.meaning import EXTRA, stated_text
    from fssbench.protocols.releases import TOPICS

    words = {**TOPICS, **EXTRA}
    left = max((len(words[topic]) for topic in topics), default=0) + 2 * _GAP
    longest = max(len(one.name) for one in found) + _GAP if each else 0
    narrow = width - left - longest < _NARROWEST
    for topic in topics:
        head = f"  {words[topic]}"
        if narrow:
            yield head
        for place, one in enumerate(found if each else found[:1]):
            start = "" if place or narrow else head
            name = one.name.ljust(longest) if each else ""
            indent = "    " if narrow else " " * left
            yield from _folded(
                f"{start:<{0 if narrow else left}}{'    ' if narrow else ''}{name}{stated_text(one, topic)}",
                indent + " " * longest,
                width,
            )


def _folded(text: str, indent: str, width: int) -> list[str]:
    """Return the lines of a text; its spaces stay as they are."""
    return wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True, break_long_words=False
    )
