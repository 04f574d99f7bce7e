"""`fssbench eval --fetch`: annotations before the evaluation, the photos of its episodes on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.cli.console import say
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.engine.processes import Processes
    from fssbench.planning.plan import Plan


def fetch_annotations(name: str, root: Path | None, processes: Processes) -> None:
    """Fetch what it takes to open a data set and to draw its episodes, if it is not here: everything but photos.

    Raises:
        UsageError: If the photos come in archives only, nothing says where they go, or several processes evaluate.
        MissingError: If a host does not send a file, or the disk is full.
        BrokenFileError: If a file is not the recorded one.
    """
    from fssbench.cli.data_fetch import interruptible, shown
    from fssbench.datasets.catalogue import REGISTRY
    from fssbench.datasets.fetching.archives import Wanted, check_room, fetch_parts, summary
    from fssbench.datasets.fetching.places import destination
    from fssbench.datasets.fetching.sources import source_of

    REGISTRY.require(name)
    source = source_of(name)
    if source is None or not source.photo:
        before = f"fssbench data fetch {name} before" if source else "leave --fetch out"
        raise UsageError(f"--fetch takes photos one by one, and those of {name} can't be had so", before)
    if processes.size > 1:
        raise UsageError(
            "--fetch goes with one process", f"fssbench data fetch {name} --episodes LIST before, and leave --fetch out"
        )
    folder = destination(name, root)
    wanted = Wanted(source, folder, source.needed(folder, "val", photos=False, lists=False), "val")
    if not wanted.parts:
        return
    say(*summary(wanted), err=True)
    check_room(wanted)
    with interruptible(folder), shown() as progress:
        fetch_parts(wanted, progress)


@contextmanager
def photos_arriving(plans: Sequence[Plan]) -> Iterator[None]:
    """Fetch the photos of the episodes of plans, in the order in which they are needed, while they are evaluated.

    Raises:
        MissingError: If the disk has no room for them.
    """
    from fssbench.cli.data_fetch import photo_line
    from fssbench.cli.signals import resume_command
    from fssbench.datasets.fetching.photos import Arriving, PhotoHost
    from fssbench.datasets.fetching.sources import source_of
    from fssbench.datasets.transfer.view import TransferView
    from fssbench.downloads.shown import size_text

    dataset = plans[0].dataset
    inner = dataset.inner if isinstance(dataset, TransferView) else dataset
    source = source_of(inner.name)
    if source is None:
        yield
        return
    host = PhotoHost(source, inner)
    names = list(dict.fromkeys(name for one in plans for name in _names(one)))
    missing = host.missing(names)
    say(photo_line(host, missing, len(names)), err=True)
    host.check_room(missing)
    try:
        with Arriving(host, missing) as arriving:
            yield
    except KeyboardInterrupt as error:
        say(f"photos that have arrived are kept in {inner.root}", err=True)
        if not getattr(error, "__notes__", []):  # else the command was printed with the rows that are kept
            say(f"  try: {resume_command()}", err=True)
        raise
    if missing:
        say(f"fetched: {size_text(arriving.bytes)}", err=True)


def _names(plan: Plan) -> Iterator[str]:
    """Yield the photos of the episodes that a plan evaluates, in the order of the evaluation."""
    from fssbench.cli.data_fetch import photos_of
    from fssbench.engine.order import order_of_work
    from fssbench.results.shard import WHOLE

    shard = plan.request.shard or WHOLE
    for first, last in pairwise((0, *(plan.until.schedule if plan.until else (plan.request.limit,)))):
        for place, episodes in enumerate(plan.lists):
            earlier = range(min(first or 0, len(episodes)))
            among = None if plan.in_shard is None else plan.in_shard[place]
            for number in order_of_work(episodes[:last], frozenset(earlier), shard, among):
                yield from photos_of(episodes[number])
