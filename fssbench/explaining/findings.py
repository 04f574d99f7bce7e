"""What each choice is worth: from the rows, from saved predictions, or by running again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError
from fssbench.explaining.causes import COUNTING, Cause, Key, causes_of, keys_of, surroundings
from fssbench.explaining.explanation import Effect, Finding, How
from fssbench.explaining.sides import Question, Sides, part_of, worth_of

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.explaining.rerunning import Again, Wanted
    from fssbench.results import Results


def with_shot_rule(question: Question, causes: Sequence[Cause]) -> list[Cause]:
    """Return the causes with the rule for K shots apart from the method, where it can be exchanged alone."""
    from fssbench.explaining.rerunning import shot_rules

    try:
        differ, nothing_else = shot_rules(question.a, question.b)
    except FSSBenchError:
        return list(causes)
    if not differ:
        return list(causes)
    method = next(cause for cause in causes if cause.key == "method")
    same_weights = method.note == "with the same weights"
    rule = Cause("shots", f"that of {method.a}", f"that of {method.b}")
    rest = [cause for cause in causes if cause.key != "method" or not (nothing_else and same_weights)]
    return [*rest[: causes.index(method)], rule, *rest[causes.index(method) :]]


def findings_of(question: Question, sides: Sides, causes: Sequence[Cause]) -> tuple[list[Finding], list[str]]:
    """Return what each choice is worth from either run, from rows and predictions first, then by running again."""
    known: dict[tuple[Key, int], Effect] = {}
    for cause in causes:
        for side in (0, 1):
            effect = _from_rows(question, sides, cause.key, side) or _from_predictions(question, sides, cause.key, side)
            # What is an approximation gives way where the run itself can tell.
            if effect is not None and (question.again is None or effect.how != "predictions resized"):
                known[cause.key, side] = effect
    notes: list[str] = []
    if question.again is not None:
        missing = [(cause.key, side) for cause in causes for side in (0, 1) if (cause.key, side) not in known]
        more, notes = _by_running(question, sides, missing, question.again)
        known |= more
    command = f"fssbench explain {shlex.quote(str(question.a.folder))} {shlex.quote(str(question.b.folder))} --rerun"
    untested = Effect("not tested", None, "neither rows nor saved predictions can tell", command)
    return [
        Finding(cause, known.get((cause.key, 0), untested), known.get((cause.key, 1), untested)) for cause in causes
    ], notes


def _effect(question: Question, sides: Sides, side: int, changed: pd.DataFrame, how: How, *, like: int) -> Effect:
    """Return the worth of rows of run `side` with a choice of the other, which are averaged as those of run `like`."""
    unchanged = _equal(changed, sides.frames[side])
    if side == 0:
        return Effect(how, worth_of(question, sides, sides.frames[0], changed, like), unchanged=unchanged)
    swapped = replace(sides, runs=(sides.runs[like], sides.runs[1]))
    return Effect(how, worth_of(question, swapped, changed, sides.frames[1]), unchanged=unchanged)


def _equal(changed: pd.DataFrame, frame: pd.DataFrame) -> bool:
    """Return whether rows are of the same episodes and have the same counts."""
    columns = ["fold", "query", "classes", "supports", "intersection", "union"]
    return [list(row) for row in changed[columns].to_numpy()] == [list(row) for row in frame[columns].to_numpy()]


def _from_rows(question: Question, sides: Sides, key: Key, side: int) -> Effect | None:
    """Return the worth of the other run's episodes, if all of them are among the rows."""
    if key != "episodes":
        return None
    mine, theirs = sides.frames[side], sides.frames[1 - side]
    pool = question.a.frame if side == 0 else question.b.frame
    places: dict[object, int] = {}
    for place, one in enumerate(keys_of(pool)):
        places.setdefault(one, place)
    wanted = keys_of(theirs)
    if len(mine) == 0 or any(one not in places for one in wanted):
        return None
    rows = pool.iloc[[places[one] for one in wanted]].assign(episode=list(theirs["episode"]))
    return _effect(question, sides, side, rows.reset_index(drop=True), "rows", like=1 - side)


def _from_predictions(question: Question, sides: Sides, key: Key, side: int) -> Effect | None:
    rescorer = question.rescorers[side]
    if rescorer is None or key not in COUNTING:
        return None
    from fssbench.explaining.rules import rules_of, with_choice

    run, other = sides.runs[side].run, sides.runs[1 - side].run
    frame = rescorer.frame(with_choice(rules_of(run), key, other.protocol))
    how: How = "predictions resized" if key == "scored" else "predictions"
    return _effect(question, sides, side, frame, how, like=side)


