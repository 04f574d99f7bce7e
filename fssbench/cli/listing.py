"""`fssbench list`: the methods, data sets, protocols and backbones there are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import print_table, say, say_json
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from fssbench.protocols.rules import Protocol

What = Literal["methods", "datasets", "protocols", "backbones"]


def listing(
    what: Annotated[What, typer.Argument(help="What to list.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Methods to show in full; protocols and releases to compare."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="Data set on which protocols are compared.",
            show_default="coco20i, or the first that all have",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """List the methods, data sets, protocols or backbones; with names show all that is known of each.

    Examples:
        fssbench list methods hsnet asnet
        fssbench list protocols hsnet pfenet fptrans

    Of several protocols, what differs comes first. Releases that no protocol here repeats are known, too.
    """
    if names and what not in ("methods", "protocols"):
        raise UsageError(f"fssbench list {what} takes no names", f"fssbench list {what}")
    if dataset is not None and not (names and what == "protocols"):
        raise UsageError("--dataset is where protocols are compared", "fssbench list protocols hsnet pfenet")
    if names and what == "protocols":
        _compared(names, dataset, as_json=as_json)
    elif names:
        from fssbench.cli.method_page import pages, pages_as_objects

        if as_json:
            say_json(pages_as_objects(names))
        else:
            say(*pages(names))
    elif as_json:
        say_json(_objects(what))
    elif sys.stdout.isatty():
        say(*_for_readers(what))
    else:
        print_table(*_LISTINGS[what]())


def _compared(names: Sequence[str], dataset: str | None, *, as_json: bool) -> None:
    from fssbench.cli import list_protocols
    from fssbench.cli.console import PIPED
    from fssbench.cli.list_terminal import terminal_width

    found = list_protocols.meanings(names, dataset)
    if as_json:
        say_json(list_protocols.as_json(found))
    else:
        say(*list_protocols.lines(found, terminal_width() if sys.stdout.isatty() else PIPED))


Listing = tuple[Sequence[str], list[tuple[str, ...]]]


def _objects(what: What) -> list[dict[str, object]]:
    from fssbench.cli import list_json

    if what == "backbones":
        return list_json.backbones(_users())
    return {"methods": list_json.methods, "datasets": list_json.datasets, "protocols": list_json.protocols}[what]()


def _methods() -> Listing:
    from fssbench.cli.method_status import k_shot_text, millions, statuses

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
            millions(one),
            one.weights,
            one.training,
            "yes" if one.adapts else "no",
            k_shot_text(one),
            one.title,
        )
        for one in statuses()
    ]


def _for_readers(what: What) -> list[str]:
    """Return the lines for a terminal: a line or two for each name, and what the columns mean."""
    from fssbench.cli import list_terminal as terminal

    width = terminal.terminal_width()
    if what == "methods":
        from fssbench.cli.method_status import statuses

        return [*terminal.method_lines(statuses(), width), "", *_reading_notes(width)]
    if what == "protocols":
        return [*terminal.protocol_lines(*_protocols()), "", *_release_notes(width)]
    more = f"+N: so many more; fssbench list {what} --json has all of them"
    if what == "backbones":
        return [*terminal.backbone_lines(_users(), width), "", more]
    return [*terminal.dataset_lines(_datasets()[1], width), "", more]


def _reading_notes(width: int = 10_000) -> list[str]:
    """Return what the columns mean, and which methods have printed numbers alone; for readers, not for programs."""
    from fssbench.publications.load import publications
    from fssbench.publications.status import implementation_of

    names = sorted(name for name in publications().methods if implementation_of(name) is None and name != "unresolved")
    notes = (
        "#par: learnable parameters in millions with the first backbone; weights: whose checkpoints are registered.",
        f"Printed numbers only: {', '.join(names)}.",
        "fssbench list methods NAME shows all that is known of one.",
    )
    return [line for note in notes for line in wrap(note, width, break_on_hyphens=False)]


def _release_notes(width: int) -> list[str]:
    """Return which releases are known without a protocol, and how protocols are compared."""
    from fssbench.protocols.releases import releases

    known = [name for name, one in releases().items() if not one.protocol]
    notes = (
        f"Known, but not runnable here: {', '.join(known)}.",
        "fssbench list protocols NAME NAME says what differs between two.",
    )
    return [line for note in notes for line in wrap(note, width, break_on_hyphens=False)]


def _datasets() -> Listing:
    from fssbench.datasets.catalogue import dataset_info, list_datasets
    from fssbench.protocols.rules import readable_protocols

    known = readable_protocols()
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
    return ("backbone", "methods"), [(name, ", ".join(methods)) for name, methods in _users().items()]


def _users() -> dict[str, list[str]]:
    """Return the methods that take each backbone; methods of other packages say so only when they are imported."""
    from fssbench.methods.catalogue import infos_at_hand

    infos = infos_at_hand()
    users: dict[str, list[str]] = {}
    for info in infos:
        for backbone in info.all_backbones:
            users.setdefault(backbone, []).append(info.name)
    return users | {"hf:OWNER/NAME": [info.name for info in infos if info.pyramid]}


_LISTINGS: dict[What, Callable[[], Listing]] = {
    "methods": _methods,
    "datasets": _datasets,
    "protocols": _protocols,
    "backbones": _backbones,
}
