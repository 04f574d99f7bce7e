"""Trackers of `fssbench eval` and `fssbench train`: their options, and what is told to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.help import OUTPUT
from fssbench.cli.values import names_of

if TYPE_CHECKING:
    from fssbench.tracking.guarded import Guarded

Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="NAME,...",
        help="Show it in mlflow or wandb too, while it goes on.",
        show_default="none",
        rich_help_panel=OUTPUT,
    ),
]
TrackRows = Annotated[
    bool, typer.Option("--track-rows", help="Keep rows.jsonl with the tracker, too.", rich_help_panel=OUTPUT)
]


@dataclass(frozen=True)
class TrackOptions:
    """Which trackers are told, and of what."""

    track: Track = None
    track_rows: TrackRows = False

    def trackers(self) -> list[Guarded]:
        """Return the trackers that were named.

        Raises:
            UsageError: If one is not known, or rows are kept with none.
            MissingError: If its package is not installed.
        """
        from fssbench.errors import UsageError

        if self.track is None:
            if self.track_rows:
                raise UsageError("--track-rows keeps rows with a tracker", "--track mlflow --track-rows")
            return []
        from fssbench.tracking.names import trackers

        return trackers(names_of("--track", self.track), rows=self.track_rows)
