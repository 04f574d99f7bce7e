"""`fssbench train`: train a method, or the small backbone, on the base classes of a fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.options import DatasetName, Device, MaybeTask, Root, fields_for, task_of, with_fields
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.signals import resume_command

if TYPE_CHECKING:
    from fssbench.training.plan import Plan


@dataclass(frozen=True)
class TrainOptions:
    """The options of `fssbench train`."""

    dataset: DatasetName
    fold: Annotated[int, typer.Option("--fold", help="The fold whose classes are not seen.")]
    method: Annotated[
        str | None, typer.Option("--method", help="The method; left out, the backbone itself is trained.")
    ] = None
    variant: Annotated[
        str | None, typer.Option("--variant", help="Its form, e.g. fscs.", show_default="the task's first")
    ] = None
    task: MaybeTask = None
    ways: Annotated[int | None, typer.Option("--ways", help="N of an episode.", show_default="the recipe's")] = None
    shots: Annotated[int | None, typer.Option("--shots", help="K of an episode.", show_default="the recipe's")] = None
    weak: Annotated[bool, typer.Option("--weak", help="Learn from image-level labels.")] = False
    backbone: Annotated[str | None, typer.Option("--backbone", help="Its backbone.", show_default="the recipe's")] = (
        None
    )
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            "--backbone-weights",
            parser=given_path,
            help="File of the weights its backbone starts with.",
            show_default="registered",
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option("--config", parser=given_path, help="Recipes of your own, laid out as training/recipes.toml."),
    ] = None
    steps: Annotated[int | None, typer.Option("--steps", help="Steps of each stage.", show_default="the recipe's")] = (
        None
    )
    batch: Annotated[int | None, typer.Option("--batch", help="Episodes per step.", show_default="the recipe's")] = None
    seed: Annotated[int, typer.Option("--seed", help="Seed of initial weights and episodes.")] = 0
    root: Root = None
    device: Device = "cpu"
    out: Annotated[
        Path | None, typer.Option("--out", parser=given_path, help="Folder.", show_default="runs/train-...")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves for TensorBoard into the folder too.")
    ] = False


@with_fields
def train(options: TrainOptions) -> None:
    """Train on the base classes of a fold: state and log.csv in the folder, weights.safetensors at the end."""
    check_folder("--out", options.out)
    from fssbench.training.plan import Request, plan

    planned = plan(Request(**fields_for(Request, options) | {"task": task_of(options.task)}))
    if planned.borrowed:
        say(_borrowed(planned), err=True)
    from fssbench.training.progress import progress_callback
    from fssbench.training.run import run_plan

    try:
        with progress_callback(planned) as callback:
            written = run_plan(planned, callback)
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
