"""The contamination ledger in tables: remarks and footnotes on what distinguishes rows, and the rows of --strict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fssbench.ledger.facts import NOT_STATED
from fssbench.ledger.reading import pretraining_of
from fssbench.ledger.seen import Level
from fssbench.ledger.words import HEADS, named, set_title
from fssbench.tables.entry import Entry, Remark
from fssbench.tables.table import Footnote, Table

_NOVEL = {
    "removed": "images that hold novel classes were removed from its training",
    "removed in part": "images that hold novel classes were removed from its training, but not from its base learner's",
}
_GIVEN = {
    "boxes": "boxes",
    "points": "points",
    "tags": "class tags",
    "text": "names of classes",
    "images": "further images without labels",
    "foreground share": "the share of foreground in the query",
}
_CHOSEN = {"base classes": "weights chosen on base classes", "nothing": "weights chosen by no result"}


def with_ledger(entries: Iterable[Entry]) -> list[Entry]:
    """Return the results of a table with remarks about what distinguishes them in the ledger.

    What all rows have in common is not marked. Rows that are not ranked, such as floors, are not marked either.
    """
    entries = list(entries)
    ranked = [entry for entry in entries if entry.competes and entry.facts is not None]
    differing = [fact for fact in HEADS if fact != "pretraining" and _differs(ranked, fact)]
    # Rows of different backbones are not ranked together.
    mixed = {backbone for backbone in {entry.backbone for entry in ranked} if _mixed(ranked, backbone)}
    return [
        replace(
            entry,
            remarks=(
                *entry.remarks,
                *_remarks(entry, [*(["pretraining"] if entry.backbone in mixed else []), *differing]),
            ),
        )
        if entry.competes
        else entry
        for entry in entries
    ]


def _differs(entries: Sequence[Entry], fact: str) -> bool:
    if fact in ("novel_images", "chosen_on"):
        # A method without training has no such images, and no choice.
        entries = [entry for entry in entries if entry.facts and entry.facts.training != "none"]
    return len({getattr(entry.facts, fact) for entry in entries}) > 1


def _mixed(entries: Sequence[Entry], backbone: str) -> bool:
    """Return whether rows of one backbone differ in what it was trained on."""
    found = {_sets(entry) for entry in entries if entry.backbone == backbone}
    return len(found) > 1


def _sets(entry: Entry) -> tuple[str, ...] | None:
    return None if entry.facts is None else pretraining_of(entry.facts, entry.backbone)


def _remarks(entry: Entry, differing: Sequence[str]) -> list[Remark]:
    facts = entry.facts
    if facts is None:
        return []
    texts = []
    unknown = []
    for fact in differing:
        value = _sets(entry) if fact == "pretraining" else getattr(facts, fact)
        if facts.training == "none" and fact in ("novel_images", "chosen_on"):
            continue
        if facts.training == "none" and fact == "pretraining" and value is not None and "training" in differing:
            continue  # it is marked as not trained, and the footnote about backbones says on what they were
        if value is None:
            unknown.append(HEADS[fact])
        elif text := _text(fact, value):
            texts.append(text)
    if HEADS["training"] in unknown:
        texts.append("no source that was read says how it was trained and tested")
    elif unknown:
        texts.append(f"{NOT_STATED}: {', '.join(unknown)}")
    return [Remark("ledger", text) for text in texts]


def _text(fact: str, value: str | tuple[str, ...]) -> str:
    """Return what sets a row apart in one fact; empty if it is as usual."""
    if fact == "pretraining":
        usual = value == ("imagenet-1k",)
        return "" if usual else f"backbone trained on {' and '.join(map(set_title, value)) or 'nothing'}"
    if fact == "training":
        return "not trained on base classes" if value == "none" else "trained on image labels" * (value == "base tags")
    if fact == "novel_images":
        return _NOVEL.get(str(value), "")
    if fact == "adapts":
        return "" if value == "none" else f"fitted to the {value} at test time"
    if fact == "given":
        more = [_GIVEN[one] for one in value if one in _GIVEN]
        without = "" if "masks" in value else ", no masks"
        return f"is given {', '.join(more) or 'nothing'}{without}" if more or without else ""
    return _CHOSEN.get(str(value), "")


def footnotes(table: Table) -> tuple[Footnote, ...]:
    """Return the footnotes of the whole table: what unmarked rows have in common, and the training of backbones."""
    entries = [entry for group in table.groups for row in group.rows for entry in row.entries]
    entries = [entry for entry in entries if entry.competes and entry.facts is not None]
    notes = []
    if any(remark.kind == "ledger" for entry in entries for remark in entry.remarks):
        notes.append(
            "Where no letter says otherwise, novel classes are background in training images, nothing is fitted at "
            "test time, masks of the supports are given, and weights were chosen on the novel classes."
        )
    if entries:
        notes.append(_pretraining(entries))
    return tuple(Footnote("", text) for text in notes)


def _pretraining(entries: Sequence[Entry]) -> str:
    """Return what backbones were trained on: that of most rows first, then that of others with their names."""
    labels: dict[str, dict[str, None]] = {}
    for entry in entries:
        # Of a backbone that is not printed, the title of the group says enough.
        found = labels.setdefault(_trained_on(entry), {})
        if entry.backbone or _sets(entry) is not None:
            found.setdefault(entry.label, None)
    groups = sorted(labels.items(), key=lambda item: (item[0] == NOT_STATED, -len(item[1]), item[0]))
    if list(labels) == ["nothing"]:
        return "No backbone was trained on other data."
    parts = [groups[0][0]]
    for text, names in groups[1:]:
        named_rows = sorted(names, key=str.lower) or ["where the backbone is not printed"]
        parts.append(f"{text}: {', '.join(named_rows)}")
    return f"Backbones were trained on {'; '.join(parts)}."


def _trained_on(entry: Entry) -> str:
    """Return what the backbone of a row was trained on, and which test classes were named there."""
    sets = _sets(entry)
    if sets is None:
        return NOT_STATED
    text = " and ".join(map(set_title, sets)) or "nothing"
    if entry.seen is None or not entry.seen.labels or not sets:
        return text
    return f"{text}, which names {named(entry.seen.labels, entry.seen.tested)}"


def _label(entry: Entry) -> str:
    return entry.label if entry.backbone else f"{entry.label} (backbone not printed)"


def strictly(entries: Iterable[Entry], level: Level) -> tuple[list[Entry], str]:
    """Return the results whose training has not seen the test classes, and a sentence that names those left out.

    Args:
        entries: The results.
        level: What counts as having seen a class (`fssbench.ledger.seen.LEVELS`).
    """
    kept: list[Entry] = []
    seen: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for entry in entries:
        found = None if entry.seen is None else entry.seen.by(level)
        if found == ():
            kept.append(entry)
        elif found:
            seen.setdefault(f"{entry.label} ({named(found, entry.seen.tested if entry.seen else None)})", None)
        else:
            unknown.setdefault(_label(entry), None)
    parts = [
        f"{what}: {', '.join(sorted(labels, key=str.lower))}"
        for what, labels in ((f"test classes seen ({level})", seen), (NOT_STATED, unknown))
        if labels
    ]
    return kept, f"Left out by --strict, {'; '.join(parts)}." if parts else ""
