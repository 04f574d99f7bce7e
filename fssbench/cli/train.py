"""`fssbench train`: train a method, or the small backbone, on the base classes of a fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.help import OUTPUT
from fssbench.cli.options import Device, Root
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.signals import resume_command
from fssbench.cli.tracking import TrackOptions
from fssbench.cli.values import task_of
from fssbench.progress import Activity

if TYPE_CHECKING:
    from fssbench.training.plan import Plan


TRAINED = "What to train"
RECIPE = "Recipe"


@dataclass(frozen=True)
class TrainOptions:
    """The options of `fssbench train`."""

    dataset: Annotated[
        str,
        typer.Option("--dataset", metavar="NAME", help="One of `fssbench list datasets`.", rich_help_panel=TRAINED),
    ]
    fold: Annotated[int, typer.Option("--fold", help="The fold whose classes are not seen.", rich_help_panel=TRAINED)]
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="The method.",
            show_default="none: the backbone itself is trained",
            rich_help_panel=TRAINED,
        ),
    ] = None
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            metavar="NAME",
            help="Its form, e.g. fscs.",
            show_default="the task's first",
            rich_help_panel=TRAINED,
        ),
    ] = None
    task: Annotated[
        Literal["fss", "fs-cs", "fscs"] | None,
        typer.Option(
            "--task",
            help="Segmentation, or classification and segmentation.",
            show_default="the method's",
            rich_help_panel=TRAINED,
        ),
    ] = None
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="NAME",
            help="Its backbone.",
            show_default="the recipe's",
            rich_help_panel=TRAINED,
        ),
    ] = None
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            "--backbone-weights",
            metavar="FILE",
            parser=given_path,
            help="File of the weights its backbone starts with.",
            show_default="the registered ones",
            rich_help_panel=TRAINED,
        ),
    ] = None
    weak: Annotated[bool, typer.Option("--weak", help="Learn from image-level labels.", rich_help_panel=RECIPE)] = False
    ways: Annotated[
        int | None,
        typer.Option("--ways", help="Classes per episode.", show_default="the recipe's", rich_help_panel=RECIPE),
    ] = None
    shots: Annotated[
        int | None,
        typer.Option("--shots", help="Supports per class.", show_default="the recipe's", rich_help_panel=RECIPE),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            parser=given_path,
            help="Recipes of your own, laid out as training/recipes.toml.",
            show_default="the shipped recipes",
            rich_help_panel=RECIPE,
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            help="Steps of each stage; with --resume all of them, also more than it had.",
            show_default="the recipe's",
            rich_help_panel=RECIPE,
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option("--batch", help="Episodes per step.", show_default="the recipe's", rich_help_panel=RECIPE),
    ] = None
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of initial weights and episodes.", rich_help_panel=RECIPE)
    ] = 0
    root: Root = None
    device: Device = "cpu"
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            parser=given_path,
            help="Folder of state, log and weights.",
            show_default="runs/train-...",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in that folder, with --steps to a larger number.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write curves for TensorBoard into the folder too.", rich_help_panel=OUTPUT),
    ] = False


@with_fields
def train(options: TrainOptions, tracking: TrackOptions) -> None:
    """Train on the base classes of a fold: state and log.csv in the folder, weights.safetensors at the end.

    Examples:
        fssbench train --method pfenet --dataset shapes20i --fold 0 --out runs/pfenet-0
        fssbench train --method asnet --variant fscs --dataset shapes20i --fold 0 --steps 500
    """
    check_folder("--out", options.out)
    told = tracking.trackers()
    from fssbench.training.plan import plan
    from fssbench.training.request import Request

    with Activity(f"reading {options.dataset}"):
        planned = plan(Request(**fields_for(Request, options) | {"task": task_of(options.task)}))
    if planned.borrowed:
        say(_borrowed(planned), err=True)
    with Activity("loading torch"):
        from fssbench.training.progress import progress_callback
        from fssbench.training.run import run_plan
        from fssbench.training.tracked import tracked

    try:
        with progress_callback(planned) as shown, tracked(planned, told, shown) as (callback, finished):
            written = run_plan(planned, callback, lambda line: say(line, err=True))
            finished(written)
    except KeyboardInterrupt:
        if any(planned.folder.glob("state*.pt")):
            say(f"the training state in {planned.folder} is kept, without the steps of the last minute", err=True)
            say(f"  try: {resume_command()}", err=True)
        raise
    say(f"weights: {written}")


def _borrowed(planned: Plan) -> str:
    """Return by whose recipe a method of one's own is trained, and where to say otherwise."""
    recipe = next(iter(planned.recipes.values()))
    name = planned.network.rpartition(":")[2]
    return (
        f"{name} has no recipe of its own and is trained by that of {planned.borrowed}: {recipe.steps} steps of "
        f"{recipe.batch} episodes, {recipe.optimiser.kind}, learning rate {recipe.optimiser.learning_rate:g}; "
        f'--config FILE with a table ["{name}/{planned.dataset.name}"] says otherwise'
    )
