"""`fssbench list`: the methods, data sets, protocols and backbones there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import print_table

if TYPE_CHECKING:
    from fssbench.methods.catalogue import MethodInfo

What = Literal["methods", "datasets", "protocols", "backbones"]
_TASKS = {"fss": "fss", "fscs": "fs-cs"}


def listing(what: Annotated[What, typer.Argument(help="What to list.")]) -> None:
    """List the methods, data sets, protocols or backbones."""
    print_table(*_LISTINGS[what]())


Listing = tuple[Sequence[str], list[tuple[str, ...]]]


def _methods() -> Listing:
    from fssbench.methods.catalogue import list_methods, method_info

    infos = [method_info(name) for name in list_methods()]
    return ("method", "tasks", "variants", "ablation", "backbones", "what it is", "venue"), [
        (
            info.name,
            ", ".join(_TASKS[task] for task in dict.fromkeys(info.tasks.values())),
            *_forms(info),
            ", ".join(info.backbones) or "-",
            info.title,
            info.venue or "floor, no training",
        )
        for info in infos
    ]


def _forms(info: MethodInfo) -> tuple[str, str]:
    """Return the variants that are forms of their own, each task's first before others, and those that lack a part."""
    usual = [info.variant_for(task) for task in dict.fromkeys(info.tasks.values())]
    whole = [variant for variant in info.tasks if variant in usual or variant not in info.ablation]
    parts = [variant for variant in info.tasks if variant not in whole]
    named = [variant for variant in sorted(whole, key=lambda variant: variant not in usual) if variant]
    return ", ".join(named) or "-", ", ".join(parts) or "-"


def _datasets() -> Listing:
    from fssbench.datasets.catalogue import dataset_info, list_datasets
    from fssbench.protocols.rules import list_protocols, protocol

    return ("data set", "folds", "folder", "protocols"), [
        (
            info.name,
            str(info.folds or "its own"),
            "rendered, needs none" if info.rendered else info.folder_name,
            ", ".join(p for p in list_protocols() if protocol(p).takes(info.name)),
        )
        for info in map(dataset_info, list_datasets())
    ]


def _protocols() -> Listing:
    from fssbench.protocols.rules import list_protocols, protocol

    return ("protocol", "task", "ways", "episodes", "input", "IoU at", "255", "data sets", "what it is"), [
        (
            p.name,
            _TASKS[p.task],
            str(p.way[0]) if p.way[0] == p.way[1] else f"{p.way[0]}-{p.way[1]}",
            f"{len(p.seeds)} x {p.episodes}" if len(p.seeds) > 1 else str(p.episodes),
            f"{p.input[0]} x {p.input[1]}",
            ", ".join(dict.fromkeys((p.score_at, *p.score_sizes))),
            "left out" if p.ignore == "leave-out" else p.ignore,
            ", ".join(p.datasets),
            p.title,
        )
        for p in map(protocol, list_protocols())
    ]


def _backbones() -> Listing:
    from fssbench.methods.catalogue import list_methods, method_info

    users: dict[str, list[str]] = {}
    for name in list_methods():
        for backbone in method_info(name).backbones:
            users.setdefault(backbone, []).append(name)
    return ("backbone", "methods"), [(name, ", ".join(methods)) for name, methods in users.items()]


_LISTINGS: dict[What, Callable[[], Listing]] = {
    "methods": _methods,
    "datasets": _datasets,
    "protocols": _protocols,
    "backbones": _backbones,
}
