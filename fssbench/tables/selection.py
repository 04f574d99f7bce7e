"""Which runs a request shows, and why it does not show the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import MissingError, unknown_name
from fssbench.publications.names import Names
from fssbench.publications.rows import Publications
from fssbench.tables.entry import NO_BACKBONE
from fssbench.tables.measured import measured_variant, method_key
from fssbench.tables.measurements import Data, data_of
from fssbench.tables.naming import labelled
from fssbench.tables.printed import matches_backbone
from fssbench.tables.request import TASKS, Comparison, LayoutName
from fssbench.tables.runs import LeaveOut, deduplicated, find_runs, read_runs

if TYPE_CHECKING:
    from fssbench.results import Run

NotShown = Callable[[Path, str], None]
"""Called for a run that a request does not show, with the reason."""


def requested_runs(request: Comparison, leave_out: LeaveOut) -> dict[Path, Run]:
    """Return the record of each run in the folders of a request, with its name in the table.

    Raises:
        MissingError: If only measured numbers are requested and no folder of runs is.
        UsageError: If it is not clear which row a label is for.
    """
    runs: dict[Path, Run] = {}
    if request.source != "published" and (request.runs is not None or request.folders):
        others = find_runs(request.runs) if request.runs is not None and request.others else []
        runs = read_runs(deduplicated(request.folders, others), leave_out)
    elif request.source == "measured":
        raise MissingError("there are no runs to show", "fssbench eval makes one; --runs DIR says where they are")
    return labelled(labelled(runs, request.labels, "label"), request.label_backbones, "label_backbone")


def callable_names(known: Publications, runs: Iterable[Run]) -> dict[str, set[str]]:
    """Return the possible names of methods, with their variants."""
    names: dict[str, set[str]] = {}
    for row in known.rows:
        for name in (row.method, known.methods[row.method].name):
            names.setdefault(name, set()).add(row.variant)
    for run in runs:
        names.setdefault(run.method.name, set()).add(measured_variant(run))
    return names


def requested_data(request: Comparison, known: Publications, runs: Mapping[Path, Run]) -> tuple[Data, ...]:
    """Return the data that a request names. The key of own data means all of it, its name one folder of it.

    Raises:
        UsageError: If a name is unknown, with the nearest names.
    """
    of_runs = tuple(dict.fromkeys(data_of(run) for run in runs.values()))
    keys = {*(row.dataset for row in known.rows), *(data.key for data in of_runs), *list_datasets()}
    owns = {data.own.lower() for data in of_runs if data.own}
    found: list[Data] = []
    for name in request.datasets:
        pair = name.split("_to_")
        # Known also before its first run.
        if len(pair) == 2 and set(pair) <= set(list_datasets()):
            keys.add(name)
        if name not in keys | owns:
            raise unknown_name("data set", name, keys | owns, "fssbench list datasets")
        own = [data for data in of_runs if name in (data.key, data.own.lower())]
        # Printed rows are never of own data, so where there are runs on it, there is nothing else.
        found += [] if any(data.fingerprint for data in own) else [Data(name)] if name in keys else []
        found += sorted(own, key=lambda data: data.own != "")
    return tuple(dict.fromkeys(found))


def _reason_not_shown(
    request: Comparison, folder: Path, run: Run, names: Names, data: tuple[Data, ...], known: Publications
) -> str:
    """Return why a run is not shown; empty if it is.

    Args:
        request: The request.
        folder: The folder of the run.
        run: Its record.
        names: The requested methods.
        data: The data that the request names; empty if it names none.
        known: All printed numbers.
    """
    if not _is_named(request, folder) and not names.matches(called_by(run, known), measured_variant(run), True):
        return f"its method is {run.method.name}"
    if data and data_of(run) not in data:
        return f"its data set is {data_of(run).title}"
    backbone = run.method.backbone or NO_BACKBONE
    if not matches_backbone(backbone, request.backbones):
        return f"its backbone is {backbone}" if run.method.backbone else "its method has no backbone"
    if request.shots and run.shot not in request.shots:
        return f"it is {run.shot}-shot"
    if request.ways and run.way not in request.ways:
        return f"it is {run.way}-way"
    if request.layout is not None and run.method.task not in TASKS[request.layout]:
        other = "fscs" if run.method.task == "fscs" else "fss"
        return f"its task is that of --layout {other}"
    return ""


def selected_runs(
    request: Comparison,
    runs: Mapping[Path, Run],
    names: Names,
    data: tuple[Data, ...],
    known: Publications,
    not_shown: NotShown,
) -> dict[Path, Run]:
    """Return the runs that a request shows; `not_shown` is called for each of the others.

    Args:
        request: The request.
        runs: The runs in its folders.
        names: The requested methods.
        data: The data that the request names; empty if it names none.
        known: All printed numbers.
        not_shown: Called with a folder and the reason.
    """
    selected = {}
    for folder, run in runs.items():
        if reason := _reason_not_shown(request, folder, run, names, data, known):
            not_shown(folder, reason)
        else:
            selected[folder] = run
    return selected


def called_by(run: Run, known: Publications) -> tuple[str, ...]:
    """Return the names of the method of a run: its key, and its printed name if it has one."""
    key = method_key(run)
    return (key, known.methods[key].name) if key in known.methods else (key,)


def layouts_of(request: Comparison, runs: Mapping[Path, Run]) -> tuple[LayoutName, ...]:
    """Return the layouts of a request: its own, those of the tasks of the runs, or that of its ways."""
    if request.layout is not None:
        return (request.layout,)
    tasks = {run.method.task for run in runs.values()}
    found: list[LayoutName] = [layout for layout, of_layout in TASKS.items() if tasks & set(of_layout)]
    if found:
        return tuple(found)
    return ("fscs",) if request.ways and max(request.ways) > 1 else ("fss",)


def _is_named(request: Comparison, folder: Path) -> bool:
    """Return whether a run is shown whatever its method: its folder is requested, or no method is."""
    return folder in request.folders or (request.others and not request.methods)
