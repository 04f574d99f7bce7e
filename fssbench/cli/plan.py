"""`fssbench plan`: how many episodes a comparison takes, from stored rows."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.help import OUTPUT
from fssbench.cli.paths import given_path
from fssbench.cli.values import whole_number
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.comparison.planned import SamplePlan
    from fssbench.results import Run
    from fssbench.tables.detectable import PrintedDifferences

_WIDEST = 110
FROM = "What to plan from"
TELL = "What to tell"


def plan(
    start: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="RUN",
            parser=given_path,
            help="Run folder, or two of the same episodes.",
            rich_help_panel=FROM,
            show_default="none; needed",
        ),
    ] = None,
    further: Annotated[
        list[Path] | None,
        typer.Argument(parser=given_path, metavar="[RUN_B]", help="The second run.", show_default=False),
    ] = None,
    detect: Annotated[
        float,
        typer.Option("--detect", metavar="X", help="Difference to tell, in points of mIoU.", rich_help_panel=TELL),
    ] = 1.0,
    power: Annotated[float, typer.Option("--power", help="Probability of telling it.", rich_help_panel=TELL)] = 0.8,
    alpha: Annotated[float, typer.Option("--alpha", help="Level of the two-sided test.", rich_help_panel=TELL)] = 0.05,
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold", metavar="N", help="One fold alone.", rich_help_panel=FROM, show_default="the mean over all"
        ),
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(
            "--correlation",
            help="With one run: how alike a second method is assumed to err.",
            rich_help_panel=FROM,
            show_default="0.8",
        ),
    ] = None,
    printed: Annotated[
        bool,
        typer.Option(
            "--printed",
            help="Hold the printed differences against what 1,000 episodes can tell.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            metavar="NAME",
            help="With --printed: whose printed numbers.",
            rich_help_panel=OUTPUT,
            show_default="that of the run",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Say how many episodes, query images and supports it takes to tell a difference, and what stored rows can tell.

    Examples:
        fssbench plan --from runs/hsnet runs/asnet --detect 1.0
        fssbench plan --from runs/hsnet --correlation 0.9 --power 0.9

    From one run the difference is that to a method of the same spread, which errs alike to an assumed degree.
    """
    from fssbench.comparison.plan_text import as_text, sentences
    from fssbench.comparison.sample_size import plan as planned_from
    from fssbench.results import load_run

    folders = [*(start or []), *(further or [])]
    if not 1 <= len(folders) <= 2:
        raise UsageError(
            f"a plan is made from one run, or two of the same episodes, not {len(folders)}",
            "fssbench plan --from RUN [RUN_B]",
        )
    if dataset is not None and not printed:
        raise UsageError("--dataset names the printed numbers of --printed", "add --printed, or leave it out")
    results = [load_run(folder) for folder in folders]
    planned = planned_from(
        *results,
        detect=detect,
        power=power,
        alpha=alpha,
        fold=None if fold in (None, "all") else whole_number("--fold", fold),
        correlation=correlation,
    )
    held = _printed(planned, results[0].run, dataset) if printed else None
    if as_json:
        content = asdict(planned) | {"sentences": sentences(planned)}
        if held is not None:
            content["printed"] = asdict(held[0]) | {"notes": held[1]}
        typer.echo(json.dumps(content, indent=1, allow_nan=False))
        return
    typer.echo(as_text(planned, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)), nl=False)
    if held is not None:
        from fssbench.datasets.catalogue import dataset_title
        from fssbench.tables.detectable import printed_text

        typer.echo()
        say(*printed_text(held[0], dataset_title(held[0].dataset)), *held[1])


def _printed(planned: SamplePlan, run: Run, dataset: str | None) -> tuple[PrintedDifferences, list[str]]:
    """Return the printed differences, and what makes them less than comparable."""
    from fssbench.comparison.planned import HABIT
    from fssbench.publications.load import publications
    from fssbench.tables.detectable import printed_differences
    from fssbench.tables.measurements import dataset_key, fold_count

    own = dataset_key(run)
    key = dataset or own
    known = sorted({row.dataset for row in publications().rows})
    if key not in known:
        raise UsageError(
            f"there is no printed number on {key}, only on {', '.join(known)}",
            f"--dataset {known[0]} holds the printed differences on another data set against this run, as a guide",
        )
    habit = planned.size(HABIT)
    found = printed_differences(key, run.way, run.protocol.task, habit.detectable, planned.unpaired)
    if not found.steps:
        raise UsageError(f"there is no printed {run.way}-way mIoU of the task {run.protocol.task} on {key}")
    notes = []
    if key != own:
        notes.append(
            f"a guide only: what can be told was measured on {own}, and the printed numbers are on {key}, whose images "
            "and classes spread otherwise"
        )
    folds = fold_count(run)
    if len(run.folds) < folds or (folds > 1 and "mean over" not in planned.title):
        notes.append(
            "printed means are over all folds, and what can be told is of a part of them alone, which can tell less"
        )
    if run.shot != 1:
        notes.append(f"what can be told was measured with {run.shot} shots, and is held against all numbers of shots")
    return found, notes
