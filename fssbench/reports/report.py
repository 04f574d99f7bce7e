"""A report of runs: gathered, then written as one page, or as a page with its pictures in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.errors import FSSBenchError
from fssbench.progress import tracked
from fssbench.reports import numbers
from fssbench.reports.again import again
from fssbench.reports.cases import Case, plain_cases, with_masks
from fssbench.reports.gallery import Card, card, choose
from fssbench.reports.lists import title_of
from fssbench.reports.page_charts import Chart, charts_of
from fssbench.reports.predictions import Predicted, all_verified, refused_path, saved, unverified
from fssbench.reports.scene import Scene, open_scene, recorded_names
from fssbench.reports.similarity import features, with_similarity

if TYPE_CHECKING:
    from fssbench.metrics.summary import Summary
    from fssbench.reports.runs import Compared, Key

Predict = Literal["chosen", "all", "none"]


@dataclass(frozen=True)
class Options:
    """What a report has.

    Attributes:
        episodes: Episodes in the gallery at most.
        predict: Which predictions that were not saved are computed again: those of the episodes in the gallery, of all
            episodes, or none.
        predictions: The folder of saved predictions of each run, where they are not found by themselves; by place.
        root: Folder of the data.
        device: Where to compute.
        similarity: Whether query and supports are compared.
        also: Further episodes for the gallery.
    """

    episodes: int = 80
    predict: Predict = "chosen"
    predictions: Sequence[Path | None] = ()
    root: Path | None = None
    device: str = "auto"
    similarity: bool = True
    also: tuple[Key, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """All that a page shows.

    Attributes:
        runs: The runs.
        title: The data set, ways, shots and episodes.
        tables: The tables, by name.
        charts: The charts, in order.
        cards: The episodes of the gallery.
        provenance: What repeats each run.
        summaries: The metrics of each run.
        warnings: What a reader must know before the numbers, such as a limit.
        notes: Caveats that belong to every number.
        missing: What is left out, and why.
    """

    runs: Compared
    title: str
    tables: dict[str, numbers.Table]
    charts: tuple[Chart, ...]
    cards: tuple[Card, ...]
    provenance: tuple[numbers.Table, ...]
    summaries: tuple[Summary, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass
class _Gathered:
    """What is known so far."""

    cases: list[Case]
    predicted: list[dict[Key, Predicted]]
    scene: Scene | None = None
    missing: list[str] = field(default_factory=list)
    maps: bool = False


def make(runs: Compared, options: Options | None = None, title: str = "") -> Report:
    """Gather a report. What can't be had, such as photos that are no longer here, is left out, and the report says so.

    Args:
        runs: From `fssbench.reports.runs.read`.
        options: What it has.
        title: Its title; default what the runs are of.
    """
    options = options or Options()
    summaries = [method.results.summary() for method in runs.methods]
    found = _Gathered(plain_cases(runs), [{} for _ in runs.methods])
    _look(found, runs, options)
    cards = _cards(found, runs, options)
    tables: dict[str, numbers.Table | None] = {
        "metrics": numbers.metrics(runs, summaries),
        "differences": numbers.differences(runs),
        "printed": numbers.printed(runs),
        "hard": numbers.hard(found.cases, runs),
        "cost": numbers.cost(runs),
    }
    names = recorded_names(runs.run) if found.scene is None else found.scene.class_names
    return Report(
        runs=runs,
        title=title or title_of(runs),
        tables={name: table for name, table in tables.items() if table is not None},
        charts=tuple(charts_of(runs, found.cases, summaries, names, maps=found.maps)),
        cards=tuple(cards),
        provenance=tuple(numbers.provenance(method) for method in runs.methods),
        summaries=tuple(summaries),
        warnings=runs.notes,
        notes=tuple(_caveats(runs, summaries)),
        missing=tuple(found.missing),
    )


def _caveats(runs: Compared, summaries: Sequence[Summary]) -> list[str]:
    from fssbench.episode import read_episodes
    from fssbench.metrics.unknown import without_interval
    from fssbench.results.caveats import caveats

    found: list[str] = []
    for method, summary in zip(runs.methods, summaries, strict=True):
        if method.folder is None:
            found += [f"{method.name}: {text}" for text in without_interval(summary, summary.intervals)]
            continue
        try:
            lists = [read_episodes(method.folder / f"episodes-fold{fold.fold}.json") for fold in method.run.folds]
            found += [f"{method.name}: {text}" for text in caveats(method.results, summary, lists)]
        except FSSBenchError as error:
            found.append(f"{method.name}: {error.message}")
    return found


def _look(found: _Gathered, runs: Compared, options: Options) -> None:
    """Add what masks, photos and saved predictions show, as far as they are here."""
    try:
        scene = open_scene(runs.run, options.root)
        found.cases = with_masks(found.cases, runs, scene)
    except FSSBenchError as error:
        found.missing.append(
            f"The masks and photos are not here ({error.message}): sizes, kinds of errors and the gallery are left out."
        )
        return
    found.scene = scene
    for number, method in enumerate(runs.methods):
        given = options.predictions[number] if number < len(options.predictions) else None
        found.predicted[number] = saved(method, scene, runs.keys, given)
        if refused := refused_path(method):
            found.missing.append(
                f"The record of {method.name} has a path to predictions that is not followed, as it is neither in the "
                f"run folder nor next to it: {refused[:100]}."
            )
        if other := unverified(found.predicted[number]):
            found.missing.append(
                f"{len(other)} of {len(found.predicted[number])} saved predictions of {method.name} have other counts "
                "than its rows: they are not those of the run."
            )
        if options.predict == "all":
            _predict_again(found, runs, number, list(runs.keys), options)
    found.maps = all_verified(found.predicted, runs.keys)
    if any(found.predicted):
        found.cases = with_masks(found.cases, runs, scene, found.predicted)
    if not found.maps:
        lacking = [
            name
            for name, known in zip(runs.names, found.predicted, strict=True)
            if not all_verified([known], runs.keys)
        ]
        found.missing.append(
            f"The predictions of {', '.join(lacking)} were not all saved (fssbench "
            "eval --save-predictions): among the shares of errors, 'outline only' and 'wrong object' count as 'part "
            "missing' or 'too much'."
        )
    if options.similarity:
        try:
            found.cases = with_similarity(found.cases, runs, scene, features())
        except FSSBenchError as error:
            found.missing.append(f"Query and supports can't be compared: {error.message}.")


def _predict_again(found: _Gathered, runs: Compared, number: int, keys: list[Key], options: Options) -> None:
    wanted = [key for key in keys if key not in found.predicted[number]]
    if not wanted or found.scene is None:
        return
    made, reason = again(runs.methods[number], found.scene, wanted, options.device)
    found.predicted[number] |= made
    if reason:
        found.missing.append(f"{runs.names[number]} can't be computed again: {reason}.")


def _cards(found: _Gathered, runs: Compared, options: Options) -> list[Card]:
    scene = found.scene
    if scene is None or not options.episodes:
        return []
    keys = list(dict.fromkeys((*options.also, *choose(found.cases, options.episodes, runs.methods[0].rows))))
    here = [key for key in keys if "is not here" not in scene.photo_fault(runs.methods[0].rows[key])]
    if len(here) < len(keys):
        left = "the gallery is left out" if not here else f"{len(keys) - len(here)} episodes are not shown"
        found.missing.append(f"Photos of the episodes are no longer here: {left}.")
    if options.predict != "none":
        for number in range(len(runs.methods)):
            _predict_again(found, runs, number, here, options)
    chosen = set(here)
    known = [{key: one for key, one in predicted.items() if key in chosen} for predicted in found.predicted]
    cases = with_masks([case for case in found.cases if case.key in chosen], runs, scene, known)
    for name, predicted in zip(runs.names, known, strict=True):
        if other := unverified(predicted):
            found.missing.append(
                f"{len(other)} of {len(predicted)} predictions of {name} in the gallery have other counts than its "
                "rows: they are marked."
            )
    by_key: dict[Key, list[Case]] = {}
    for case in cases:
        by_key.setdefault(case.key, []).append(case)
    cards = []
    for order, key in enumerate(tracked(here, "drawing episodes", "episodes")):
        try:
            cards.append(card(key, runs, scene, by_key[key], known, (order * 7919) % 10007))
        except FSSBenchError as error:
            found.missing.append(f"An episode is not shown: {error.message}.")
    return cards
