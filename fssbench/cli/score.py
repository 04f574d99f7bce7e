"""`fssbench score`: count predictions that were made elsewhere, as those of a method here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.help import DATA, EPISODES, OUTPUT, WHAT
from fssbench.cli.options import AllowLeak, DataOptions, Label, LabelBackbone, Overwrite, Quiet, RunFolder
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.report import report
from fssbench.cli.signals import kept_on_stop
from fssbench.cli.values import existing_of
from fssbench.progress import Activity, silenced

if TYPE_CHECKING:
    from fssbench.predictions.plan import ScorePlan


@dataclass(frozen=True)
class ScoreOptions:
    """The options of `fssbench score`, besides those of the data set."""

    predictions: Annotated[
        str,
        typer.Option(
            "--predictions",
            metavar="FOLDER",
            help="Folder of label maps as PNG, in whose name {fold} may stand.",
            rich_help_panel=WHAT,
        ),
    ]
    episodes: Annotated[
        str,
        typer.Option(
            "--episodes",
            metavar="FILE",
            help="The list that they predict (`fssbench episodes export`); {fold} may stand in its name.",
            rich_help_panel=WHAT,
        ),
    ]
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME", help="Data set.", show_default="the list's", rich_help_panel=DATA),
    ] = None
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            metavar="NAME",
            help="What the method was trained on.",
            show_default="--dataset",
            rich_help_panel=DATA,
        ),
    ] = None
    allow_leak: AllowLeak = False
    fold: Annotated[
        str | None,
        typer.Option(
            "--fold", metavar="N", help="A fold, or all.", show_default="those of the lists", rich_help_panel=WHAT
        ),
    ] = None
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="Whose rules count: a name, or ./mine.toml.",
            show_default="the list's",
            rich_help_panel=EPISODES,
        ),
    ] = None
    score_at: Annotated[
        Literal["input", "original"] | None,
        typer.Option(
            "--score-at",
            help="Size of the label maps, at which IoU is counted.",
            show_default="the protocol's",
            rich_help_panel=EPISODES,
        ),
    ] = None
    presence: Annotated[
        Path | None,
        typer.Option(
            "--presence",
            metavar="FILE",
            parser=given_path,
            help="JSON or CSV: which classes are predicted to be present.",
            show_default="presence.json or .csv in the folder, else those with a pixel",
            rich_help_panel=WHAT,
        ),
    ] = None
    method_name: Annotated[
        str | None,
        typer.Option(
            "--method-name",
            metavar="NAME",
            help="What tables call the method.",
            show_default="the folder's name",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    label: Label = None
    label_backbone: LabelBackbone = None
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone", metavar="NAME", help="Its backbone, for tables.", show_default="none", rich_help_panel=OUTPUT
        ),
    ] = None
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Leave episodes without a prediction out; the run says so.",
            rich_help_panel=WHAT,
        ),
    ] = False
    out: RunFolder = None
    overwrite: Overwrite = False
    quiet: Quiet = False


@with_fields
def score(options: ScoreOptions, data: DataOptions) -> None:
    """Score predictions in files: the same rows, numbers, tables and checks as those of `fssbench eval`.

    Examples:
        fssbench score --predictions predictions --episodes list-fold{fold}.json --method-name "My Net"
        fssbench score --predictions maps --episodes list.json --dataset pascal5i --root DIR --out runs/mine
    """
    from fssbench.predictions.plan import ScoreRequest, plan_score
    from fssbench.predictions.score import score as count
    from fssbench.results.progress import Silent, progress_for

    check_folder("--out", options.out)
    existing = existing_of(resume=False, overwrite=options.overwrite)
    with silenced(options.quiet), Activity("reading the data and the episodes"):
        planned = plan_score(ScoreRequest(**fields_for(ScoreRequest, options, data), existing=existing))
    progress = Silent() if options.quiet else progress_for(sys.stderr, _headline(planned), len(planned.lists))
    with kept_on_stop(lambda: "no row is written before all predictions are counted: nothing is kept"):
        results = count(planned, progress, ("fssbench", *sys.argv[1:]))
    report(results, planned.lists, planned.dataset.remarks)


def _headline(planned: ScorePlan) -> str:
    first = planned.lists[0]
    rules = f"{first.way}-way {first.shot}-shot, protocol {planned.protocol.name}"
    source = f"predictions in {planned.request.predictions}"
    return f"{planned.method} on {first.dataset}, {rules}, {source}; rows go to {planned.out}"
