"""Standard deviations over runs: of the lists of an evaluation, or of run folders that differ in seed or weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from fssbench.tables.entry import Entry, Remark
from fssbench.tables.measurements import Measurement, configuration

if TYPE_CHECKING:
    from fssbench.metrics.summary import Scores

_MEASURES = {"mean": "miou", "fb_iou": "fb_iou", "er_mean": "exact_ratio"}


def deviations(one: Measurement) -> dict[str, str]:
    """Return the sample standard deviation (divided by R - 1) over the R lists of a measurement, by column.

    That of a mean is over the means of each list. Empty if there is a single list.
    """
    folds = {number: fold.summary.runs for number, fold in sorted(one.folds.items())}
    count = min(len(runs) for runs in folds.values())
    if count < 2:
        return {}
    found = {}
    for number, runs in folds.items():
        found[f"fold{number}"] = _spread([run.miou for run in runs])
        found[f"er_fold{number}"] = _spread([run.exact_ratio for run in runs])
    for column, measure in _MEASURES.items():
        found[column] = _spread([_mean([runs[place] for runs in folds.values()], measure) for place in range(count)])
    return found


def over_runs(pairs: Iterable[tuple[Entry, Measurement]]) -> list[tuple[Entry, Measurement]]:
    """Return measurements with those that differ in nothing but seed and weights as one: their mean, and deviation.

    Measurements of different folds stay apart.
    """
    groups: dict[tuple[str, tuple[int, ...]], list[tuple[Entry, Measurement]]] = {}
    for entry, one in pairs:
        groups.setdefault((configuration(one.run, seeds=False), tuple(sorted(one.folds))), []).append((entry, one))
    return [group[0] if len(group) == 1 else (_merged([e for e, _ in group]), group[0][1]) for group in groups.values()]


def _merged(entries: Sequence[Entry]) -> Entry:
    first = entries[0]
    columns = [c for c in first.numbers if c != "learnable_params" and all(c in e.numbers for e in entries)]
    values = {column: [float(entry.numbers[column]) for entry in entries] for column in columns}
    folders = tuple(dict.fromkeys(folder for entry in entries for folder in entry.folders))
    remarks = dict.fromkeys(r for entry in entries for r in entry.remarks if r.kind != "repeated")
    joined = Remark("caution", f"mean of {len(entries)} runs that differ in seed or weights: {', '.join(folders)}")
    return replace(
        first,
        numbers={**first.numbers, **{column: f"{fmean(found):.4f}" for column, found in values.items()}},
        deviation={column: _spread(found) for column, found in values.items()},
        half_width={},
        intervals={},
        no_interval={},
        all_classes={},
        comparable=all(entry.comparable for entry in entries),
        remarks=(*remarks, joined),
        folders=folders,
        source=", ".join(folders),
    )


def _mean(scores: Sequence[Scores], measure: str) -> float:
    return fmean(getattr(each, measure) for each in scores)


def _spread(values: Sequence[float]) -> str:
    return f"{stdev(values):.4f}"
