"""`fssbench checkpoints status`: for each printed result, whether its weights were released, where, what is here."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import print_table, say
from fssbench.errors import UsageError, unknown_name
from fssbench.names import known_name

if TYPE_CHECKING:
    from fssbench.publications.weights import RowWeights

_SHOWN = 4
"""Commands that are shown below a table; more would bury it."""


def status(
    method: Annotated[
        str | None, typer.Option("--method", help="Only this method of the printed tables.", show_default="all")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Only this data set, or A_to_B.", show_default="all")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with ids and commands.")] = False,
) -> None:
    """Show for each printed result whether its weights were released, where they are, and which folds are here.

    Examples:
        fssbench checkpoints status --method asnet
        fssbench checkpoints status --dataset coco20i --json
    """
    from fssbench.publications.load import publications
    from fssbench.publications.weights import row_weights

    known = publications().methods
    if method is not None:
        titles = {key: paper.name for key, paper in known.items()}
        method = known_name("printed method", method, known, titles) or method
    if method is not None and method not in known:
        raise unknown_name("printed method", method, known, "fssbench checkpoints status")
    found = row_weights([method] if method else (), [dataset] if dataset else ())
    if not found:
        printed = {row.dataset for row in row_weights()}
        if dataset is not None and dataset not in printed:
            raise unknown_name("data set of the printed tables", dataset, printed, "fssbench checkpoints status")
        described = " ".join(filter(None, (method, f"on {dataset}" if dataset else "")))
        raise UsageError(f"nothing is printed of {described}", "fssbench checkpoints status")
    if as_json:
        say(*json.dumps([asdict(row) | {"command": row.command} for row in found], indent=1).splitlines())
        return
    print_table(
        ("method", "backbone", "data set", "task", "shots", "weights", "where", "here"), [_cells(row) for row in found]
    )
    _sum_up(found)


def _cells(row: RowWeights) -> tuple[str, ...]:
    return (
        f"{row.method}: {row.variant}" if row.variant else row.method,
        row.backbone or "-",
        row.dataset,
        row.task,
        "-" if row.shot is None else str(row.shot),
        row.released if row.fetched or not row.ids else f"{row.released}, by browser",
        "; ".join(filter(None, (row.where, row.note))),
        f"{row.here} of {row.folds}" if row.ids else "-",
    )


def _sum_up(found: list[RowWeights]) -> None:
    counts = {name: sum(row.released == name for row in found) for name in dict.fromkeys(row.released for row in found)}
    say("", f"{len(found)} printed results: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    commands = list(dict.fromkeys(row.command for row in found if row.command and row.fetched))
    if 0 < len(commands) <= _SHOWN:
        say(*commands)
    elif commands:
        say("--json has the command that fetches each; or --method NAME --dataset NAME")
