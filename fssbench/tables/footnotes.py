"""Footnotes: a number for each source, a letter for each remark, a dagger for measured results."""

from __future__ import annotations

from collections.abc import Iterable

from fssbench.tables.entry import Entry
from fssbench.tables.table import Footnote

DAGGER = "†"
_LEADS = {
    "also": "also printed: ",
    "source": "",
    "mean": "",
    "variant": "",
    "caution": "",
    "measured": "",
    "printed": "",
    "differs": "",
}
_ORDER = tuple(_LEADS)


class Footnotes:
    """Assigns marks to rows, and lists the footnotes.

    Args:
        entries: All results of the table.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = tuple(entries)
        self._sources: dict[str, str] = {}
        self._letters: dict[str, str] = {}

    def marks(self, line: Iterable[Entry]) -> tuple[str, ...]:
        """Return the marks of one row: dagger, sources, remarks. They are numbered in the order of the calls."""
        line = tuple(line)
        marks = [DAGGER] if any(entry.origin == "measured" for entry in line) else []
        printed = [entry for entry in line if entry.origin == "published"]
        by_shot = {e.shot: self._sources.setdefault(e.source, str(len(self._sources) + 1)) for e in printed}
        marks += dict.fromkeys(by_shot.values())
        letters: list[str] = []
        if len(set(by_shot.values())) > 1:
            text = ", ".join(f"{shot}-shot from [{mark}]" for shot, mark in sorted(by_shot.items(), key=str))
            letters.append(self._letters.setdefault(text, _letter(len(self._letters))))
        for kind in _ORDER:
            texts = dict.fromkeys(r.text for entry in line for r in entry.remarks if r.kind == kind)
            # Remarks about other sources are joined for each row; cautions are not, as many rows share them.
            notes = [_LEADS[kind] + "; ".join(texts)] if kind in ("also", "mean", "source") and texts else list(texts)
            for note in notes:
                mark = self._letters.setdefault(note, _letter(len(self._letters)))
                if mark not in letters:
                    letters.append(mark)
        return (*marks, *sorted(letters, key=lambda letter: (len(letter), letter)))

    def listed(self) -> tuple[Footnote, ...]:
        """Return the footnotes of all assigned marks, then those of the whole table."""
        notes = []
        if any(entry.origin == "measured" for entry in self._entries):
            notes.append(
                Footnote(
                    DAGGER,
                    "measured by fssbench, not printed anywhere; ranked among measured rows only" + self._below(),
                )
            )
        notes += [Footnote(mark, source) for source, mark in self._sources.items()]
        notes += [Footnote(mark, text) for text, mark in self._letters.items()]
        return (*notes, *self._protocols())

    def _below(self) -> str:
        """Return the explanation of the lines below measured rows."""
        lines = [
            text
            for text, shown in (
                ("its 95 % interval over the choice of queries", any(entry.half_width for entry in self._entries)),
                ("its difference to what was printed", any(entry.printed for entry in self._entries)),
            )
            if shown
        ]
        return f"; below a number {' and '.join(lines)}" if lines else ""

    def _protocols(self) -> list[Footnote]:
        by_protocol: dict[str, list[str]] = {}
        for entry in self._entries:
            if entry.origin == "published" and entry.competes:
                labels = by_protocol.setdefault(entry.protocol or "not known", [])
                if entry.label not in labels:
                    labels.append(entry.label)
        if len(by_protocol) < 2:
            return []
        named = sorted(by_protocol.items(), key=lambda item: (item[0] == "not known", item[0]))
        text = "; ".join(f"{protocol}: {', '.join(sorted(labels))}" for protocol, labels in named)
        return [Footnote("", f"Printed rows follow the protocols of their releases, which differ: {text}.")]


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
