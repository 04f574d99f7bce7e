"""Runs against printed numbers: each fold, then the means, with the tolerance of the tier that applies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fssbench.checking.measured import Measured, MeasuredFold
from fssbench.checking.tolerances import TierName, tolerance_of, tolerances
from fssbench.checking.verdict import Check, Report, Tolerance, judge, not_comparable
from fssbench.metrics.summary import FoldSummary, Interval, Summary
from fssbench.publications.load import publications
from fssbench.publications.rows import FOLDS, PrintedRow, Publications
from fssbench.results.weights_record import Weights
from fssbench.tables.measured import measured_variant
from fssbench.tables.measurements import dataset_key

MEANS = (("miou", "mean"), ("exact_ratio", "er_mean"), ("fb_iou", "fb_iou"))


@dataclass(frozen=True)
class _Case:
    """The tier of the tolerance for a fold or a mean; None if the numbers are not comparable."""

    tier: TierName | None
    reason: str
    thousands: tuple[float, float] | None = None


def against_published(
    found: Sequence[Measured], stated: Tolerance | None = None, known: Publications | None = None
) -> Report:
    """Compare runs with the numbers that papers and official repositories printed.

    Only results are used, not ablations, re-runs, uncertain or superseded rows. The measured mean is compared with the
    mean of the printed folds. It is compared with a printed mean only if no source prints folds, and never with a
    printed mean that disagrees with its own folds. If sources differ, it is enough to match one of them, and the check
    names it.

    Args:
        found: The runs.
        stated: A tolerance that replaces the one of the tier.
        known: The printed numbers; default: all that are shipped with fssbench.
    """
    known = known or publications()
    checks: list[Check] = []
    uncompared: list[str] = []
    wrong = _wrong_means(known.rows)
    by_key: dict[tuple[object, ...] | None, list[PrintedRow]] = {}
    for row in known.rows:
        if row.role == "result" and not row.variant and row.confidence != "uncertain":
            by_key.setdefault(_key(row), []).append(row)
    for one in found:
        rows = [row for row in by_key.get(_key_of(one), ()) if not known.sources[row.source].superseded]
        found_checks = _checks(one, rows, wrong, stated, known)
        checks += found_checks
        if not any(check.verdict != "none" for check in found_checks):
            reasons = dict.fromkeys(check.remark for check in found_checks)
            uncompared.append(f"{one.subject.name} ({one.subject.folders}): {'; '.join(reasons)}")
    return Report("printed numbers", tuple(checks), tuple(uncompared))


def _key_of(one: Measured) -> tuple[object, ...] | None:
    """Return the `_key` of the printed rows that a run is compared with; None for a variant, which has none."""
    run = one.run
    if measured_variant(run):
        return None
    return method_key(one), dataset_key(run), run.method.task, run.way, run.shot, run.method.backbone


def method_key(one: Measured) -> str:
    """Return the key of the method in the printed tables: the weakly supervised ASNet has its own key."""
    method = one.run.method
    return "asnet-w" if method.name == "asnet" and method.options.get("weak") else method.name


def _key(row: PrintedRow) -> tuple[object, ...]:
    return row.method, row.dataset, row.task, row.way, row.shot, row.backbone


def _wrong_means(rows: Sequence[PrintedRow]) -> set[tuple[object, ...]]:
    """Return the printed means that disagree with their folds, with their setting.

    Another source may quote such a mean without the folds.
    """
    return {(*_key(row), float(row.numbers["mean"])) for row in rows if row.mean_disagrees()}


def _checks(
    one: Measured,
    rows: Sequence[PrintedRow],
    wrong: set[tuple[object, ...]],
    stated: Tolerance | None,
    known: Publications,
) -> list[Check]:
    checks: list[Check] = []
    for fold in one.folds:
        fold_number = fold.record.fold
        for measure, prefix in (("miou", "fold"), ("exact_ratio", "er_fold")):
            printed = [(row, float(text)) for row in rows if (text := row.numbers.get(f"{prefix}{fold_number}"))]
            if printed:
                number = None if fold.numbers is None else _Number(_value(fold.numbers, measure), fold.interval)
                checks.append(_judged(one, number, measure, fold_number, printed, [fold], stated, known))
    if one.whole:
        for measure, column in MEANS:
            if measure == "exact_ratio" and one.run.method.task != "fscs":
                continue
            if (printed := _means(rows, column, wrong)) and (numbers := one.numbers) is not None:
                number = _Number(_value(numbers, measure), partial(_interval, one))
                checks.append(_judged(one, number, measure, None, printed, one.folds, stated, known))
    if not checks:
        reason = next((fold.partial for fold in one.folds if fold.partial), "")
        if rows and not reason:
            reason = "only means over the folds are printed, and not all folds are here"
        reason = reason or "no source prints this method, variant, backbone, data set, task, ways and shots"
        checks.append(not_comparable(one.subject, "miou", None, None, None, "", reason))
    return checks


def _means(rows: Sequence[PrintedRow], column: str, wrong: set[tuple[object, ...]]) -> list[tuple[PrintedRow, float]]:
    """Return the means to compare with: those of printed folds if a source prints folds, else the printed means."""
    folds = {"mean": FOLDS, "er_mean": tuple(f"er_{fold}" for fold in FOLDS)}.get(column, ())
    of_folds = [
        (row, sum(float(row.numbers[fold]) for fold in folds) / len(folds))
        for row in rows
        if folds and all(fold in row.numbers for fold in folds)
    ]
    if of_folds:
        return of_folds
    printed = [(row, float(row.numbers[column])) for row in rows if column in row.numbers]
    return [pair for pair in printed if column != "mean" or (*_key(pair[0]), pair[1]) not in wrong]


@dataclass(frozen=True)
class _Number:
    """A number, and a function that computes its interval, which is called only for numbers that are compared."""

    value: float
    interval: Callable[[str], Interval | None]


def _value(summary: FoldSummary | Summary, measure: str) -> float:
    return float(getattr(summary, measure))


def _interval(one: Measured, measure: str) -> Interval | None:
    return None if one.summary is None else one.summary.intervals.get(measure)


def _judged(
    one: Measured,
    number: _Number | None,
    measure: str,
    fold: int | None,
    printed: Sequence[tuple[PrintedRow, float]],
    folds: Sequence[MeasuredFold],
    stated: Tolerance | None,
    known: Publications,
) -> Check:
    """Return the check against a source that passes, else against the first comparable source, else the first one."""
    found: list[Check] = []
    for row, expected in printed:
        source = f"{known.sources[row.source].cite}, {row.location}"
        source += ", mean of the printed folds" if fold is None and measure != "fb_iou" and _has_folds(row) else ""
        case = _case(one, folds, row)
        incomplete = next((part.partial for part in folds if part.partial), "")
        tolerance = None
        if case.tier is not None:
            tolerance = stated or tolerance_of(
                case.tier, measure, mean=fold is None, shot=one.run.shot, thousands=case.thousands
            )
        if incomplete or number is None or tolerance is None:
            reason = incomplete or case.reason or "no tolerance is known for this number of re-trained weights"
            value = None if number is None else number.value
            found.append(not_comparable(one.subject, measure, fold, expected, value, source, reason))
            continue
        interval = number.interval(measure)
        if case.tier != "same" and (reason := _says_nothing(interval, tolerance)):
            found.append(not_comparable(one.subject, measure, fold, expected, number.value, source, reason))
            continue
        numbers = (expected, number.value)
        found.append(judge(one.subject, measure, fold, numbers, tolerance, interval, source, case.reason))
    order = {"pass": 0, "miss": 1, "none": 2}
    return min(found, key=lambda check: order[check.verdict])


def _says_nothing(interval: Interval | None, tolerance: Tolerance) -> str:
    """Return why a verdict on these episodes would say nothing of the printed number; empty if it says something."""
    if interval is not None and not interval.given:
        return f"no verdict, as its interval can't be given: {interval.reason}"
    if max(tolerance.below, tolerance.above) > tolerances().widest:
        return f"so few episodes that the tolerance would be {tolerance} points, which says nothing"
    return ""


def _has_folds(row: PrintedRow) -> bool:
    return all(fold in row.numbers for fold in FOLDS)


def _case(one: Measured, folds: Sequence[MeasuredFold], row: PrintedRow) -> _Case:
    """Return the tier that applies: the loosest one of all folds."""
    known, run = tolerances(), one.run
    if not row.protocol or row.protocol not in known.printed:
        return _Case(None, "the protocol of the printed number is not known, or is none of the protocols here")
    if run.protocol.own is not None:
        return _Case(None, f"other protocol: {run.protocol.name} here, which is not one of fssbench's")
    if run.references or run.has_absent:
        drawn = ", ".join(sorted({fold.record.drawn_by for fold in folds}))
        return _Case(None, f"other episodes: {drawn} here")
    wanted = known.printed[row.protocol].release.get(row.method, row.protocol)
    if other := {run.protocol.name, *(fold.record.drawn_by for fold in folds)} - {wanted}:
        return _Case(None, f"other protocol: {', '.join(sorted(other))} here, {wanted} there")
    if run.dataset.options:
        return _Case(None, "the data set was opened with options")
    without = known.unreleased(method_key(one), run.method.backbone or "", dataset_key(run))
    if without is not None and without.tier == "none":
        return _Case(None, without.reason)
    if any(fold.record.weights.kind in ("random", "none") for fold in folds):
        return _Case(None, "the weights are random, or there are none")
    if without is not None:
        return _Case("trained", without.reason)
    if not all(_released(fold.record.weights) for fold in folds):
        return _Case("trained", "the weights are not known to be the release's (fssbench checkpoints add)")
    protocol = known.printed[wanted]
    if protocol.fixed and all(_same_episodes(one, fold) for fold in folds):
        return _Case("same", "")
    thousands = protocol.thousands.get(run.dataset.name, protocol.thousands["default"])
    here = min(fold.record.episodes for fold in folds) / 1000.0
    return _Case("drawn", f"{thousands:g} thousand episodes a fold there, {here:g} here", (thousands, here))


def _released(weights: Weights) -> bool:
    from fssbench.checkpoints.registry import is_release

    return weights.kind == "checkpoint" and is_release(weights.checkpoint, weights.sha256)


def _same_episodes(one: Measured, fold: MeasuredFold) -> bool:
    """Return whether a fold has exactly the episodes of the release, by the hash of the list."""
    from fssbench.episode.verify import official_hash

    run = one.run
    known = official_hash(run.protocol.name, run.dataset.name, fold.record.fold, run.way, run.shot)
    return known == fold.record.episodes_hash
