"""Options of `fssbench eval` that decide how it computes, and no more than last digits of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from fssbench.cli.help import COMPUTING


@dataclass(frozen=True)
class ComputingOptions:
    """How an evaluation computes."""

    compiled_heads: Annotated[
        bool,
        typer.Option(
            "--compile-heads",
            help="On a graphics card, compile parts of heads by torch, as CUDA graphs; a warning names heads without.",
            rich_help_panel=COMPUTING,
        ),
    ] = False
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="Use algorithms alone that give the same digits each time, in batches of a fixed size; may be slower.",
            rich_help_panel=COMPUTING,
        ),
    ] = False
    channels_last: Annotated[
        bool,
        typer.Option(
            "--channels-last",
            help="Lay images out with the channels of a pixel next to each other, which suits some graphics cards.",
            rich_help_panel=COMPUTING,
        ),
    ] = False
