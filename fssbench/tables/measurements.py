"""Measurements: the folds of one configuration, from one run folder or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from fssbench.datasets.catalogue import dataset_info, dataset_title, fold_count_of, list_datasets
from fssbench.errors import FSSBenchError, MissingError
from fssbench.tables.runs import LeaveOut, refuse

if TYPE_CHECKING:
    from fssbench.metrics.fold_counts import FoldCounts
    from fssbench.metrics.summary import FoldSummary
    from fssbench.results import Results, Run
    from fssbench.results.counted import CountedRun
    from fssbench.results.lost import Lost
    from fssbench.results.record import FoldRecord


def fold_count(run: Run) -> int:
    """Return the number of folds of the data set of a run, which the mean is over."""
    return run.dataset.fold_count or fold_count_of(dataset_key(run))


@dataclass(frozen=True, eq=False)
class MeasuredFold:
    """One fold of a run.

    Attributes:
        record: The record of the fold.
        missing: Number of episodes that have no row yet.
        folder: The folder of the run.
        lost: The objects that are lost by resizing.
        compute: Returns the counts of the fold and its metrics, without intervals.
    """

    record: FoldRecord
    missing: int
    folder: Path
    lost: Lost
    compute: Callable[[], tuple[FoldCounts, FoldSummary]]

    @property
    def counts(self) -> FoldCounts:
        """The counts of the fold."""
        return self.compute()[0]

    @property
    def summary(self) -> FoldSummary:
        """The metrics of the fold, without intervals."""
        return self.compute()[1]


@dataclass(frozen=True, eq=False)
class Measurement:
    """Folds of one method in one configuration, from one run or several.

    Attributes:
        run: One of the runs; they differ only in folds, weights and environment.
        folds: The folds, by number.
        repeat: Number of earlier measurements of the same configuration that have one of these folds.
        repeated: Whether there are several measurements of the configuration.
    """

    run: Run
    folds: Mapping[int, MeasuredFold]
    repeat: int = 0
    repeated: bool = False

    @property
    def folders(self) -> tuple[Path, ...]:
        """The run folders, sorted."""
        return tuple(sorted({fold.folder for fold in self.folds.values()}))


def dataset_key(run: Run) -> str:
    """Return the key of the data set as in printed rows: "A_to_B" is trained on A and evaluated on B."""
    return run.dataset.name if run.train_dataset is None else f"{run.train_dataset}_to_{run.dataset.name}"


@dataclass(frozen=True)
class Data:
    """What a table is of.

    Attributes:
        key: The key of the data set, or of the pair of data sets.
        own: The name of the data, if it is the user's own and has one.
        fingerprint: The fingerprint of the data, if it is the user's own: two folders are two tables.
    """

    key: str
    own: str = ""
    fingerprint: str = ""

    @property
    def title(self) -> str:
        """The name as papers print it."""
        return dataset_title(self.key, self.own)


def data_of(run: Run) -> Data:
    """Return the data of a run."""
    name = run.dataset.name
    if name not in list_datasets() or not dataset_info(name).own:
        return Data(dataset_key(run), run.dataset.title or "")
    # Runs of earlier versions have no name of the data, but its folder.
    root = run.starts[-1].environment.root if run.starts else None
    own = run.dataset.title or (f"own data in {PurePath(root).name}" if root else "")
    return Data(dataset_key(run), own, run.dataset.fingerprint)


def distinct_titles(found: Iterable[Data]) -> dict[Data, str]:
    """Return the name of the user's own data for each table; of two with one name, with the beginning of the hash."""
    titles = dict.fromkeys(found, "")
    for data in titles:
        alike = [other for other in titles if other.title == data.title]
        name = data.own or (data.title if len(alike) > 1 else "")
        titles[data] = f"{name} (data {data.fingerprint[:8]})" if len(alike) > 1 else name
    return titles


def setting_of(one: Measurement) -> str:
    """Return the setting of a measurement: equal for variants of a method that may be compared with each other."""
    method = replace(one.run.method, variant=None)
    return f"{configuration(replace(one.run, method=method))} {one.repeat}"


def measurements(
    folders: Iterable[Path], leave_out: LeaveOut = refuse, records: Mapping[Path, Run] | None = None
) -> list[Measurement]:
    """Read runs and combine the folds of each configuration.

    Folds are combined if method, data, protocol, way, shot and the rule that drew the episodes are the same. If a fold
    occurs twice, it starts another measurement.

    Args:
        folders: The run folders.
        leave_out: Called for a damaged run.
        records: The records of runs whose rows have other names in a table than in their folders.

    Raises:
        BrokenFileError: If a run is damaged, unless it is left out.
    """

    def read() -> Iterator[tuple[Run, dict[int, MeasuredFold]]]:
        for folder in folders:
            try:
                run, found = read_folds(folder, (records or {}).get(folder))
            except FSSBenchError as error:
                leave_out(folder, error)
                continue
            # A run without rows is not damaged, so it is no error for a caller that leaves out nothing.
            if not found and leave_out is not refuse:
                leave_out(folder, MissingError(f"the run in {folder} has no rows yet"))
            named = (records or {}).get(folder, run)
            yield replace(run, label=named.label, label_backbone=named.label_backbone), found

    return group_folds(read())


