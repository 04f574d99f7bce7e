"""The tables of a report, as texts: metrics, differences, printed numbers, what is hard, cost, provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.errors import FSSBenchError
from fssbench.escape import plain
from fssbench.figures.points import Bin, bin_means
from fssbench.files import file_size
from fssbench.reports.cases import Case
from fssbench.reports.errors import Category

if TYPE_CHECKING:
    from fssbench.metrics.summary import Summary
    from fssbench.reports.runs import Compared, Method
    from fssbench.results import Run

SIZE_EDGES = (0.0, 1.0, 5.0, 15.0, 30.0, 100.0)
"""Bins of the share of the query that an object has, in per cent."""
_PROFILE = "profile.json"
_MAX_PROFILE = 1 << 20


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        heads: The headings.
        rows: The cells.
        text: How many columns from the left are text.
        notes: Sentences below it.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int = 1
    notes: tuple[str, ...] = ()


def measures_of(run: Run) -> dict[str, str]:
    """Return the metrics of a run with their names, the first one first."""
    found = {"miou": "mIoU"}
    if run.generalised:
        found = {"miou": "novel mIoU", "base_miou": "base mIoU", "total_miou": "all mIoU"}
    found |= {"exact_ratio": "ER"} if run.method.task == "fscs" else {}
    return found | {"fb_iou": "FB-IoU"}


def metrics(runs: Compared, summaries: Sequence[Summary]) -> Table:
    """Return the metrics of each method with their intervals, and the first metric of each fold."""
    measures = measures_of(runs.run)
    first, title = next(iter(measures.items()))
    folds = [fold.fold for fold in summaries[0].folds]
    heads = ["method"]
    for name in measures.values():
        heads += [name, "95 %"]
    heads += [f"{title}, fold {fold}" for fold in folds] if len(folds) > 1 else []
    rows = []
    for method, summary in zip(runs.methods, summaries, strict=True):
        cells = [method.name]
        for measure in measures:
            value, interval = getattr(summary, measure), summary.intervals.get(measure)
            cells.append(_number(value))
            cells.append("" if interval is None else interval.text())
        cells += [_number(getattr(fold, first)) for fold in summary.folds] if len(folds) > 1 else []
        rows.append(tuple(cells))
    return Table(tuple(heads), tuple(rows))


def differences(runs: Compared) -> Table | None:
    """Return the differences from the first method; None if it is alone."""
    if len(runs.methods) < 2:
        return None
    from fssbench.comparison import compare
    from fssbench.comparison.render import not_given

    found = compare([method.results for method in runs.methods])
    names = measures_of(runs.run)
    rows = []
    for duel, name in zip(found.duels, runs.names[1:], strict=True):
        total = duel.episodes[-1]
        for one in duel.differences:
            if one.fold is None or len(duel.episodes) == 1:
                won = f"{total.won} / {total.lost} / {total.tied}" if one.measure == "miou" else ""
                rows.append(
                    (
                        name,
                        names.get(one.measure, one.measure),
                        f"{one.difference:+.2f}",
                        one.interval.text("+.2f"),
                        "-" if one.no_p else f"{one.p_holm:.4f}",
                        won,
                    )
                )
    notes = (
        f"Differences from {runs.names[0]} in percentage points, on the same episodes, with {found.level:.0%} "
        "intervals; p of a permutation test, with Holm's correction for the number of methods.",
        *(f"{text}." for text in not_given(found)),
    )
    heads = ("method", "metric", "difference", "95 %", "p", "episodes won / lost / tied")
    return Table(heads, tuple(rows), 2, notes)


def printed(runs: Compared) -> Table | None:
    """Return what `fssbench check` says about the runs; None if they have no folders."""
    from fssbench.checking import report_of
    from fssbench.checking.render import HEADINGS, headline, notes, table_rows

    folders = [method.folder for method in runs.methods if method.folder is not None]
    if not folders:
        return None
    try:
        report = report_of(folders, "published")
    except FSSBenchError as error:
        return Table(("published numbers",), ((f"could not be compared: {error.message}",),))
    below = (f"{headline(report)}.", *notes(report), *(f"not compared: {text}" for text in report.uncompared))
    return Table(HEADINGS, tuple(map(tuple, table_rows(report))), 2, tuple(map(plain, below)))


def hard(cases: Sequence[Case], runs: Compared) -> Table | None:
    """Return the mean IoU of objects by size, number of parts, and whether they are cut off; None without masks."""
    there = [case for case in cases if case.found is not None and case.present and case.found.parts]
    if not there:
        return None
    groups: list[tuple[str, Callable[[Case], bool]]] = [("all objects", lambda _: True)]
    for low, high in pairwise(SIZE_EDGES):
        groups.append((f"{low:g} to {high:g} % of the query", _between(low, high)))
    groups += [
        ("one connected part", lambda case: _parts(case) == 1),
        ("two parts", lambda case: _parts(case) == 2),
        ("three or more parts", lambda case: _parts(case) > 2),
        ("within the query", lambda case: not _cut(case)),
        ("cut off by its border", _cut),
    ]
    rows = []
    for title, belongs in groups:
        chosen = [case for case in there if belongs(case)]
        cells = [title, str(len(chosen))]
        for number in range(len(runs.methods)):
            found = bin_means([0.5] * len(chosen), [case.ious[number] for case in chosen], [0, 1])
            cells.append(_with_margin(found[0]) if found else "-")
        rows.append(tuple(cells))
    note = (
        "Mean IoU of the classes of episodes, in per cent, ±1.96 standard errors; this is not the mIoU, which sums "
        "pixels. A single object, or equal ones, have no standard error. Connected parts are several instances, or one "
        "behind something; parts of less than 1 % of the object don't count."
    )
    return Table(("objects", "number", *runs.names), tuple(rows), 1, (note,))


def _with_margin(found: Bin) -> str:
    return f"{found.mean:.1f}" if np.isnan(found.margin) else f"{found.mean:.1f} ±{found.margin:.1f}"


def _between(low: float, high: float) -> Callable[[Case], bool]:
    return lambda case: case.found is not None and (low < case.found.size <= high)


def _parts(case: Case) -> int:
    return 0 if case.found is None else case.found.parts


def _cut(case: Case) -> bool:
    return case.found is not None and case.found.cut


def kinds(cases: Sequence[Case], count: int, *, maps: bool) -> dict[Category, list[float]]:
    """Return the share of each kind of error, in per cent of the cases that have one, for each of `count` methods.

    Args:
        cases: The cases.
        count: Number of methods.
        maps: Whether the label maps of all predictions are known; otherwise the kinds are those that counts tell, for
            all methods alike.
    """
    told = [case.categories if maps else case.by_counts for case in cases]
    known = [[one for of_case in told if of_case and (one := of_case[number]) is not None] for number in range(count)]
    shares = {kind: [100.0 * ones.count(kind) / len(ones) if ones else 0.0 for ones in known] for kind in Category}
    return {kind: values for kind, values in shares.items() if any(values)}


def cost(runs: Compared) -> Table:
    """Return time and memory of each run, as its rows and its profile have them."""
    rows = []
    for method in runs.methods:
        seconds = method.frame["seconds"].to_numpy(dtype=np.float64)
        run = method.run
        environment = run.starts[-1].environment if run.starts else None
        memory = _peak_memory(method.folder)
        parameters = run.method.learnable_parameters
        rows.append(
            (
                method.name,
                f"{seconds.sum():.0f} s",
                f"{1000 * float(np.median(seconds)):.0f} ms",
                "-" if memory is None else f"{memory / 2**30:.2f} GiB",
                "-" if parameters is None else f"{parameters / 1e6:.2f} M",
                "-" if environment is None else f"{environment.device_name} ({environment.device})",
                "-" if environment is None else str(environment.threads),
            )
        )
    note = "Time includes reading and counting. Memory is known of runs with --profile."
    heads = ("method", "all episodes", "median episode", "peak memory", "learnable parameters", "device", "threads")
    return Table(heads, tuple(rows), 1, (note,))


def _peak_memory(folder: Path | None) -> int | None:
    if folder is None:
        return None
    try:
        path = folder / _PROFILE
        if file_size(path) > _MAX_PROFILE:
            return None
        found = json.loads(path.read_bytes()).get("peak_bytes")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, int) and 0 <= found < 1 << 63 else None


def provenance(method: Method) -> Table:
    """Return what repeats a run, and the hashes that say whether it is the same."""
    run = method.run
    start = run.starts[-1] if run.starts else None
    size = f"{run.protocol.input[0]} x {run.protocol.input[1]}"
    rows: list[tuple[str, str]] = [
        ("folder", str(method.folder or "in memory")),
        ("command", " ".join(start.command) if start and start.command else "from Python"),
        ("method", " ".join(word for word in (run.method.name, run.method.variant, run.method.backbone) if word)),
        ("options", ", ".join(f"{name} {value}" for name, value in run.method.options.items()) or "none"),
        (
            "data set",
            f"{run.dataset.title or run.dataset.name}, split {run.split}, fingerprint {run.dataset.fingerprint}",
        ),
        ("trained on", run.train_dataset or run.dataset.name),
        ("episodes", f"{run.way}-way {run.shot}-shot, {len(method.frame)} episodes"),
        ("protocol", f"{run.protocol.name}, input {size}, counted at {run.protocol.score_at}"),
        ("precision", run.precision + (", plain form" if run.plain else "")),
    ]
    for fold in run.folds:
        weights = fold.weights
        parts = [weights.kind, weights.checkpoint, weights.sha256 and f"sha256 {weights.sha256}"]
        rows.append((f"fold {fold.fold}, weights", ", ".join(part for part in parts if part)))
        rows.append(
            (f"fold {fold.fold}, list", f"{fold.episodes} episodes, seed {fold.seed}, hash {fold.episodes_hash}")
        )
    if run.method.code is not None:
        rows.append(("code", f"{run.method.code.path}, sha256 {run.method.code.sha256}"))
    if start is not None:
        environment = start.environment
        packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
        rows += [
            ("started", start.time + (f", continued {len(run.starts) - 1} times" if len(run.starts) > 1 else "")),
            ("software", f"fssbench {start.fssbench}, Python {environment.python}, {packages}"),
            ("machine", f"{environment.platform}, {environment.device_name}, {environment.threads} threads"),
        ]
    return Table(("run", method.name), tuple((name, plain(value)) for name, value in rows), 2)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
