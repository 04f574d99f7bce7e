"""`fssbench list`: the methods, data sets, protocols and backbones there are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import print_table, say
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from fssbench.protocols.rules import Protocol

What = Literal["methods", "datasets", "protocols", "backbones"]


def listing(
    what: Annotated[What, typer.Argument(help="What to list.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Methods to show in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """List the methods, data sets, protocols or backbones; `list methods NAME` shows all that is known of one."""
    if names and what != "methods":
        raise UsageError(f"fssbench list {what} takes no names", f"fssbench list {what}")
    if names:
        from fssbench.cli.method_page import pages, pages_as_json

        if as_json:
            typer.echo(pages_as_json(names))
        else:
            say(*pages(names))
    elif as_json:
        typer.echo(_as_json(what))
    elif what == "methods" and sys.stdout.isatty():
        print_table(*_for_readers(*_methods()))
        say("", *_reading_notes())
    else:
        print_table(*_LISTINGS[what]())


Listing = tuple[Sequence[str], list[tuple[str, ...]]]


def _as_json(what: What) -> str:
    """Return an object per row: of methods all fields of `MethodStatus`, of others the columns of the table."""
    import json

    if what == "methods":
        from dataclasses import asdict

        from fssbench.cli.method_status import statuses

        rows = [asdict(status) for status in statuses()]
    else:
        heads, lines = _LISTINGS[what]()
        rows = [dict(zip(heads, line, strict=True)) for line in lines]
    return json.dumps(rows, indent=1, ensure_ascii=False)


def _methods() -> Listing:
    from fssbench.cli.method_status import k_shot_text, statuses

    heads = (
        *("method", "tasks", "variants", "ablation", "venue", "backbones", "#par", "weights", "training", "adapts"),
        *("K shots", "what it is"),
    )
    return heads, [
        (
            one.name,
            ", ".join(one.tasks),
            ", ".join(one.variants) or "-",
            ", ".join(one.ablation) or "-",
            one.venue or "floor",
            ", ".join(one.backbones) or "-",
            millions(one.learnable, one.backbones),
            one.weights,
            one.training,
            "yes" if one.adapts else "no",
            k_shot_text(one),
            one.title,
        )
        for one in statuses()
    ]


_FOR_PROGRAMS = ("ablation", "what it is")
"""Columns of the methods that a terminal has no room for; `fssbench list methods NAME` shows them."""


def _for_readers(heads: Sequence[str], rows: list[tuple[str, ...]]) -> Listing:
    kept = [place for place, head in enumerate(heads) if head not in _FOR_PROGRAMS]
    return [heads[place] for place in kept], [tuple(row[place] for place in kept) for row in rows]


def _reading_notes() -> list[str]:
    """Return what the columns mean, and which methods have printed numbers alone; for readers, not for programs."""
    from fssbench.publications.load import publications
    from fssbench.publications.status import implementation_of

    names = sorted(name for name in publications().methods if implementation_of(name) is None and name != "unresolved")
    return [
        "#par: learnable parameters in millions with the first backbone; weights: whose checkpoints are registered.",
        f"Printed numbers only: {', '.join(names)}.",
        "fssbench list methods NAME shows all that is known of one.",
    ]


def millions(learnable: Mapping[str, int], backbones: Sequence[str]) -> str:
    """Return the learnable parameters with the default backbone in millions, e.g. "2.57"; "-" if nothing is learned."""
    default = next((name for name in backbones if name in learnable), None)
    return "-" if default is None else f"{learnable[default] / 1e6:.2f}"


def _datasets() -> Listing:
    from fssbench.datasets.catalogue import dataset_info, list_datasets
    from fssbench.protocols.rules import own_protocols, protocol, shipped_protocols

    known = [protocol(name) for name in shipped_protocols()]
    known += [read for name in own_protocols() if not isinstance(read := _from_outside(name), str)]
    return ("data set", "folds", "folder", "protocols"), [
        (
            info.name,
            str(info.folds or "its own"),
            "rendered, needs none" if info.rendered else info.folder_name,
            ", ".join(p.name for p in known if p.takes(info.name)),
        )
        for info in map(dataset_info, list_datasets())
    ]


def _protocols() -> Listing:
    from fssbench.protocols.rules import own_protocols, protocol, shipped_protocols

    headings = ("protocol", "task", "ways", "episodes", "input", "IoU at", "255", "data sets", "what it is")
    rows = [_choices(protocol(name)) for name in shipped_protocols()]
    outside = own_protocols()
    if not outside:
        return headings, rows
    rows = [(*row, "fssbench") for row in rows]
    for name, package in outside.items():
        read = _from_outside(name)
        choices = (name, *("-" for _ in headings[2:]), read) if isinstance(read, str) else _choices(read)
        rows.append((*choices, f"the package {package}"))
    return (*headings, "from"), rows


def _choices(p: Protocol) -> tuple[str, ...]:
    from fssbench.cli.method_status import TASKS
    from fssbench.protocols.rules import size_in_words

    return (
        p.name,
        TASKS[p.task],
        str(p.way[0]) if p.way[0] == p.way[1] else f"{p.way[0]}-{p.way[1]}",
        f"{len(p.seeds)} x {p.episodes}" if len(p.seeds) > 1 else str(p.episodes),
        size_in_words(p.input),
        ", ".join(dict.fromkeys((p.score_at, *p.score_sizes))),
        "left out" if p.ignore == "leave-out" else p.ignore,
        ", ".join(p.datasets),
        p.title,
    )


def _from_outside(name: str) -> Protocol | str:
    """Return the protocol that a package brings, or why it can't be read: that hinders nobody from listing others."""
    from fssbench.protocols.rules import protocol

    try:
        return protocol(name)
    except FSSBenchError as error:
        return f"can't be read: {error.message}"


def _backbones() -> Listing:
    from fssbench.methods.catalogue import list_methods, method_info

    users: dict[str, list[str]] = {}
    for name in list_methods():
        for backbone in method_info(name).all_backbones:
            users.setdefault(backbone, []).append(name)
    users["hf:OWNER/NAME"] = [name for name in list_methods() if method_info(name).pyramid]
    return ("backbone", "methods"), [(name, ", ".join(methods)) for name, methods in users.items()]


_LISTINGS: dict[What, Callable[[], Listing]] = {
    "methods": _methods,
    "datasets": _datasets,
    "protocols": _protocols,
    "backbones": _backbones,
}
