"""A report of runs: gathered, then written as one page, or as a page with its pictures in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.errors import FSSBenchError
from fssbench.progress import tracked
from fssbench.reports import charts, numbers
from fssbench.reports.again import again
from fssbench.reports.cases import Case, plain_cases, with_masks
from fssbench.reports.gallery import Card, card, choose
from fssbench.reports.predictions import Predicted, all_verified, saved, unverified
from fssbench.reports.scene import Scene, open_scene, recorded_names
from fssbench.reports.similarity import features, with_similarity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fssbench.metrics.summary import Summary
    from fssbench.reports.runs import Compared, Key

Predict = Literal["chosen", "all", "none"]
WIDE = 4.6
"""Inches of a chart on the page."""


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
class Chart:
    """A chart with its title, what it shows in words, and the numbers behind it."""

    name: str
    title: str
    figure: Figure
    alt: str
    table: numbers.Table | None = None
    note: str = ""


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
        notes: Caveats that belong to every number.
        missing: What is left out, and why.
    """

    runs: Compared
    title: str
    tables: dict[str, numbers.Table]
    charts: tuple[Chart, ...]
    cards: tuple[Card, ...]
    provenance: tuple[numbers.Table, ...]
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


def make(runs: Compared, options: Options | None = None) -> Report:
    """Gather a report. What can't be had, such as photos that are no longer here, is left out, and the report says so.

    Args:
        runs: From `fssbench.reports.runs.read`.
        options: What it has.
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
    run = runs.run
    return Report(
        runs=runs,
        title=f"{run.dataset.title or run.dataset.name}, {run.way}-way {run.shot}-shot, {len(runs.keys)} episodes",
        tables={name: table for name, table in tables.items() if table is not None},
        charts=tuple(_charts(found, runs, summaries)),
        cards=tuple(cards),
        provenance=tuple(numbers.provenance(method) for method in runs.methods),
        notes=(*runs.notes, *_caveats(runs, summaries)),
        missing=tuple(found.missing),
    )


def _caveats(runs: Compared, summaries: Sequence[Summary]) -> list[str]:
    from fssbench.episode import read_episodes
    from fssbench.results.caveats import caveats

    found: list[str] = []
    for method, summary in zip(runs.methods, summaries, strict=True):
        if method.folder is None:
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


def _charts(found: _Gathered, runs: Compared, summaries: Sequence[Summary]) -> list[Chart]:
    names = recorded_names(runs.run) if found.scene is None else found.scene.class_names
    several = ", ".join(runs.names)
    best = max(zip(summaries, runs.names, strict=True), key=lambda pair: pair[0].miou)
    charted = [
        Chart(
            "fold",
            "Folds",
            charts.by_fold(runs, summaries, WIDE),
            f"Bars of the folds for {several}. The best mean has {best[1]} with {best[0].miou:.1f} %.",
            note="With 95 % intervals over the choice of the queries.",
        ),
        Chart(
            "class",
            "Classes",
            charts.by_class(runs, summaries, names, WIDE),
            f"The IoU of each class by {several}, from the easiest to the hardest; the table below has the numbers.",
            _class_table(runs, summaries, names),
            "From the easiest to the hardest class; pixels are summed over its episodes, with 95 % intervals.",
        ),
        Chart(
            "histogram",
            "Episodes by IoU",
            charts.distribution(runs, found.cases, WIDE),
            f"How many episodes have which IoU, for {several}.",
        ),
    ]
    charted += [
        Chart(
            f"scatter{number}",
            f"{runs.names[0]} and {runs.names[number]}",
            charts.against(runs, found.cases, (0, number), 3.6),
            f"The IoU of each episode by {runs.names[0]} and by {runs.names[number]}, against each other.",
            note="Each point is an episode. On the dashed line both are equal.",
        )
        for number in range(1, min(len(runs.methods), 4))
    ]
    if found.scene is not None:
        shared = numbers.kinds(found.cases, len(runs.methods), maps=found.maps)
        table = numbers.Table(
            ("kind of error", *runs.names),
            tuple((str(kind), *(f"{value:.1f} %" for value in values)) for kind, values in shared.items()),
        )
        charted.append(
            Chart(
                "errors",
                "Kinds of errors",
                charts.error_kinds(runs, found.cases, maps=found.maps, width=WIDE),
                f"The share of each kind of error by {several}; the table below has the numbers.",
                table,
            )
        )
        charted.append(
            Chart(
                "size",
                "IoU and size of the object",
                charts.by_size(runs, found.cases, WIDE),
                f"The IoU of objects against their share of the query, for {several}; the next section has the means.",
                note="Points are objects, lines are means of bins with 1.96 standard errors.",
            )
        )
        alike = charts.by_similarity(runs, found.cases, WIDE)
        if alike is not None:
            charted.append(
                Chart(
                    "similarity",
                    "IoU and similarity of query and supports",
                    alike,
                    f"The IoU of objects against the similarity of query and supports, for {several}.",
                    note=f"Cosine of the mean features of the class in query and supports, by {features().name}.",
                )
            )
    return charted


def _class_table(runs: Compared, summaries: Sequence[Summary], names: dict[int, str]) -> numbers.Table:
    first = summaries[0].per_class
    rows = []
    for place, (fold, class_id, episodes) in enumerate(
        zip(first["fold"], first["class_id"], first["episodes"], strict=True)
    ):
        cells = [names.get(int(class_id), f"class {class_id}"), str(fold), str(episodes)]
        for summary in summaries:
            low, value, high = (float(summary.per_class[column].iloc[place]) for column in ("low", "iou", "high"))
            cells.append(f"{value:.1f} ({low:.1f} to {high:.1f})")
        rows.append(tuple(cells))
    return numbers.Table(("class", "fold", "episodes", *runs.names), tuple(rows))
