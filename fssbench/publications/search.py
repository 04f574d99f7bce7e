"""Finding printed rows: by filters, or by row id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from fssbench.errors import MissingError, UsageError, unknown_name
from fssbench.names import known_name
from fssbench.publications.names import names_from
from fssbench.publications.rows import PrintedRow, Publications

_LIST = "fssbench published list"


@dataclass(frozen=True)
class Filters:
    """The filters for printed rows; an empty tuple selects everything.

    Attributes:
        methods: Names and wildcards, and "name:variant" patterns for ablations, re-runs and the like.
        datasets: Keys and wildcards.
        backbones: Names and wildcards.
        shots: Numbers of shots.
        ways: Numbers of ways.
        tasks: Tasks, from `fssbench.publications.rows.TASKS`.
        sources: Keys of sources and wildcards.
        venues: Venues of the methods, e.g. "CVPR 2022" or "cvpr*"; case-insensitive.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    shots: tuple[int, ...] = ()
    ways: tuple[int, ...] = ()
    tasks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundRow:
    """A printed row with its id: the source and the number of the row in it, e.g. "vat-readme:7"."""

    id: str
    row: PrintedRow


def all_rows(known: Publications) -> list[FoundRow]:
    """Return every printed row with its id, in the order of `known.rows`."""
    counts: dict[str, int] = {}
    found = []
    for row in known.rows:
        counts[row.source] = counts.get(row.source, 0) + 1
        found.append(FoundRow(f"{row.source}:{counts[row.source]}", row))
    return found


def select(known: Publications, filters: Filters) -> list[FoundRow]:
    """Return the rows that match all filters.

    Raises:
        UsageError: If a name or a pattern matches nothing at all, with the nearest names.
        MissingError: If every name is known, but no row matches all filters.
    """
    variants: dict[str, set[str]] = {}
    for row in known.rows:
        for name in (row.method, known.methods[row.method].name):
            variants.setdefault(name, set()).add(row.variant)
    names = names_from(filters.methods, variants, _LIST)
    filters = replace(
        filters,
        datasets=_known("data set", filters.datasets, {row.dataset for row in known.rows}),
        backbones=_known("backbone", filters.backbones, {row.backbone for row in known.rows} - {""}),
        tasks=_known("task", filters.tasks, {row.task for row in known.rows}),
        sources=_known("source", filters.sources, known.sources),
        venues=_known("venue", filters.venues, {paper.venue for paper in known.methods.values()} - {""}),
    )
    found = [
        one
        for one in all_rows(known)
        # Unlike in tables, the name of a method also selects its ablations and re-runs.
        if names.matches((one.row.method, known.methods[one.row.method].name), one.row.variant, True)
        and _fits(one.row.dataset, filters.datasets)
        and _fits(one.row.backbone, filters.backbones)
        and _fits(one.row.task, filters.tasks)
        and _fits(one.row.source, filters.sources)
        and _fits(known.methods[one.row.method].venue, filters.venues)
        and (not filters.shots or one.row.shot in filters.shots)
        and (not filters.ways or one.row.way in filters.ways)
    ]
    if not found:
        raise MissingError(f"no row was printed with {_describe(filters)}", f"{_LIST}, with fewer filters")
    return found


def row_of(known: Publications, identifier: str) -> FoundRow | None:
    """Return the row with an id; None if the text is not an id, so that it may be the name of a method.

    Raises:
        UsageError: If there is no such source, or it has no row with that number.
    """
    source, colon, number = identifier.strip().lower().rpartition(":")
    if not colon or (source not in known.sources and not number.isdecimal()):
        return None
    if source not in known.sources:
        raise unknown_name("source", source, known.sources, _LIST)
    of_source = {one.id: one for one in all_rows(known) if one.row.source == source}
    if f"{source}:{number}" not in of_source:
        raise UsageError(
            f"{source} has rows {source}:1 to {source}:{len(of_source)}, not '{identifier}'",
            f"{_LIST} --source {source}",
        )
    return of_source[f"{source}:{number}"]


def _fits(value: str, patterns: Iterable[str]) -> bool:
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns)


def _known(kind: str, patterns: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return patterns, names among them as they are known: "CVPR-2022" is "cvpr 2022".

    Raises:
        UsageError: If one fits nothing, with the nearest names; or is a name that stands for several.
    """
    names = {name.lower() for name in known}
    found = []
    for pattern in patterns:
        if any(fnmatchcase(name, pattern.lower()) for name in names):
            found.append(pattern)
        elif name := known_name(kind, pattern, names):
            found.append(name)
        else:
            raise unknown_name(kind, pattern, names, _LIST)
    return tuple(found)


def _describe(filters: Filters) -> str:
    return ", ".join(f"{name} {' or '.join(map(str, values))}" for name, values in vars(filters).items() if values)
