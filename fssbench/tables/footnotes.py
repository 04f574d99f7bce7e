"""Footnotes: a number for each source, a letter for each remark, a dagger for measured results."""

from __future__ import annotations

from collections.abc import Iterable

from fssbench.publications.titles import BACKBONES
from fssbench.tables.entry import Entry
from fssbench.tables.style import Style
from fssbench.tables.table import Footnote

DAGGER = "†"
_PLAIN = Style()
_LEADS = {
    "also": "also printed: ",
    "source": "",
    "mean": "",
    "variant": "",
    "caution": "",
    "ledger": "",
    "interval": "",
    "measured": "",
    "printed": "",
    "differs": "",
    "repeated": "",
}
_ORDER = tuple(_LEADS)


def _partial(entry: Entry) -> str:
    """Return what is said of a mean over a part of the folds."""
    folds = f"fold{'s' if len(entry.mean_over) > 1 else ''} {', '.join(map(str, entry.mean_over))}"
    return f"mean over {folds} alone, of {entry.fold_count} folds"


class Footnotes:
    """Assigns marks to rows, and lists the footnotes.

    Args:
        entries: All results of the table.
        style: How the table is drawn.
    """

    def __init__(self, entries: Iterable[Entry], style: Style = _PLAIN) -> None:
        self._entries = tuple(entries)
        self._style = style
        self._kinds = (*_ORDER, "detail") if style.details else _ORDER
        self._sources: dict[str, str] = {}
        self._letters: dict[str, str] = {}
        self._papers: dict[str, tuple[str, str]] = {}

    def marks(self, line: Iterable[Entry]) -> tuple[str, ...]:
        """Return the marks of one row: dagger, sources, remarks. They are numbered in the order of the calls."""
        if not self._style.footnotes:
            return ()
        line = tuple(line)
        marks = [DAGGER] if any(entry.origin == "measured" for entry in line) else []
        printed = [entry for entry in line if entry.origin == "published"]
        self._papers |= {entry.source: (entry.url, entry.source_cite) for entry in printed}
        by_shot = {e.shot: self._sources.setdefault(e.source, str(len(self._sources) + 1)) for e in printed}
        marks += dict.fromkeys(by_shot.values())
        letters: list[str] = []
        if len(set(by_shot.values())) > 1:
            text = ", ".join(f"{shot}-shot from [{mark}]" for shot, mark in sorted(by_shot.items(), key=str))
            letters.append(self._letters.setdefault(text, _letter(len(self._letters))))
        for kind in self._kinds:
            texts = dict.fromkeys(r.text for entry in line for r in entry.remarks if r.kind == kind)
            # Remarks about other sources are joined for each row; cautions are not, as many rows share them.
            notes = (
                [_LEADS.get(kind, "") + "; ".join(texts)]
                if kind in ("also", "mean", "source") and texts
                else list(texts)
            )
            for note in notes:
                mark = self._letters.setdefault(note, _letter(len(self._letters)))
                if mark not in letters:
                    letters.append(mark)
        return (*marks, *sorted(letters, key=lambda letter: (len(letter), letter)))

    def mark_of_mean(self, entry: Entry) -> str:
        """Return the mark of the means of a result; empty if they are over all folds."""
        if not entry.mean_over or not self._style.footnotes:
            return ""
        return self._letters.setdefault(_partial(entry), _letter(len(self._letters)))

    def listed(self) -> tuple[Footnote, ...]:
        """Return the footnotes of all assigned marks, then those of the whole table."""
        if not self._style.footnotes:
            return ()
        notes = []
        if any(entry.origin == "measured" for entry in self._entries):
            notes.append(
                Footnote(
                    DAGGER,
                    "measured by fssbench, not printed anywhere; ranked among measured rows only" + self._below(),
                )
            )
        for source, mark in self._sources.items():
            href, cite = self._papers.get(source, ("", ""))
            notes.append(Footnote(mark, source, href, cite if self._style.cite else ""))
        notes += [Footnote(mark, text) for text, mark in self._letters.items()]
        return (*notes, *self._quoted(), *self._protocols())

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
        below = f"; below a number {' and '.join(lines)}" if lines else ""
        spread = self._style.deviation and any(entry.deviation for entry in self._entries)
        return f"{below}; ± is the standard deviation over runs" if spread else below

    def _quoted(self) -> list[Footnote]:
        """Return the note that names the results for which no source of the method's own authors was read."""
        backbones: dict[str, dict[bool, list[str]]] = {}
        for entry in self._entries:
            if entry.origin == "published" and entry.competes:
                found = backbones.setdefault(entry.label, {}).setdefault(entry.quoted, [])
                if entry.backbone not in found:
                    found.append(entry.backbone)
        named = [
            f"{label} ({', '.join(sorted(BACKBONES.get(name, name) for name in of[True]))})" if False in of else label
            for label, of in sorted(backbones.items())
            if True in of
        ]
        if not named:
            return []
        text = "As others quote them, since these results were read in no source of the method's own authors"
        return [Footnote("", f"{text}: {', '.join(named)}.")]

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
