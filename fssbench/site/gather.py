"""The results of a site: every printed one, from its preferred source, and every measured one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.escape import in_path
from fssbench.publications.names import Names
from fssbench.publications.own import with_own
from fssbench.tables.entry import Entry
from fssbench.tables.ledger import with_ledger
from fssbench.tables.printed import printed_entries
from fssbench.tables.runs import LeaveOut, find_runs, read_runs, refuse

if TYPE_CHECKING:
    from fssbench.publications.rows import Publications
    from fssbench.tables.measurements import Measurement

TASKS = ("fss", "fscs", "cross-domain")
_NAME = 40


@dataclass(frozen=True)
class Result:
    """One result of the site.

    Attributes:
        id: Its name on the site, equal for equal results: the file of its record, and the anchor of its row.
        entry: The result, as tables have it.
        year: The year in which its method appeared; None if that is not known.
        seen: "no" if training has not seen masks of the test classes, "yes" if it has, "not stated" otherwise.
        record: What repeats a measured result, without paths and commands of the machine; empty for a printed one.
    """

    id: str
    entry: Entry
    year: int | None
    seen: str
    record: dict[str, object]

    @property
    def data_page(self) -> str:
        """The name of the page of its data set, without ".html"."""
        entry = self.entry
        return slug(f"{entry.dataset} {entry.own_data}" if entry.own_data else entry.dataset)

    @property
    def method_page(self) -> str:
        """The name of the page of its method, without ".html"; a method of the user has one by its label."""
        return slug(f"own {self.entry.label}" if self.entry.own else self.entry.method)


def slug(name: str) -> str:
    """Return a name as that of a file: short, without separators, and different for different names."""
    text = in_path(name).strip(".-").lower()[:_NAME]
    same = text == name and text not in ("", "index")
    return text if same else f"{text or 'name'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def gather(runs: Sequence[Path] = (), *, leave_out: LeaveOut = refuse) -> list[Result]:
    """Return the results: printed ones by data set, then measured ones.

    Args:
        runs: Run folders, and folders of runs.
        leave_out: Called for a run that can't be read.

    Raises:
        MissingError: If there is no such folder.
        BrokenFileError: If a run is damaged, unless it is left out.
    """
    known = with_own()
    folders = list(dict.fromkeys(folder for place in runs for folder in find_runs(place)))
    found = []
    for dataset in dict.fromkeys(row.dataset for row in known.rows):
        for task in TASKS:
            entries = with_ledger(printed_entries(known, dataset, (task,), Names()))
            found += [_result(entry, {}) for entry in entries]
    return found + _measured(known, folders, leave_out)


def _measured(known: Publications, folders: Sequence[Path], leave_out: LeaveOut) -> list[Result]:
    if not folders:
        return []
    from fssbench.tables.measured import measured_entries
    from fssbench.tables.measurements import data_of, distinct_titles, measurements
    from fssbench.tables.row_annotations import with_intervals

    records = read_runs(folders, leave_out)
    groups: dict[tuple[object, str], list[Measurement]] = {}
    for one in measurements(records, leave_out, records):
        groups.setdefault((data_of(one.run), one.run.method.task), []).append(one)
    titles = distinct_titles(data_of(run) for run in records.values())
    found = []
    for ones in groups.values():
        pairs = list(zip(measured_entries(ones, known.methods), ones, strict=True))
        entries = with_ledger(with_intervals(pairs, lambda entry: tuple(entry.numbers)))
        for entry, one in zip(entries, ones, strict=True):
            named = replace(entry, own_data=titles[data_of(one.run)])
            found.append(_result(named, _record(one)))
    return found


def _result(entry: Entry, record: dict[str, object]) -> Result:
    key = "\n".join(
        map(
            str, (entry.origin, entry.method, entry.label, entry.variant, entry.backbone, entry.dataset, entry.own_data)
        )
    )
    # The source of a measured result is its folder, which may lie elsewhere the next time.
    source = "" if record else entry.source
    key += "\n".join(map(str, (entry.task, entry.way, entry.shot, entry.protocol, entry.line, source, record)))
    name = slug(f"{entry.method}-{hashlib.sha256(key.encode()).hexdigest()[:10]}")
    year = re.search(r"\b(19|20)\d\d\b", entry.venue)
    return Result(name, entry, int(year[0]) if year else None, _seen(entry), record)


def _seen(entry: Entry) -> str:
    by_masks = None if entry.seen is None else entry.seen.by("masks")
    return "not stated" if by_masks is None else "yes" if by_masks else "no"


def _record(one: Measurement) -> dict[str, object]:
    """Return what repeats a measurement. Paths, commands and the name of the machine stay where it was made."""
    run = one.run
    folds = [fold.record for _, fold in sorted(one.folds.items())]
    start = run.starts[-1] if run.starts else None
    return {
        "method": run.method.name,
        "variant": run.method.variant,
        "backbone": run.method.backbone,
        "options": dict(run.method.options),
        "dataset": run.dataset.name,
        "data_fingerprint": run.dataset.fingerprint,
        "protocol": run.protocol.name,
        "protocol_sha256": None if run.protocol.own is None else run.protocol.own.sha256,
        "scored_at": run.protocol.score_at,
        "split": run.split,
        "way": run.way,
        "shot": run.shot,
        "precision": run.precision,
        "folds": [
            {
                "fold": fold.fold,
                "episodes": fold.episodes,
                "episodes_hash": fold.episodes_hash,
                "seed": fold.seed,
                "weights": fold.weights.kind,
                "checkpoint": fold.weights.checkpoint,
                "checkpoint_sha256": fold.weights.sha256,
            }
            for fold in folds
        ],
        "fssbench": None if start is None else start.fssbench,
        "packages": {} if start is None else dict(start.environment.packages),
        "date": None if start is None else start.time,
    }


def of_pages(results: Iterable[Result]) -> tuple[dict[str, list[Result]], dict[str, list[Result]]]:
    """Return the results of each method's page and of each data set's page, by the name of the page."""
    methods: dict[str, list[Result]] = {}
    datasets: dict[str, list[Result]] = {}
    for one in results:
        methods.setdefault(one.method_page, []).append(one)
        datasets.setdefault(one.data_page, []).append(one)
    return dict(sorted(methods.items())), dict(sorted(datasets.items()))
