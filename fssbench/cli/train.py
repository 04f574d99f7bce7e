"""`fssbench train`: train a method, or the small backbone, on the base classes of a fold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    dataset: Annotated[str, typer.Option("--dataset", help="One of `fssbench list datasets`.")],
    fold: Annotated[int, typer.Option("--fold", help="The fold whose classes are not seen.")],
    method: Annotated[
        str | None, typer.Option("--method", help="The method; left out, the backbone itself is trained.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Its frozen backbone.", show_default="the recipe's")
    ] = None,
    backbone_weights: Annotated[
        Path | None,
        typer.Option("--backbone-weights", help="File of the frozen backbone's weights.", show_default="registered"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Recipes of your own, laid out as training/recipes.toml.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Steps.", show_default="the recipe's")] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Pairs per step.", show_default="the recipe's")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of initial weights and pairs.")] = 0,
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder of the data set; see `fssbench data where`.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "cpu",
    out: Annotated[Path | None, typer.Option("--out", help="Folder.", show_default="runs/train-...")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
) -> None:
    """Train on the base classes of a fold: state and log.csv in the folder, weights.safetensors at the end."""
    from fssbench.training.plan import Request, plan

    planned = plan(
        Request(
            dataset=dataset,
            fold=fold,
            method=method,
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
        )
    )
    from fssbench.training.report import reporter
    from fssbench.training.run import run_plan

    with reporter(planned) as watch:
        written = run_plan(planned, watch)
    typer.echo(f"weights: {written}")
