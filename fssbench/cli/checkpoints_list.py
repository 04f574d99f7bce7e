"""`fssbench checkpoints list`: at a terminal a row for the folds of a set, for programs a row or an object for each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fssbench.cli.console import print_table, say, say_json
from fssbench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from fssbench.checkpoints import Record


def list_records(
    method: Annotated[str | None, typer.Option("--method", help="Only this method.", show_default="all")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only this data set.", show_default="all")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="Only this backbone.", show_default="all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, an object for each checkpoint.")] = False,
) -> None:
    """List the registered checkpoints, and which of them are on this machine.

    Examples:
        fssbench checkpoints list --dataset shapes20i
        fssbench checkpoints list --method hsnet --backbone resnet50
    """
    from fssbench.checkpoints import records
    from fssbench.checkpoints.fetching import present

    known = records()
    wanted = {"method": method, "dataset": dataset, "backbone": backbone}
    for name, value in wanted.items():
        _check_known(name, value, known)
    shown = [r for r in known if all(value in (None, getattr(r, name)) for name, value in wanted.items())]
    if not shown:
        described = ", ".join(f"{name} {value}" for name, value in wanted.items() if value)
        raise UsageError(f"no checkpoint is registered for {described}", "fssbench checkpoints list")
    if as_json:
        say_json([as_object(record) for record in shown])
        return
    here = [present(record) for record in shown]
    if sys.stdout.isatty():
        heads, rows = _sets(shown, here)
        print_table(heads, rows, whole=heads)
        first = next((record.id for record in shown if record.fold is not None), shown[0].id)
        say("", f"ids are like {first}; --json has all of them")
    else:
        print_table(*_rows(shown, here))
        say("")
    say(f"{len(shown)} registered, {sum(here)} on this machine; fssbench checkpoints show ID says more")


def as_object(record: Record) -> dict[str, Any]:
    """Return a record as JSON takes it: every field, and whether its files are here."""
    from fssbench.checkpoints.fetching import present

    return record.model_dump(mode="json") | {"first_seen": record.first_seen, "here": present(record)}


def _check_known(field: str, value: str | None, known: Sequence[Record]) -> None:
    """Refuse a value that is neither in a record nor in a catalogue.

    Raises:
        UsageError: With the nearest names.
    """
    from fssbench.datasets.catalogue import list_datasets
    from fssbench.methods.catalogue import list_backbones, list_methods

    catalogue = {"method": list_methods, "dataset": list_datasets, "backbone": list_backbones}[field]
    registered = {getattr(record, field) for record in known} - {""}
    if value is not None and value not in registered and value not in catalogue():
        kind = "data set" if field == "dataset" else field
        raise unknown_name(kind, value, registered, "fssbench checkpoints list")


def _rows(records: Sequence[Record], here: Sequence[bool]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    heads = ("id", "trained as", "shots", "hash", "here", "fold", "backbone", "data set")
    return heads, [
        (
            record.id,
            _trained_as(record),
            _shots(record),
            _hash(record),
            "yes" if found else "-",
            "-" if record.fold is None else str(record.fold),
            record.backbone,
            record.dataset or "-",
        )
        for record, found in zip(records, here, strict=True)
    ]


def _sets(records: Sequence[Record], here: Sequence[bool]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return a row for each set of records that differ in their fold alone."""
    sets: dict[tuple[str, ...], list[tuple[Record, bool]]] = {}
    for record, found in zip(records, here, strict=True):
        key = _trained_as(record), record.backbone, record.dataset or "-", _shots(record), str(record.way), record.path
        # Weights that travel with fssbench have a path each; what counts is that they do.
        sets.setdefault((*key[:-1], str(bool(record.path))), []).append((record, found))
    heads = ("trained as", "backbone", "data set", "folds", "shots", "hash", "here")
    return heads, [
        (
            *key[:3],
            folds_text([record.fold for record, _ in same if record.fold is not None]),
            key[3],
            ", ".join(dict.fromkeys(_hash(record) for record, _ in same)),
            _count(sum(found for _, found in same), len(same)),
        )
        for key, same in sets.items()
    ]


def folds_text(folds: Sequence[int]) -> str:
    """Return folds in short: "0-3", "0,2"; "-" for none.

    Examples:
        >>> folds_text([0, 1, 2, 3]), folds_text([0, 2, 3]), folds_text([1]), folds_text([])
        ('0-3', '0,2-3', '1', '-')
    """
    ranges: list[list[int]] = []
    for fold in sorted(set(folds)):
        if ranges and fold == ranges[-1][-1] + 1:
            ranges[-1].append(fold)
        else:
            ranges.append([fold])
    return ",".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in ranges) or "-"


def _count(found: int, whole: int) -> str:
    return "-" if not found else "yes" if found == whole else f"{found} of {whole}"


def _trained_as(record: Record) -> str:
    return " ".join(filter(None, (record.method or "backbone", record.variant, "weak" if record.weak else "")))


def _shots(record: Record) -> str:
    return ",".join(map(str, record.shots)) or "any"


def _hash(record: Record) -> str:
    return "first fetch" if record.first_seen else "known" if record.sha256 else "-"
