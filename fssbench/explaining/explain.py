"""Why two runs differ: each choice that differs between them changed alone, from either run, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from fssbench.comparison.run_names import run_names
from fssbench.explaining.causes import causes_of, keys_of, same_episodes
from fssbench.explaining.explanation import Effect, Explanation, Finding
from fssbench.explaining.findings import findings_of, with_shot_rule
from fssbench.explaining.sides import Question, Sides, sides_of, worth_of
from fssbench.explaining.worth import Worth
from fssbench.results.replayed import RowDifferences, row_differences
from fssbench.results.rows import Row

if TYPE_CHECKING:
    import pandas as pd


def explain(question: Question) -> Explanation:
    """Return why two runs differ.

    Every choice in which they differ is changed alone, first from the first run, then from the second: the two results
    differ where choices act on each other, and neither is the only right one. What their sum leaves over is kept.

    Raises:
        UsageError: If the runs can't be compared at all.
    """
    sides = sides_of(question.a, question.b, question.limit)
    causes = causes_of(question.a, question.b, *sides.frames)
    if question.again is not None and any(cause.key == "method" for cause in causes):
        causes = with_shot_rule(question, causes)
    total = worth_of(question, sides, sides.frames[0], sides.frames[1])
    paired = same_episodes(*sides.frames)
    notes = list(sides.notes)
    if len(causes) == 1:
        effect = Effect("only difference", total)
        findings = [Finding(causes[0], effect, effect)]
    else:
        findings, more = findings_of(question, sides, causes)
        notes += more
    return Explanation(
        names=_two(run_names([question.a, question.b])),
        folders=(str(question.a.folder or "memory"), str(question.b.folder or "memory")),
        title=_title(sides),
        measure=question.measure,
        total=total,
        paired=paired,
        findings=tuple(findings),
        rows=_row_differences(sides) if paired else None,
        common=None if paired else _common(question, sides),
        notes=tuple(notes),
    )


def _two(names: Sequence[str]) -> tuple[str, str]:
    return names[0], names[1]


def _title(sides: Sides) -> str:
    run = sides.runs[0].run
    counts = " and ".join(dict.fromkeys(f"{len(frame):,}" for frame in sides.frames))
    folds = f"fold{'s' if len(sides.folds) > 1 else ''} {', '.join(map(str, sides.folds))}"
    return f"{run.dataset.title or run.dataset.name}, {folds}, {counts} episodes"


def _common(question: Question, sides: Sides) -> tuple[Worth, int] | None:
    """Return the difference on the episodes that both have, if there are some in every fold."""
    frames = []
    shared = set(keys_of(sides.frames[0])) & set(keys_of(sides.frames[1]))
    for frame in sides.frames:
        keys = keys_of(frame)
        first: dict[object, int] = {}
        for place, one in enumerate(keys):
            first.setdefault(one, place)
        frames.append(frame.iloc[sorted(first[one] for one in shared)])
    if {int(fold) for fold in frames[0]["fold"]} != set(sides.folds):
        return None
    return worth_of(question, sides, frames[0], frames[1]), len(shared)


def _row_differences(sides: Sides) -> RowDifferences:
    """Return how far the rows of the same episodes differ; they are numbered alike, whatever their lists."""
    ordered = [
        sorted(_rows(frame), key=lambda row: (row.fold, row.query, row.classes, row.supports)) for frame in sides.frames
    ]
    numbered = [[replace(row, episode=place) for place, row in enumerate(rows)] for rows in ordered]
    return row_differences(*numbered)


def _rows(frame: pd.DataFrame) -> list[Row]:
    names = [one.name for one in fields(Row) if one.name in frame.columns]
    return [Row(**{name: row[name] for name in names}) for row in frame.to_dict("records")]
