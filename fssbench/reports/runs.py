"""The runs that are looked at together: the same episodes, counted alike, a row of each method for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.comparison.alike import counted_alike
from fssbench.comparison.pairing import pair
from fssbench.comparison.run_names import run_names
from fssbench.errors import UsageError
from fssbench.results import load_run
from fssbench.results.arguments import goes_on
from fssbench.results.rows import Row
from fssbench.tables.runs import deduplicated, find_runs

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results, Run

Key = tuple[int, int]
"""The fold and the number of an episode."""


@dataclass(frozen=True, eq=False)
class Method:
    """One run.

    Attributes:
        name: Method, variant and backbone, with the folder if another run has the same name.
        results: The run.
        frame: Its rows of the episodes that all runs have, sorted by fold and episode.
    """

    name: str
    results: Results
    frame: pd.DataFrame

    @property
    def run(self) -> Run:
        """The record of the run."""
        return self.results.run

    @property
    def folder(self) -> Path | None:
        """The folder of the run; None if it was not stored."""
        return self.results.folder

    @cached_property
    def rows(self) -> dict[Key, Row]:
        """The row of each episode."""
        return {(row.fold, row.episode): row for row in _rows(self.frame)}


def _rows(frame: pd.DataFrame) -> Iterator[Row]:
    names = [name for name in Row.__dataclass_fields__ if name in frame.columns]
    for values in frame[names].itertuples(index=False, name=None):
        given = dict(zip(names, values, strict=True))
        # A column that only some rows have holds NaN in the others.
        absent = [name for name, value in given.items() if isinstance(value, float) and name != "seconds"]
        yield Row(**(given | dict.fromkeys(absent)))


@dataclass(frozen=True, eq=False)
class Compared:
    """Runs of the same episodes.

    Attributes:
        methods: The runs; differences are from the first.
        notes: Caveats that belong to every number.
    """

    methods: tuple[Method, ...]
    notes: tuple[str, ...]

    @property
    def run(self) -> Run:
        """The record of the first run, whose data, episodes and rules are those of all."""
        return self.methods[0].run

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The episodes, in order."""
        return tuple(self.methods[0].rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the methods."""
        return tuple(method.name for method in self.methods)

    def numbers(self, name: str) -> list[int]:
        """Return the places of the methods that a name means: their full name, or the name of the method alone.

        Raises:
            UsageError: If there is no such method.
        """
        found = [n for n, method in enumerate(self.methods) if name in (method.name, method.run.method.name)]
        if not found:
            raise UsageError(f"there is no run of '{name}' here; there are {', '.join(self.names)}")
        return found


def read(folders: Sequence[Path]) -> Compared:
    """Read runs of one list; a folder of runs means all runs in it.

    A single run may be unfinished; several are compared, so that they must be complete.

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If a run is damaged.
        UsageError: If the runs are not of the same episodes, or a single one has no row.
    """
    return of_results(load_all(folders))


def load_all(folders: Sequence[Path]) -> list[Results]:
    """Load runs, each once; a folder of runs means all runs in it.

    Raises:
        MissingError: If there is no run in a folder.
        BrokenFileError: If a run is damaged.
        UsageError: If no folder is named.
    """
    paths: list[Path] = []
    for folder in folders:
        paths = deduplicated(paths, find_runs(folder) if folder.is_dir() else [folder])
    if not paths:
        raise UsageError(f"there is no run in {', '.join(map(str, folders))}", "fssbench eval --out DIR makes one")
    return [load_run(path) for path in paths]


def by_list(runs: Sequence[Results]) -> list[list[Results]]:
    """Return runs in groups that may be compared: the same episodes, counted alike. The order is that of the runs."""
    groups: list[list[Results]] = []
    for one in runs:
        group = next((group for group in groups if counted_alike(group[0].run, one.run)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups


def read_mixed(runs: Sequence[str | Path | Results]) -> Compared:
    """Return runs that are named by their folders or loaded; see `read`."""
    from fssbench.results import Results

    loaded: list[Results] = []
    for one in runs:
        if isinstance(one, Results):
            loaded.append(one)
        else:
            loaded += [method.results for method in read([Path(one)]).methods]
    return of_results(loaded)


def of_results(runs: Sequence[Results]) -> Compared:
    """Return runs that are loaded; see `read`."""
    if len(runs) == 1:
        results = runs[0]
        if results.frame.empty:
            raise UsageError(f"{results.folder or 'the run'} has no evaluated episode yet", goes_on(results.run))
        notes = [f"unfinished: {results.missing} episodes are missing"] if results.missing else []
        if results.run.is_shard:
            notes.append(f"shard {results.run.as_shard} of a run, only a part of each list")
        return Compared((Method(_short(run_names(runs), runs)[0], results, results.frame),), tuple(notes))
    pairing = pair(runs)
    methods = zip(_short(pairing.names, runs), pairing.runs, pairing.frames, strict=True)
    return Compared(tuple(Method(name, results, frame) for name, results, frame in methods), pairing.notes)


def _short(names: Sequence[str], runs: Sequence[Results]) -> tuple[str, ...]:
    """Return names without a variant that is only called after its task, if they still differ."""
    found = []
    for name, results in zip(names, runs, strict=True):
        method = results.run.method
        plain = method.variant is not None and method.variant == method.task
        found.append(name.replace(f"{method.name} {method.variant}", method.name, 1) if plain else name)
    return tuple(found) if len(set(found)) == len(found) else tuple(names)
