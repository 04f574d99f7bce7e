"""Why a run differs from a printed number: what the row's evaluation is known to have been, and what of it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.explaining.meaning import (
    NOT_STATED,
    Meaning,
    Stated,
    differing,
    meaning_of,
    release_meaning,
    stated_text,
)
from fssbench.explaining.rules import rules_of
from fssbench.methods.catalogue import K_SHOT_RULES, is_built_in, method_info
from fssbench.protocols.choices import IGNORING, RESIZING, size_in_words
from fssbench.protocols.releases import Release, release_of_method, release_of_protocol, releases
from fssbench.protocols.rules import shipped_protocols
from fssbench.publications.load import publications
from fssbench.publications.rows import FOLDS
from fssbench.publications.search import FoundRow, row_of
from fssbench.tables.measurements import dataset_key

if TYPE_CHECKING:
    from fssbench.explaining.explanation import Explanation
    from fssbench.publications.rows import PrintedRow
    from fssbench.results import Results, Run


@dataclass(frozen=True)
class Numbers:
    """One printed number and the measured one, in per cent.

    Attributes:
        what: "fold 0", or "mean".
        printed: The printed number.
        here: The run's.
    """

    what: str
    printed: float
    here: float


@dataclass(frozen=True)
class PrintedExplanation:
    """Why a run differs from a printed number.

    Attributes:
        row: Id of the row.
        source: Where it is printed.
        folder: Folder of the run.
        numbers: The numbers that both have.
        setting: What of the setting differs: by name the run's and the row's.
        release: Name of the release whose evaluation it is taken to be; empty if none is known.
        protocol: The protocol here that repeats it; empty if there is none.
        run: What the run is of.
        printed: What the row is of; None if that is not known.
        unread: Why it is not known.
        again: The run against itself by the release's protocol; None if it was not run again.
    """

    row: str
    source: str
    folder: str
    numbers: tuple[Numbers, ...]
    setting: Mapping[str, tuple[str, str]]
    release: str
    protocol: str
    run: Meaning
    printed: Meaning | None
    unread: str = ""
    again: Explanation | None = None

    @property
    def differs(self) -> list[str]:
        """The topics that differ and are stated for both."""
        return self._topics()[0]

    @property
    def unknown(self) -> list[str]:
        """The topics that one of them does not state."""
        return self._topics()[1]

    @property
    def same(self) -> list[str]:
        """The topics that are the same."""
        return self._topics()[2]

    def _topics(self) -> tuple[list[str], list[str], list[str]]:
        if self.printed is None:
            return [], [], []
        both = (self.run, self.printed)
        unlike, same = differing(both)
        unknown = [topic for topic in unlike if NOT_STATED in {stated_text(one, topic) for one in both}]
        return [topic for topic in unlike if topic not in unknown and topic != "note"], unknown, same


def found_row(identifier: str) -> FoundRow:
    """Return the printed row with an id.

    Raises:
        UsageError: If it is no id of a row.
    """
    found = row_of(publications(), identifier)
    if found is None:
        raise UsageError(f"'{identifier}' is not the id of a printed row", "fssbench published list shows the ids")
    return found


def explain_printed(results: Results, identifier: str) -> PrintedExplanation:
    """Return what is known to differ between a run and a printed row.

    Raises:
        UsageError: If there is no such row, it is of another question, the run is unfinished, or they have no number in
            common.
    """
    found = found_row(identifier)
    row, run = found.row, results.run
    if results.run.is_shard or results.missing or results.frame.empty:
        raise UsageError(f"{results.folder} is unfinished or a shard", "continue it with --resume, or fssbench merge")
    _check_setting(results, found)
    numbers = _numbers(results, row)
    if not numbers:
        raise UsageError(
            f"{found.id} prints no number of the folds of {results.folder}", f"fssbench published show {found.id}"
        )
    release, unread = release_of_row(row)
    printed = None
    if release is not None and row.dataset in release.datasets:
        printed = release_meaning(release, row.dataset)
    elif release is not None:
        unread = f"the evaluation of {release.title} on {row.dataset} was not read"
    source = publications().sources[row.source]
    return PrintedExplanation(
        row=found.id,
        source=f"{source.cite}, {row.location}",
        folder=str(results.folder or "memory"),
        numbers=numbers,
        setting=_setting(run, row),
        release=release.name if release else "",
        protocol=release.protocol if release else "",
        run=meaning_of_run(run),
        printed=printed,
        unread=unread,
    )


def _check_setting(results: Results, found: FoundRow) -> None:
    """Refuse a row of another question: of another data set or task, other ways or shots."""
    run, row = results.run, found.row
    for what, here, there in (
        ("data set", dataset_key(run), row.dataset),
        ("task", run.method.task, row.task),
        ("ways", run.way, run.way if row.way is None else row.way),
        ("shots", run.shot, run.shot if row.shot is None else row.shot),
    ):
        if here != there:
            raise UsageError(
                f"{found.id} is not of the question of {results.folder}: {what} {there}, not {here}",
                f"fssbench published list --dataset {run.dataset.name} --shots {run.shot} --ways {run.way}",
            )


def release_of_row(row: PrintedRow) -> tuple[Release | None, str]:
    """Return the release whose evaluation a printed row is taken to be of, or why none is known.

    The protocol of a row is that of its method's released code; a table that quotes the number rarely says.
    """
    own = release_of_method(row.method)
    if not row.protocol:
        if own is not None and row.method in publications().sources[row.source].own:
            return own, ""
        return None, "no release was read for this row, or it is not the release that made the number"
    if own is not None and row.protocol in (own.name, own.protocol, *own.rows):
        return own, ""
    if (named := releases().get(row.protocol) or release_of_protocol(row.protocol)) is not None:
        return named, ""
    note = publications().protocols.get(row.protocol)
    return None, f"only this is known: {note.title}" if note else "its protocol was not read"


def meaning_of_run(run: Run) -> Meaning:
    """Return what the numbers of a run are of: as recorded, and how the protocol that drew its lists draws."""
    rules, first = rules_of(run), run.folds[0]
    drawn = first.drawn_by.partition("@")[0]
    known: dict[str, Stated] = {}
    if drawn in shipped_protocols():
        known = dict(meaning_of(drawn, run.dataset.name).choices) if _known_on(drawn, run.dataset.name) else {}
    count = min(run.requested(fold) for fold in run.folds)
    runs = f"{first.episodes // first.run_length} runs of " if first.run_length else ""
    each = first.run_length or count
    method = run.method
    shots = method_info(method.name).k_shot.get(method.task, "") if is_built_in(method.name) else ""
    here = {
        "episodes": f"{runs}{each:,}",
        "seeds": known["seeds"].text if runs and "seeds" in known else str(first.seed),
        "input": size_in_words(rules.input),
        "resize": RESIZING[rules.resize],
        "scored": rules.score_at,
        "ignore": IGNORING[rules.ignore],
        **({"shots": K_SHOT_RULES[shots]} if shots else {}),
        "split": run.split,
    }
    if any(fold.weights.kind != "none" for fold in run.folds):
        known.pop("training", None)  # how the weights were trained is not on record
    choices = known | {topic: Stated(text, "run.json") for topic, text in here.items()}
    choices.pop("note", None)
    return Meaning("run", method.name, "run.json", run.dataset.name, runnable=True, choices=choices)


def _known_on(protocol: str, dataset: str) -> bool:
    from fssbench.explaining.meaning import datasets_of

    return dataset in datasets_of(protocol)


def _numbers(results: Results, row: PrintedRow) -> tuple[Numbers, ...]:
    summary = results.summary(draws=0)
    found = [
        Numbers(f"fold {fold.fold}", float(row.numbers[f"fold{fold.fold}"]), fold.miou)
        for fold in summary.folds
        if f"fold{fold.fold}" in row.numbers
    ]
    if "mean" in row.numbers and len(summary.folds) == len(FOLDS):
        found.append(Numbers("mean", float(row.numbers["mean"]), summary.miou))
    return tuple(found)


def _setting(run: Run, row: PrintedRow) -> dict[str, tuple[str, str]]:
    pairs = {
        "method": (run.method.name, row.method),
        "variant": (run.label or "", row.variant),
        "backbone": (run.method.backbone or "", row.backbone),
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1] and pair[1]} | _weights(run)


def _weights(run: Run) -> dict[str, tuple[str, str]]:
    from fssbench.checkpoints.registry import is_release

    weights = [fold.weights for fold in run.folds]
    if all(one.kind == "checkpoint" and is_release(one.checkpoint, one.sha256) for one in weights):
        return {}
    kinds = " and ".join(dict.fromkeys(one.kind for one in weights))
    return {"weights": (f"{kinds}, not known to be the release's", "those of its authors")}


def with_again(found: PrintedExplanation, again: Explanation) -> PrintedExplanation:
    """Return an explanation with the run against itself by the release's protocol."""
    return replace(found, again=again)
