"""The options that make another list of a protocol's own: more references for each query, queries without the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from fssbench.cli.help import EPISODES

References = Annotated[
    int | None,
    typer.Option(
        "--references",
        metavar="R",
        help="Give each query so many different supports: mean, spread, worst, best.",
        show_default="the protocol's own supports",
        rich_help_panel=EPISODES,
    ),
]
Absent = Annotated[
    float | None,
    typer.Option(
        "--absent",
        metavar="SHARE",
        help="Let so many queries hold no class of their episode: 0.25.",
        show_default="the protocol's own queries",
        rich_help_panel=EPISODES,
    ),
]


@dataclass(frozen=True)
class ListOptions:
    """What is done to the protocol's list."""

    references: References = None
    absent: Absent = None
