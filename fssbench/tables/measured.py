"""Measured results from run folders: the folds of one configuration are combined, with cautions for the footnotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.datasets.catalogue import fold_count_of
from fssbench.errors import FSSBenchError, MissingError
from fssbench.publications.rows import Paper
from fssbench.tables.entry import NO_BACKBONE, Entry, Remark
from fssbench.tables.left_out import class_cautions, over_all_classes
from fssbench.tables.neighbours import Neighbours
from fssbench.tables.runs import LeaveOut, refuse
from fssbench.tables.seen import knows_test_classes, seen_remarks

if TYPE_CHECKING:
    from fssbench.metrics.fold_counts import FoldCounts
    from fssbench.metrics.summary import FoldSummary
    from fssbench.results import Results, Run
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
    def folders(self) -> str:
        """The run folders, separated by commas."""
        return ", ".join(sorted({str(fold.folder) for fold in self.folds.values()}))


def dataset_key(run: Run) -> str:
    """Return the key of the data set as in printed rows: "A_to_B" is trained on A and evaluated on B."""
    return run.dataset.name if run.train_dataset is None else f"{run.train_dataset}_to_{run.dataset.name}"


@dataclass(frozen=True)
class Data:
    """What a table is of: the key of a data set, and the name of the data if it is the user's own."""

    key: str
    own: str = ""


def data_of(run: Run) -> Data:
    """Return the data of a run."""
    return Data(dataset_key(run), run.dataset.title or "")


def protocol_label(run: Run) -> str:
    """Return the name of a run's protocol; for a protocol from outside with its package and hash.

    So it can't be mistaken for a protocol of this or a later version of fssbench with the same name.
    """
    own, name = run.protocol.own, run.protocol.name
    return name if own is None else f"{name} ({own.package or 'a file'}, {own.sha256[:8]})"


def measured_variant(run: Run) -> str:
    """Return the variant of a run; empty for the default variant of the method for the task.

    The default variant of a partly released method has its name: printed results are not those of this variant.
    """
    from fssbench.methods.catalogue import REGISTRY, method_info

    variant = run.method.variant
    if run.method.code is not None and variant == run.method.task:
        return ""  # the variant of an unregistered method is its task, which is shown elsewhere
    if variant is None or run.method.name not in REGISTRY.names():
        return variant or ""
    info = method_info(run.method.name)
    return "" if variant == info.variant_for(run.method.task) and not info.partial else variant


def printed_variant_name(method: str, name: str, variant: str) -> str:
    """Return the name of a variant in the paper's ablation table, or else the variant itself.

    Args:
        method: Key of the method.
        name: Printed name of the method; methods.toml may put it before the name of the row, as in "MMT:(a)".
        variant: The variant.
    """
    from fssbench.methods.catalogue import list_methods, method_info

    if method not in list_methods():
        return variant
    return method_info(method).ablation.get(variant, variant).removeprefix(f"{name}:").strip()


def setting_of(one: Measurement) -> str:
    """Return the setting of a measurement: equal for variants of a method that may be compared with each other."""
    method = replace(one.run.method, variant=None)
    return f"{_configuration(replace(one.run, method=method))} {one.repeat}"


def measurements(folders: Iterable[Path], leave_out: LeaveOut = refuse) -> list[Measurement]:
    """Read runs and combine the folds of each configuration.

    Folds are combined if method, data, protocol, way, shot and the rule that drew the episodes are the same. If a fold
    occurs twice, it starts another measurement.

    Args:
        folders: The run folders.
        leave_out: Called for a damaged run.

    Raises:
        BrokenFileError: If a run is damaged, unless it is left out.
    """
    from fssbench.results import load_run

    def read() -> Iterator[tuple[Run, dict[int, MeasuredFold]]]:
        for folder in folders:
            try:
                results = load_run(folder)
                found = folds_of(results, folder)
                for fold in found.values():
                    fold.compute()  # keep the counts, not the rows: there may be many runs
            except FSSBenchError as error:
                leave_out(folder, error)
                continue
            # A run without rows is not damaged, so it is no error for a caller that leaves out nothing.
            if not found and leave_out is not refuse:
                leave_out(folder, MissingError(f"the run in {folder} has no rows yet"))
            yield results.run, found

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
        configuration, folds = _configuration(run), frozenset(found)
        measurements = by_configuration.setdefault(configuration, [])
        place = taken.get((configuration, folds), 0)
        while place < len(measurements) and folds & measurements[place].folds.keys():
            place += 1
        taken[configuration, folds] = place
        if place == len(measurements):
            measurements.append(Measurement(run, found, repeat=place))
        else:
            measurements[place] = replace(measurements[place], folds={**measurements[place].folds, **found})
    return [
        replace(one, repeated=len(measurements) > 1)
        for measurements in by_configuration.values()
        for one in measurements
    ]


