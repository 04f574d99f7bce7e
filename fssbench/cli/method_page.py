"""`fssbench list methods NAME`: all that is known of a method, as text or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from textwrap import fill

from fssbench.cli.ledger_lines import ledger_lines
from fssbench.cli.method_status import (
    CheckpointFolds,
    MeasuredMean,
    MethodStatus,
    as_object,
    checkpoint_folds,
    k_shot_sentences,
    measured_means,
    statuses,
)
from fssbench.errors import unknown_name
from fssbench.ledger.reading import method_facts
from fssbench.ledger.words import seen_of_papers
from fssbench.methods.catalogue import list_methods
from fssbench.names import known_name
from fssbench.publications.load import publications, record_of
from fssbench.publications.rows import PrintedRow
from fssbench.publications.search import FoundRow, all_rows
from fssbench.publications.status import implementation_of

_LEAD = 12
_WIDTH = 110


def pages(names: Sequence[str]) -> list[str]:
    """Return the lines that show methods, a blank line between two of them.

    Raises:
        UsageError: If a name is of no method, neither here nor in the printed tables.
    """
    names = [_spelled(name) for name in names]
    shown = [_published_only(name) or _page(_status(name)) for name in names]
    return [line for lines in shown for line in ("", *lines)][1:]


def pages_as_objects(names: Sequence[str]) -> list[dict[str, object]]:
    """Return for JSON an object per method with its status, checkpoints, printed and measured rows.

    Of a method that is published only: name, title, venue, what is missing, and its printed rows.

    Raises:
        UsageError: If a name is of no method, neither here nor in the printed tables.
    """
    return [_object(_spelled(name)) for name in names]


def _spelled(name: str) -> str:
    """Return the name of a method as it is known, here or in the printed tables: "VRP-SAM" is vrp-sam."""
    printed = {key: paper.name for key, paper in publications().methods.items()}
    return name if ":" in name else known_name("method", name, {*list_methods(), *printed}, printed) or name


def _object(name: str) -> dict[str, object]:
    known = publications()
    printed = [{"id": found.id, **record_of(known, found.row)} for found in _printed(name)]
    if _is_published_only(name):
        paper = asdict(known.methods[name])
        return {
            **paper,
            "name": name,
            "printed_name": paper["name"],
            "status": "published-only",
            "ledger": method_facts(name).as_object(),
            "printed": printed,
        }
    status = _status(name)
    return {
        **as_object(status),
        "checkpoints": [asdict(folds) for folds in checkpoint_folds(status.name)],
        "printed": printed,
        "measured": [asdict(mean) for mean in measured_means(status.name)],
    }


def _is_published_only(name: str) -> bool:
    return name in publications().methods and implementation_of(name) is None


def _status(name: str) -> MethodStatus:
    found = name if ":" in name else implementation_of(name)
    if found is None:
        raise unknown_name("method", name, {*list_methods(), *publications().methods}, "fssbench list methods")
    return statuses([found])[0]


def _published_only(name: str) -> list[str]:
    """Return the lines of a method that has printed numbers and is not implemented here; none for another."""
    if not _is_published_only(name):
        return []
    paper = publications().methods[name]
    facts = [
        ("paper", f"{paper.title}{f', {paper.venue}' if paper.venue else ''}"),
        ("code", paper.code or "none known"),
        ("status", "published only: it has printed numbers and is not implemented here"),
        ("missing", paper.missing),
    ]
    return [name, *_facts(facts), "", *ledger_lines(method_facts(name), None), *_printed_lines(name)]


def _facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    indent = " " * _LEAD
    return [
        line
        for name, text in facts
        if text
        for line in fill(f"{name:{_LEAD}}{text}", _WIDTH, subsequent_indent=indent, break_on_hyphens=False).split("\n")
    ]


def _page(status: MethodStatus) -> list[str]:
    learnable = ", ".join(f"{backbone} {count / 1e6:.2f} M" for backbone, count in status.learnable.items())
    facts = [
        ("paper", f"{status.title}{f', {status.venue}' if status.venue else ''}"),
        ("source", status.source),
        ("tasks", ", ".join(status.tasks)),
        ("variants", ", ".join(status.variants)),
        ("ablation", ", ".join(status.ablation)),
        ("backbones", ", ".join(status.backbones)),
        ("learnable", learnable or ("nothing" if status.training == "training-free" else "")),
        ("training", f"{status.training}{'; adapts to each episode when it predicts' if status.adapts else ''}"),
        ("weights", status.seen),
        *(("K shots", sentence) for sentence in k_shot_sentences(status)),
        *(("protocol", f"{name} ({task})") for task, name in status.protocols.items()),
        ("differs", status.differs),
    ]
    lines = [status.name, *status.idea.splitlines(), ""]
    lines += _facts(facts)
    lines += _ledger_lines(status)
    lines += _checkpoint_lines(checkpoint_folds(status.name))
    lines += _printed_lines(status.name)
    return lines + _measured_lines(measured_means(status.name))


def _ledger_lines(status: MethodStatus) -> list[str]:
    """Return the ledger with the default backbone, and which test classes of the papers' data sets were seen."""
    default = status.backbones[0] if status.backbones else None
    return ["", *ledger_lines(status.facts, default, seen_of_papers(status.facts, default))]


def _checkpoint_lines(found: Sequence[CheckpointFolds]) -> list[str]:
    if not found:
        return []
    return ["", "checkpoints (fssbench checkpoints show ID)"] + [
        f"  {one.ids[0]}{f' and {len(one.ids) - 1} more' if len(one.ids) > 1 else ''}: "
        f"{f'{one.variant}, ' if one.variant else ''}{one.backbone}, {one.dataset}; {one.place}"
        for one in found
    ]


def _printed(name: str) -> list[FoundRow]:
    return [found for found in all_rows(publications()) if found.row.method == name]


def _printed_lines(name: str) -> list[str]:
    """Return a line for each variant, task, data set and backbone with the best-sourced printed means."""
    from fssbench.tables.printed import merit

    known = publications()
    sources: dict[tuple[str, ...], dict[tuple[int | None, int | None], list[PrintedRow]]] = {}
    for found in _printed(name):
        row = found.row
        if row.role == "result" and row.numbers.get("mean"):
            group = sources.setdefault((row.variant, row.dataset, row.task, row.backbone), {})
            group.setdefault((row.way, row.shot), []).append(row)
    if not sources:
        return []
    lines = []
    for (variant, dataset, task, backbone), group in sources.items():
        means = []
        for (way, shot), rows in group.items():
            best = max(rows, key=lambda row: merit(known, row))
            means.append(f"{_setting(way, shot)} {best.numbers['mean']}")
        words = [variant, dataset, task.replace("fscs", "fs-cs"), backbone]
        lines.append(f"  {', '.join(word for word in words if word)}: {', '.join(means)}")
    return ["", f"printed means, mIoU in per cent (fssbench published show {name})", *lines]


def _setting(way: int | None, shot: int | None) -> str:
    return " ".join(f"{count}-{kind}" for count, kind in ((way, "way"), (shot, "shot")) if count)


def _measured_lines(found: Sequence[MeasuredMean]) -> list[str]:
    if not found:
        return []
    return ["", "measured with the weights that are part of fssbench, mIoU in per cent"] + [
        f"  {f'{one.variant}, ' if one.variant else ''}{f'{one.backbone}, ' if one.backbone else ''}{one.dataset}, "
        f"{one.task}, {one.way}-way {one.shot}-shot: {one.miou:.1f} (mean of {one.folds} folds)"
        for one in found
    ]
