"""`fssbench score`: count predictions that were made elsewhere, as if a method here had answered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.report import report

if TYPE_CHECKING:
    from fssbench.predictions.plan import ScorePlan


def score(
    predictions: Annotated[
        str, typer.Option("--predictions", help="Folder of label maps as PNG, in whose name {fold} may stand.")
    ],
    episodes: Annotated[
        str,
        typer.Option(
            "--episodes", help="The list they answer (`fssbench episodes export`), in whose name {fold} may stand."
        ),
    ],
    dataset: Annotated[str | None, typer.Option("--dataset", help="Data set.", show_default="the list's")] = None,
    train_dataset: Annotated[
        str | None, typer.Option("--train-dataset", help="What the method was trained on.", show_default="--dataset")
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Ask also classes that training on --train-dataset has seen; marked.")
    ] = False,
    fold: Annotated[str | None, typer.Option("--fold", help="A fold, or all.", show_default="the lists'")] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Whose rules count.", show_default="the list's")
    ] = None,
    score_at: Annotated[
        Literal["input", "original"] | None,
        typer.Option("--score-at", help="Size of the label maps, at which IoU is counted.", show_default="protocol's"),
    ] = None,
    presence: Annotated[
        Path | None,
        typer.Option(
            "--presence",
            parser=given_path,
            help="JSON or CSV: which classes are said to be there.",
            show_default="presence.json or .csv in the folder, else those with a pixel",
        ),
    ] = None,
    method_name: Annotated[
        str | None, typer.Option("--method-name", help="What tables call the method.", show_default="the folder's name")
    ] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="Its backbone, for tables.")] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave episodes without a prediction out; the run says so.")
    ] = False,
    labels: Annotated[str | None, typer.Option("--labels", help="Label rule of coco20i.")] = None,
    lists: Annotated[
        str | None, typer.Option("--lists", help="Of coco20i's imported lists all entries, or those that are here.")
    ] = None,
    part: Annotated[
        str | None, typer.Option("--part", help="Of suim all images, or those of its test folder.", show_default="all")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            parser=given_path,
            help="Folder of the data set; see `fssbench data where`.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", parser=given_path, help="Run folder.", show_default="runs/METHOD-...")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in that folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Score predictions in files: the same rows, numbers, tables and checks as those of `fssbench eval`."""
    from fssbench.predictions.plan import ScoreRequest, plan_score
    from fssbench.predictions.score import score as count
    from fssbench.results.progress import Silent, progress_for
    from fssbench.results.run_reader import Existing

    check_folder("--out", out)
    planned = plan_score(
        ScoreRequest(
            predictions=predictions,
            episodes=episodes,
            dataset=dataset,
            train_dataset=train_dataset,
            allow_leak=allow_leak,
            fold=fold,
            protocol=protocol,
            score_at=score_at,
            presence=presence,
            method_name=method_name,
            backbone=backbone,
            allow_missing=allow_missing,
            labels=labels,
            lists=lists,
            part=part,
            root=root,
            out=out,
            existing=Existing.OVERWRITE if overwrite else Existing.REFUSE,
        )
    )
    progress = Silent() if quiet else progress_for(sys.stderr, _headline(planned))
    report(count(planned, progress, ("fssbench", *sys.argv[1:])), planned.lists, planned.dataset.remarks)


def _headline(planned: ScorePlan) -> str:
    first = planned.lists[0]
    rules = f"{first.way}-way {first.shot}-shot, protocol {planned.protocol.name}"
    source = f"predictions in {planned.request.predictions}"
    return f"{planned.method} on {first.dataset}, {rules}, {source}; rows go to {planned.out}"