def folds_of(results: Results, folder: Path) -> dict[int, MeasuredFold]:
    """Return the folds of a run that have rows; they are counted when they are first used."""
    from fssbench.results.lost import lost_in

    counts = _Counts(results)
    found = {}
    for record in sorted(results.run.folds, key=lambda record: record.fold):
        rows = results.frame[results.frame["fold"] == record.fold]
        missing = results.run.expected(record) - len(rows)
        if len(rows):
            fold = MeasuredFold(
                record, missing, folder, lost_in(rows, results.run.protocol.task), partial(counts.of, record.fold)
            )
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


def _configuration(run: Run) -> str:
    method = replace(run.method, learnable_parameters=None)
    draws = sorted(
        {
            (fold.drawn_by, fold.seed, fold.list_order, fold.weights.kind, _runs_in(fold), _models_in(fold))
            for fold in run.folds
        }
    )
    setting = (run.train_dataset, run.dataset, run.protocol, run.way, run.shot, run.split, run.limit, run.precision)
    return repr((method, setting, draws, run.as_shard))


def _models_in(fold: FoldRecord) -> tuple[tuple[str, str, str], ...]:
    """Return the models of the hub that the weights are of: repository, commit and hash."""
    return tuple((model.repository, model.revision, model.sha256) for model in fold.weights.hub)


def measured_entries(found: Iterable[Measurement], methods: Mapping[str, Paper]) -> list[Entry]:
    """Return measurements as results. Those with other data, protocol or episodes than most others get a remark.

    Args:
        found: Measurements of one data set and one task.
        methods: Papers by key, for printed names and venues.
    """
    found = list(found)
    neighbours: dict[tuple[int, int], Neighbours] = {}
    for one in found:
        mine = neighbours.setdefault((one.run.way, one.run.shot), Neighbours())
        # A shard has other episodes by nature, so it does not count against the others.
        if not one.run.is_shard:
            mine.add(one)
    return [_entry(one, methods, neighbours[one.run.way, one.run.shot].differences(one)) for one in found]


def _classes_and_summaries(one: Measurement) -> dict[int, tuple[tuple[int, ...], FoldSummary]]:
    """Return for each fold all its classes and its metrics."""
    return {number: (fold.record.classes, fold.summary) for number, fold in sorted(one.folds.items())}


def _entry(one: Measurement, methods: Mapping[str, Paper], differs: list[str]) -> Entry:
    run = one.run
    key = "asnet-w" if run.method.name == "asnet" and run.method.options.get("weak") else run.method.name
    paper = methods.get(key)
    name, variant = paper.name if paper else run.method.name, measured_variant(run)
    counted = sorted({fold.summary.episodes for fold in one.folds.values()})
    per_fold = f"{counted[0]}" if len(counted) == 1 else f"{counted[0]} to {counted[-1]}"
    counting = ""
    if runs := {len(fold.summary.runs) for fold in one.folds.values()} - {0}:
        counting = f" in {max(runs)} runs, whose mean is shown"
    weights = sorted({fold.record.weights.kind for fold in one.folds.values()})
    orders = sorted({fold.record.list_order for fold in one.folds.values()})
    remarks = [
        *seen_remarks(run.method.name, run.dataset.name),
        Remark(
            "measured",
            f"protocol {protocol_label(run)}, IoU at {run.protocol.score_at} size, "
            f"{per_fold} episodes per fold{counting}, list order {', '.join(orders)}",
        ),
    ]
    remarks += [Remark("caution", text) for text in _cautions(one, weights)]
    if differs:
        remarks.append(Remark("differs", f"not comparable with the other measured rows: other {', '.join(differs)}"))
    return Entry(
        origin="measured",
        method=key,
        label=f"{name}: {printed_variant_name(run.method.name, name, variant)}" if variant else name,
        venue=paper.venue if paper else "",
        backbone=run.method.backbone or NO_BACKBONE,
        dataset=dataset_key(run),
        own_data=run.dataset.title or "",
        task=run.method.task,
        protocol=protocol_label(run),
        way=run.way,
        shot=run.shot,
        # The same configuration at another shot is shown in the same row.
        line=f"{_configuration(replace(run, shot=0))} {one.repeat}",
        numbers=_numbers(one),
        source=one.folders,
        variant=variant,
        # Variants are not ranked, as printed ablations are not; nor are shards, and runs with leaked classes.
        competes=not variant
        and not one.run.is_shard
        and not any(fold.record.leaking for fold in one.folds.values())
        and not knows_test_classes(run.method.name, run.dataset.name),
        remarks=tuple(remarks),
        fold_count=fold_count(run),
        all_classes=over_all_classes(_classes_and_summaries(one), fold_count(run)),
    )


