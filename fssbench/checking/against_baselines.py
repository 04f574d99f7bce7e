"""Runs against committed baselines. With the same versions and the same weights, the numbers must be equal."""

from __future__ import annotations

from collections.abc import Sequence

from fssbench.checking.baselines import Baseline
from fssbench.checking.measured import Measured, MeasuredFold
from fssbench.checking.tolerances import tolerance_of
from fssbench.checking.verdict import Check, Report, Tolerance, judge, not_comparable
from fssbench.results import Run

DEVICE = "cpu"
"""The device that all baselines were measured on."""
PRECISION = "float32"
"""The precision that all baselines were measured in."""

_HASH = 12


def against_baselines(found: Sequence[Measured], known: Sequence[Baseline], stated: Tolerance | None = None) -> Report:
    """Compare runs with baselines, fold by fold.

    A baseline applies to a fold if method, variant, backbone, task, training data, data set, ways, shots, protocol,
    data and episode list are the same, and as many of its episodes were evaluated. Different weights are a miss,
    whatever their numbers, unless a tolerance is stated.

    Args:
        found: The runs.
        known: Baselines of their data sets.
        stated: A tolerance that replaces the one of the tier.
    """
    checks: list[Check] = []
    uncompared: list[str] = []
    for one in found:
        for fold in one.folds:
            found_checks, reason = _fold(one, fold, known, stated)
            checks += found_checks
            if reason:
                uncompared.append(f"{one.subject.name}, fold {fold.record.fold} ({one.subject.folders}): {reason}")
    return Report("baselines", tuple(checks), tuple(uncompared))


def _fold(
    one: Measured, fold: MeasuredFold, known: Sequence[Baseline], stated: Tolerance | None
) -> tuple[list[Check], str]:
    number = fold.record.fold
    mine = None if fold.numbers is None else fold.numbers.miou
    alike = [baseline for baseline in known if _setting(one.run, number) == _baseline_setting(baseline)]
    same = [baseline for baseline in alike if baseline.episodes_hash == fold.record.episodes_hash]
    evaluated = fold.part or fold.record.episodes
    match = next((baseline for baseline in same if baseline.episodes == evaluated), None)
    reason = "" if fold.part else fold.partial
    if not reason and not alike:
        reason = "there is no baseline of this method, variant, data, protocol, ways and shots"
    if not reason and match is None and same:
        own = fold.partial or f"all {evaluated} episodes were evaluated"
        reason = f"{own}, and the baseline is of {same[0].episodes} ({same[0].place})"
    if not reason and match is None:
        reason = f"other episodes than the baseline's ({fold.record.episodes_hash[:_HASH]}, {alike[0].place})"
    if not reason and match is not None and match.data_fingerprint != fold.record.data_fingerprint:
        reason = f"other data than the baseline's ({fold.record.data_fingerprint[:_HASH]}, {match.place})"
    if reason or match is None or fold.numbers is None:
        return [not_comparable(one.subject, "miou", number, None, mine, "", reason)], reason
    other = _other_versions(one.run, fold, match)
    part = f"a part: the first {fold.part} of {fold.record.episodes} episodes, here and there" if fold.part else ""
    checks = []
    for measure, text in match.numbers.items():
        tolerance = stated or tolerance_of("versions" if other else "exact", measure, mean=False)
        # Round to the number of digits in the baseline.
        value = round(float(getattr(fold.numbers, measure)), len(text.partition(".")[2]))
        if tolerance is not None:
            numbers = (float(text), value)
            interval = fold.interval(measure)
            remark = "; ".join(text for text in (part, other) if text)
            checks.append(judge(one.subject, measure, number, numbers, tolerance, interval, match.place, remark))
    if stated is None and (weights := _weights(one, fold, match)):
        checks.append(weights)
    return checks, ""


def _setting(run: Run, fold: int) -> tuple[object, ...]:
    method = run.method
    return (
        *(method.name, method.variant or "", method.backbone or "", method.task, run.train_dataset or ""),
        *(run.dataset.name, run.way, run.shot, fold, run.protocol.name),
    )


def _baseline_setting(baseline: Baseline) -> tuple[object, ...]:
    return (
        *(baseline.method, baseline.variant, baseline.backbone, baseline.task, baseline.train_dataset),
        *(baseline.dataset, baseline.ways, baseline.shots, baseline.fold, baseline.protocol),
    )


def _other_versions(run: Run, fold: MeasuredFold, match: Baseline) -> str:
    """Return how versions, device and precision differ from the baseline's; empty if they do not."""
    environments = [start.environment for start in fold.starts]
    torch = sorted({environment.packages.get("torch", "unknown") for environment in environments} - {match.torch})
    devices = sorted({environment.device for environment in environments} - {DEVICE})
    differs = [f"torch {', '.join(torch)} here, {match.torch} there"] if torch else []
    differs += [f"on {', '.join(devices)} here, on {DEVICE} there"] if devices else []
    differs += [f"in {run.precision} here, in {PRECISION} there"] if run.precision != PRECISION else []
    return "; ".join(differs)


def _weights(one: Measured, fold: MeasuredFold, match: Baseline) -> Check | None:
    """Return a miss if the weights differ from the baseline's; weights in memory have no file to compare."""
    weights = fold.record.weights
    if weights.kind == "memory":
        return None
    pairs = [
        ("checkpoint", weights.sha256 or "", match.checkpoint_sha256),
        ("backbone", weights.backbone_sha256 or "", match.backbone_sha256),
    ]
    differs = [
        f"{what} {mine[:_HASH] or 'none'} here, {theirs[:_HASH] or 'none'} there"
        for what, mine, theirs in pairs
        if mine != theirs
    ]
    if not differs:
        return None
    tolerance = tolerance_of("exact", "miou", mean=False)
    remark = f"other weights than the baseline's: {'; '.join(differs)}"
    return Check(one.subject, "weights", fold.record.fold, None, None, tolerance, None, "miss", match.place, remark)