def group_folds(runs: Iterable[tuple[Run, dict[int, MeasuredFold]]]) -> list[Measurement]:
    """Combine the folds of each configuration; see `measurements`.

    Args:
        runs: Each run with its folds that have rows.
    """
    by_configuration: dict[str, list[Measurement]] = {}
    # The first place that may be free, for each set of folds: all places before it are taken.
    taken: dict[tuple[str, frozenset[int]], int] = {}
    for run, found in runs:
        if not found:
            continue
        shared, folds = configuration(run), frozenset(found)
        measurements = by_configuration.setdefault(shared, [])
        place = taken.get((shared, folds), 0)
        while place < len(measurements) and folds & measurements[place].folds.keys():
            place += 1
        taken[shared, folds] = place
        if place == len(measurements):
            measurements.append(Measurement(run, found, repeat=place))
        else:
            measurements[place] = replace(measurements[place], folds={**measurements[place].folds, **found})
    return [
        replace(one, repeated=len(measurements) > 1)
        for measurements in by_configuration.values()
        for one in measurements
    ]


def read_folds(folder: Path, record: Run | None = None) -> tuple[Run, dict[int, MeasuredFold]]:
    """Read a run, and count the folds that have rows. Its rows are not kept: there may be many runs.

    Args:
        folder: The run folder.
        record: Its record, if it has been read already.

    Raises:
        MissingError: If there is no run.
        BrokenFileError: If it is damaged.
    """
    from fssbench.results import load_run, read_run
    from fssbench.results.counted import counted_run

    run = read_run(folder) if record is None else record
    if (counted := counted_run(folder, run)) is not None:
        return run, _folds_of_columns(counted, folder)
    results = load_run(folder)
    found = folds_of(results, folder)
    for fold in found.values():
        fold.compute()
    return results.run, found


def _folds_of_columns(counted: CountedRun, folder: Path) -> dict[int, MeasuredFold]:
    counts = counted.fold_counts()
    records = {record.fold: record for record in counted.run.folds}
    summaries = counted.summary(counts).folds
    return {
        one.total.fold: MeasuredFold(
            records[one.total.fold],
            counted.missing(records[one.total.fold]),
            folder,
            counted.lost(one.total.fold),
            partial(_known, one, summary),
        )
        for one, summary in zip(counts, summaries, strict=True)
    }


def _known(counts: FoldCounts, summary: FoldSummary) -> tuple[FoldCounts, FoldSummary]:
    return counts, summary


def folds_of(results: Results, folder: Path) -> dict[int, MeasuredFold]:
    """Return the folds of a run that have rows; they are counted when they are first used."""
    from fssbench.results.lost import lost_in

    counts = _Counts(results)
    found = {}
    for record in sorted(results.run.folds, key=lambda record: record.fold):
        rows = results.frame[results.frame["fold"] == record.fold]
        missing = results.run.expected(record) - len(rows)
        if len(rows):
            lost = lost_in(rows, results.run.protocol.task, absent=results.run.has_absent)
            fold = MeasuredFold(record, missing, folder, lost, partial(counts.of, record.fold))
            found[record.fold] = fold
    return found


class _Counts:
    """The counts of a run. Its rows are released as soon as they are counted."""

    def __init__(self, results: Results) -> None:
        self._results: Results | None = results
        self._found: dict[int, tuple[FoldCounts, FoldSummary]] = {}

    def of(self, fold: int) -> tuple[FoldCounts, FoldSummary]:
        """Return the counts and the metrics of a fold."""
        if self._results is not None:
            counts = self._results.fold_counts()
            folds = self._results.summary(draws=0, counts=counts).folds
            self._found = {fold.fold: (count, fold) for count, fold in zip(counts, folds, strict=True)}
            self._results = None
        return self._found[fold]


def _runs_in(fold: FoldRecord) -> int:
    """Return the number of runs in the list of a fold; 0 if the list is a single run."""
    return -(-fold.episodes // fold.run_length) if fold.run_length else 0


def configuration(run: Run, *, seeds: bool = True) -> str:
    """Return as text all that makes two runs one measurement if it is equal.

    Args:
        run: The record of the run.
        seeds: Whether the seeds of the draws count.
    """
    method, dataset = replace(run.method, learnable_parameters=None), replace(run.dataset, fold_count=None)
    draws = sorted(
        {
            (
                *(fold.drawn_by, fold.seed if seeds else 0, fold.list_order, fold.weights.kind),
                *(_runs_in(fold), _models_in(fold)),
            )
            for fold in run.folds
        }
    )
    setting = (run.train_dataset, dataset, run.protocol, run.way, run.shot, run.split, run.limit, run.precision)
    # The looks belong to all folds of a run, so folds of several such runs are not combined.
    looks = () if run.until is None else (run.until,)
    return repr((method, setting, draws, run.as_shard, run.label, run.label_backbone, *looks))


def _models_in(fold: FoldRecord) -> tuple[tuple[str, str, str], ...]:
    """Return the models of the hub that the weights are of: repository, commit and hash."""
    return tuple((model.repository, model.revision, model.sha256) for model in fold.weights.hub)