def _by_running(
    question: Question, sides: Sides, missing: Sequence[tuple[Key, int]], again: Again
) -> tuple[dict[tuple[Key, int], Effect], list[str]]:
    """Return the worth of choices by running again; versions and photos are those of this machine, now."""
    from fssbench.explaining.rerunning import Wanted, run_wanted

    here = _surroundings_here(again)
    stale = [_other_surroundings(one, here) for one in sides.runs]
    plain: list[tuple[Key | None, int]] = [(key, side) for key, side in missing if key not in ("versions", "photos")]
    moved = {side for key, side in missing if key in ("versions", "photos")}
    bases = {side for side in (0, 1) if side in moved or (stale[side] and any(one == side for _, one in plain))}
    jobs: list[tuple[Key | None, int]] = [*((None, side) for side in sorted(bases)), *plain]
    wanted: list[Wanted] = []
    for key, side in jobs:
        base, other = sides.runs[side], sides.runs[1 - side]
        own_rule = key == "shots" or (key == "method" and any(one == "shots" for one, _ in missing))
        wanted.append(Wanted(f"{'ab'[side]}-{key or 'again'}", base, other, key, sides.folds, own_rule))
    found = run_wanted(wanted, again)
    notes: list[str] = []
    again_frames = dict(enumerate(sides.frames))
    for side in sorted(bases):
        result = found[f"{'ab'[side]}-again"]
        if isinstance(result, FSSBenchError):
            notes.append(f"{sides.runs[side].folder} can't be evaluated again here: {result.message}")
            continue
        again_frames[side] = part_of(result, sides.folds, question.limit)
        changed = _effect(question, sides, side, again_frames[side], "run again", like=side).worth
        if changed is not None and side not in moved:
            points = changed.points if side == 0 else -changed.points
            notes.append(
                f"{sides.runs[side].folder} was computed elsewhere ({'; '.join(stale[side])}): run again here it has "
                f"{points:+.2f} points, and its choices are changed from there"
            )
    here_sides = replace(sides, frames=(again_frames[0], again_frames[1]))
    effects: dict[tuple[Key, int], Effect] = {}
    for key, side in missing:
        result = found[f"{'ab'[side]}-{'again' if key in ('versions', 'photos') else key}"]
        if isinstance(result, FSSBenchError):
            effects[key, side] = Effect("not tested", None, result.message, result.remedy or "")
        elif key in ("versions", "photos"):
            rows = part_of(result, sides.folds, question.limit)
            effects[key, side] = _of_surroundings(question, sides, (key, side), rows, here)
        else:
            rows = part_of(result, sides.folds, question.limit)
            like = 1 - side if key == "episodes" else side
            effects[key, side] = _effect(question, here_sides, side, rows, "run again", like=like)
    return effects, notes


def _of_surroundings(
    question: Question, sides: Sides, place: tuple[Key, int], rows: pd.DataFrame, here: Mapping[str, str]
) -> Effect:
    """Return what it is worth to be evaluated here, if "here" is as in the other run; else say that it is not."""
    key, side = place
    other = sides.runs[1 - side]
    if key == "versions" and (elsewhere := _other_surroundings(other, here)):
        return Effect("not tested", None, f"{other.folder} was computed elsewhere: {'; '.join(elsewhere)}")
    if key == "photos":
        unlike = [
            one for one in causes_of(sides.runs[side], other, rows, sides.frames[1 - side]) if one.key == "photos"
        ]
        if unlike:
            return Effect("not tested", None, f"the photos of {other.folder} are not here")
    return _effect(question, sides, side, rows, "run again", like=side)


def _surroundings_here(again: Again) -> dict[str, str]:
    from fssbench.planning.settings import choose_device
    from fssbench.results.environment import environment
    from fssbench.version import __version__

    machine = environment(choose_device(again.device), None)
    return {
        "fssbench": __version__,
        "python": machine.python,
        **dict(machine.packages),
        "processor": machine.device_name,
    }


def _other_surroundings(results: Results, here: Mapping[str, str]) -> list[str]:
    """Return what of the versions and the machine of a run is other than here."""
    there = surroundings(results.run)
    return [f"{name} {there[name]}, here {text}" for name, text in here.items() if there.get(name, text) != text]
