"""Progress of long loops: rate and remaining time on a terminal, and nothing elsewhere or for short loops."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds after which progress is shown."""


def tracked(items: Sequence[T], doing: str, unit: str) -> Iterator[T]:
    """Yield the items; on a terminal, show the progress after the first second.

    Args:
        items: The items.
        doing: The text before the bar, e.g. "reading masks".
        unit: The plural of an item, e.g. "masks".
    """
    if not sys.stderr.isatty():
        yield from items
        return
    started = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - started > PATIENCE:
            yield from _shown(items, number, doing, unit)
            return
        yield item


def _shown(items: Sequence[T], first: int, doing: str, unit: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=len(items), completed=first, rate="")
        started = time.monotonic()
        for done, item in enumerate(items[first:], 1):
            yield item
            rate = done / max(time.monotonic() - started, 1e-6)
            progress.update(task, advance=1, rate=f"{rate:.0f}/s" if rate >= 1 else f"{1 / rate:.0f} s each")
