"""`fssbench checkpoints fetch`: released weights from their hosts, one or a whole set."""

from __future__ import annotations

from contextlib import nullcontext
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.errors import FSSBenchError, MissingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.checkpoints import Record
    from fssbench.downloads.shown import Shown


def fetch(
    identifiers: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Which: ids, or patterns such as 'asnet-resnet50-coco20i-*'.")
    ],
) -> None:
    """Download released checkpoints; what is there is only checked, and what was broken off goes on.

    Examples:
        fssbench checkpoints fetch hsnet-resnet50-pascal5i-fold0
        fssbench checkpoints fetch 'asnet-resnet50-coco20i-*' resnet50-imagenet
        fssbench checkpoints fetch word-vectors-pascal5i

    If a host does not send a file to a program, the others go on, and the way with a browser is shown at the end.
    """
    from fssbench.cli.data_fetch import interruptible, shown
    from fssbench.config import cache_folder, reachable
    from fssbench.writable import check_writable

    identifiers = _without_vectors(identifiers)
    if not identifiers:
        return
    chosen = _chosen(identifiers)
    failures: list[tuple[Record, FSSBenchError]] = []
    cache = reachable(cache_folder)  # without one, what needs it says so
    if cache is not None and any(not entry.hub for entry in chosen):
        check_writable(cache, "XDG_CACHE_HOME")
    with nullcontext() if cache is None else interruptible(cache / "arriving"):
        for entry in chosen:
            try:
                with shown() as progress:
                    _fetch_one(entry, progress)
            except FSSBenchError as error:
                if len(chosen) == 1:
                    raise
                say(f"{entry.id}: not fetched")
                failures.append((entry, error))
    if not failures:
        return
    for entry, failure in failures:
        message = failure.message
        say(message if entry.id in message else f"{entry.id}: {message}", f"  try: {failure.remedy}", err=True)
    ids = " ".join(entry.id for entry, _ in failures)
    raise MissingError(
        f"{len(failures)} of {len(chosen)} checkpoints were not fetched: {ids}", "see above, for each of them"
    )


def _without_vectors(identifiers: Sequence[str]) -> list[str]:
    """Fetch the word vectors that are among what was named, and return the rest.

    Raises:
        MissingError: If a host does not send them.
        BrokenFileError: If what comes is not the recorded file.
    """
    from fssbench.cli.data_fetch import interruptible, shown
    from fssbench.config import cache_folder
    from fssbench.methods.base.word_vectors import fetch_vectors, shipped_vectors
    from fssbench.writable import check_writable

    known = {one.id: one for one in shipped_vectors().values()}
    for name in identifiers:
        if name in known:
            wanted = known[name]
            check_writable(cache_folder(), "XDG_CACHE_HOME")
            wanted.path.parent.mkdir(parents=True, exist_ok=True)
            with interruptible(wanted.path.parent), shown() as progress:
                path = fetch_vectors(wanted, progress)
            say(f"{name}: {path}")
    return [name for name in identifiers if name not in known]


def _fetch_one(entry: Record, progress: Shown) -> None:
    from fssbench.checkpoints import fetch as download
    from fssbench.checkpoints import file_sha256
    from fssbench.checkpoints.registry import user_registry

    path = download(entry, shown=progress)
    lines = [f"{entry.id}: {path}"]
    if entry.first_seen:
        lines.append("  the same file as at the first fetch, for which nobody else vouches")
    elif not entry.sha256:
        lines.append(f"  unverified: no hash is recorded; it is {file_sha256(path)}")
        if entry.url:
            lines.append("  nobody had vouched for it before; from now on another file behind this link is refused")
            lines.append(f"  written to {user_registry()}")
    say(*lines)


def _chosen(identifiers: Sequence[str]) -> list[Record]:
    """Return the records that ids and patterns name, each once.

    Raises:
        UsageError: If an id is unknown, or nothing fits a pattern.
    """
    from fssbench.checkpoints import record, records

    known = records()
    chosen: dict[str, Record] = {}
    for name in identifiers:
        if not any(character in name for character in "*?["):
            chosen[name] = _named(name, known) or record(name)
            continue
        fitting = [entry for entry in known if fnmatchcase(entry.id, name)]
        if not fitting:
            raise UsageError(f"no checkpoint's id fits '{name}'", "fssbench checkpoints list")
        chosen |= {entry.id: entry for entry in fitting}
    return list(chosen.values())


def _named(name: str, known: Sequence[Record]) -> Record | None:
    """Return the record with an id; None if there is none.

    Raises:
        UsageError: If it is the beginning of several ids.
    """
    found = next((entry for entry in known if entry.id == name), None)
    if found is None and any(entry.id.startswith(f"{name}-") for entry in known):
        raise UsageError(f"'{name}' is the beginning of several ids", f"fssbench checkpoints fetch '{name}-*'")
    return found
