"""`fssbench train`: train a method, or the small backbone, on the base classes of a fold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.signals import resume_command

if TYPE_CHECKING:
    from fssbench.planning.request import Task

_TASKS: dict[str, Task] = {"fss": "fss", "fs-cs": "fscs", "fscs": "fscs"}


def train(
    dataset: Annotated[str, typer.Option("--dataset", help="One of `fssbench list datasets`.")],
    fold: Annotated[int, typer.Option("--fold", help="The fold whose classes are not seen.")],
    method: Annotated[
        str | None, typer.Option("--method", help="The method; left out, the backbone itself is trained.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", help="Its form, e.g. fscs.", show_default="the task's first")
    ] = None,
    task: Annotated[
        Literal["fss", "fs-cs", "fscs"] | None,
        typer.Option("--task", help="Segmentation, or classification and segmentation.", show_default="the method's"),
    ] = None,
    ways: Annotated[int | None, typer.Option("--ways", help="N of an episode.", show_default="the recipe's")] = None,
    shots: Annotated[int | None, typer.Option("--shots", help="K of an episode.", show_default="the recipe's")] = None,
    weak: Annotated[bool, typer.Option("--weak", help="Learn from image-level labels.")] = False,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Its backbone.", show_default="the recipe's")
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option(
            "--backbone-weights",
            parser=given_path,
            help="File of the weights its backbone starts with.",
            show_default="registered",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", parser=given_path, help="Recipes of your own, laid out as training/recipes.toml."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Steps of each stage.", show_default="the recipe's")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="Episodes per step.", show_default="the recipe's")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of initial weights and episodes.")] = 0,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            parser=given_path,
            help="Folder of the data set; see `fssbench data where`.",
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", parser=given_path, help="Folder.", show_default="runs/train-...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves for TensorBoard into the folder too.")
    ] = False,
) -> None:
    """Train on the base classes of a fold: state and log.csv in the folder, weights.safetensors at the end."""
    check_folder("--out", out)
    from fssbench.training.plan import Request, plan

    planned = plan(
        Request(
            dataset=dataset,
            fold=fold,
            method=method,
            variant=variant,
            task=None if task is None else _TASKS[task],
            ways=ways,
            shots=shots,
            weak=weak,
            backbone=backbone,
            backbone_weights=backbone_weights,
            config=config,
            steps=steps,
            batch=batch,
            seed=seed,
            device=device,
            out=out,
            root=root,
            resume=resume,
            tensorboard=tensorboard,
        )
    )
    from fssbench.training.progress import reporter
    from fssbench.training.run import run_plan

    try:
        with reporter(planned) as watch:
            written = run_plan(planned, watch)
    except KeyboardInterrupt:
        if any(planned.folder.glob("state*.pt")):
            say(f"the training state in {planned.folder} is kept, without the steps of the last minute", err=True)
            say(f"  try: {resume_command()}", err=True)
        raise
    say(f"weights: {written}")