def _cautions(one: Measurement, weights: Sequence[str]) -> list[str]:
    from fssbench.results.summary import caveats_of_task

    cautions = caveats_of_task(one.run)
    leaks = {number: fold.record.leaking for number, fold in sorted(one.folds.items()) if fold.record.leaking}
    if leaks:
        folds = "; ".join(f"fold {number}: {', '.join(names)}" for number, names in leaks.items())
        cautions.append(
            f"tests classes that training on {one.run.train_dataset} has seen, so it is not ranked ({folds})"
        )
    if any(fold.record.leaking is None for fold in one.folds.values()):
        cautions.append(f"which of the classes training on {one.run.train_dataset} has seen is not known")
    choice = one.run.dataset.options.get("test_classes")
    if choice not in (None, "unseen", "all"):
        cautions.append(f"test classes: {choice}")
    if "random" in weights:
        cautions.append("random weights")
    if "predictions" in weights:
        cautions.append("predictions computed elsewhere and read from files")
    if unanswered := sum(fold.record.unanswered for fold in one.folds.values()):
        cautions.append(f"incomplete: {unanswered} episodes without a prediction are left out")
    if lost := "; ".join(
        f"fold {number}: {lost_text}"
        for number, fold in sorted(one.folds.items())
        if (lost_text := fold.lost.describe())
    ):
        cautions.append(f"objects that are absent or lost at the network's size, {lost}")
    if one.run.is_shard:
        cautions.append(f"shard {one.run.as_shard}, only a part of each list, so it is not ranked (fssbench merge)")
    if missing := sum(fold.missing for fold in one.folds.values()):
        cautions.append(f"unfinished: {missing} episodes are missing")
    if one.run.limit is not None:
        cautions.append(f"only the first {one.run.limit} episodes of each list")
    if one.run.precision != "float32":
        cautions.append(f"computed in {one.run.precision}")
    cautions += class_cautions(_classes_and_summaries(one), fold_count(one.run))
    if options := ", ".join(f"{name} = {value}" for name, value in sorted(one.run.method.options.items())):
        cautions.append(options)
    if one.repeated:
        cautions.append(f"measured more than once, here in {one.folders}")
    return cautions


def _numbers(one: Measurement) -> dict[str, str]:
    """Return the numbers as text; means only if all folds are measured.

    They have four decimals, so that the table does not round twice.
    """
    numbers = {}
    for fold, measured in one.folds.items():
        numbers[f"fold{fold}"] = f"{measured.summary.miou:.4f}"
        if one.run.method.task == "fscs":
            numbers[f"er_fold{fold}"] = f"{measured.summary.exact_ratio:.4f}"
    whole = fold_count(one.run)
    if len(one.folds) == whole:
        summaries = [measured.summary for measured in one.folds.values()]
        numbers["mean"] = f"{sum(summary.miou for summary in summaries) / whole:.4f}"
        numbers["fb_iou"] = f"{sum(summary.fb_iou for summary in summaries) / whole:.4f}"
        if one.run.method.task == "fscs":
            numbers["er_mean"] = f"{sum(summary.exact_ratio for summary in summaries) / whole:.4f}"
    if one.run.method.learnable_parameters is not None:
        numbers["learnable_params"] = f"{one.run.method.learnable_parameters / 1e6:.6f}"
    return numbers
