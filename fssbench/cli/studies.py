"""`fssbench references` and `fssbench absent`: what runs show of their references and of their absent queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say, say_json
from fssbench.cli.help import OUTPUT
from fssbench.cli.options import AsJson
from fssbench.cli.paths import given_path
from fssbench.cli.studies_shown import print_absent, print_classes, print_queries, print_references
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.results.run_reader import Results

Runs = Annotated[list[Path], typer.Argument(parser=given_path, help="Run folders.", metavar="RUN...")]


def references(
    runs: Runs,
    queries: Annotated[
        int,
        typer.Option(
            "--queries", min=0, help="How many queries with the largest spread to show.", rich_help_panel=OUTPUT
        ),
    ] = 5,
    as_json: AsJson = False,
) -> None:
    """Show how much depends on the supports: of runs of `fssbench eval --references`, by query and by class.

    Examples:
        fssbench references runs/hsnet
        fssbench references runs/hsnet runs/panet --json

    mIoU is the mean over the references; worst and best have for each query the reference with the lowest and highest
    IoU. `fssbench compare` compares such runs query by query and reference by reference.
    """
    from fssbench.results.studies import reference_study, references_record

    loaded = _load(runs)
    studies = []
    for one in loaded:
        if (study := reference_study(one)) is None:
            raise _refused(one, "references, or no query with all of them", "--references 20")
        studies.append(study)
    names = _names(loaded)
    if as_json:
        records = zip(loaded, names, studies, strict=True)
        say_json([{"run": str(one.folder), "name": name, **references_record(study)} for one, name, study in records])
        return
    print_references(names, studies)
    for one, name, study in zip(loaded, names, studies, strict=True):
        say("", *([name] if len(names) > 1 else []))
        print_classes(one, study)
        print_queries(one, study, queries)


def absent(runs: Runs, as_json: AsJson = False) -> None:
    """Show what methods do where there is nothing to find: of runs of `fssbench eval --absent`.

    Examples:
        fssbench absent runs/hsnet runs/nothing runs/all-foreground
        fssbench absent runs/hsnet --json

    `fssbench compare` has the differences of two such runs with intervals and p-values.
    """
    from fssbench.results.studies import absences_record, absent_queries

    loaded = _load(runs)
    found = []
    for one in loaded:
        if (rows := absent_queries(one)) is None:
            raise _refused(one, "absent queries", "--absent 0.25")
        found.append(rows)
    names = _names(loaded)
    if as_json:
        records = zip(loaded, names, found, strict=True)
        say_json(
            [{"run": str(one.folder), "name": name, "folds": absences_record(rows)} for one, name, rows in records]
        )
        return
    print_absent(names, found)


def _load(runs: Sequence[Path]) -> list[Results]:
    from fssbench.results import load_run

    return [load_run(folder) for folder in runs]


def _names(runs: Sequence[Results]) -> list[str]:
    from fssbench.comparison.run_names import run_names

    return list(run_names(runs))


def _refused(results: Results, what: str, option: str) -> UsageError:
    return UsageError(f"the run in {results.folder} has no {what}", f"fssbench eval ... {option}")
