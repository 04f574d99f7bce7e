"""`fssbench eval`: ask a method the episodes of a protocol, and say how well it answered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.printing import console
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from fssbench.engine.plan import Plan, Task
    from fssbench.episode import EpisodeList
    from fssbench.metrics import FoldSummary, Summary
    from fssbench.results.record import ProtocolRecord
    from fssbench.results.run import Results

_TASKS: dict[str, Task] = {"fss": "fss", "fs-cs": "fscs", "fscs": "fscs"}


def evaluate(
    method: Annotated[str, typer.Option("--method", help="One of `fssbench list methods`.")],
    dataset: Annotated[str, typer.Option("--dataset", help="One of `fssbench list datasets`.")],
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            help="What the weights were trained on, to see what a shift of domain costs.",
            show_default="--dataset",
        ),
    ] = None,
    test_classes: Annotated[
        str | None,
        typer.Option(
            "--test-classes",
            help="With --train-dataset: unseen, all, own, or repri-released (flawed) of coco20i to pascal5i.",
            show_default="the pair's",
        ),
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Ask also classes that training on --train-dataset has seen; marked.")
    ] = False,
    fold: Annotated[str | None, typer.Option("--fold", help="A fold, or all.", show_default="all")] = None,
    shots: Annotated[int | None, typer.Option("--shots", help="Supports per class, K.", show_default="1")] = None,
    ways: Annotated[int | None, typer.Option("--ways", help="Classes per episode, N.", show_default="1")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="One of `fssbench list backbones`.")] = None,
    variant: Annotated[str | None, typer.Option("--variant", help="Form of the method, where it has several.")] = None,
    task: Annotated[
        Literal["fss", "fs-cs", "fscs"] | None,
        typer.Option("--task", help="Segmentation, or classification and segmentation.", show_default="the method's"),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="One of `fssbench list protocols`.", show_default="that of the release"),
    ] = None,
    score_at: Annotated[
        Literal["input", "original"] | None,
        typer.Option("--score-at", help="Size at which IoU is counted.", show_default="the protocol's"),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="Weights, in whose name {fold} may stand.", show_default="the registered"),
    ] = None,
    backbone_weights: Annotated[
        str | None,
        typer.Option("--backbone-weights", help="The frozen backbone, where the checkpoint is without it."),
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Evaluate without a checkpoint, with random weights.")
    ] = False,
    weak: Annotated[bool, typer.Option("--weak", help="The form that learnt from image-level labels (FS-CS).")] = False,
    episodes: Annotated[
        str | None,
        typer.Option(
            "--episodes",
            help="How many (a run), or a list from `fssbench episodes export`, in whose name {fold} may stand.",
            show_default="the protocol's",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Ask only the first so many of each fold.")] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of the draw, of the first run.", show_default="the release's, all its runs"),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            help="Evaluate so many lists, with the release's seeds or seed, seed + 1, ...: mean and deviation.",
            show_default="the release's; 1 with --seed",
        ),
    ] = None,
    skip_short_classes: Annotated[
        bool, typer.Option("--skip-short-classes", help="Leave classes out that have too few images to be asked.")
    ] = False,
    labels: Annotated[str | None, typer.Option("--labels", help="Label rule of coco20i.")] = None,
    lists: Annotated[
        str | None,
        typer.Option(
            "--lists", help="Of coco20i's imported lists all entries, or those that are here.", show_default="all"
        ),
    ] = None,
    part: Annotated[
        str | None, typer.Option("--part", help="Of suim all images, or those of its test folder.", show_default="all")
    ] = None,
    root: Annotated[
        Path | None, typer.Option("--root", help="Folder of the data set; see `fssbench data where`.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[Path | None, typer.Option("--out", help="Run folder.", show_default="runs/METHOD-...")] = None,
    save_predictions: Annotated[
        Path | None,
        typer.Option("--save-predictions", help="Folder for the label maps too, as `fssbench score` reads them."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, if there is one.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in that folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Evaluate a method: a row per episode in the run folder, and mIoU and FB-IoU (or exact ratio) per fold."""
    from fssbench.engine.plan import Request, plan
    from fssbench.results.run import Existing

    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    request = Request(
        method=method,
        dataset=dataset,
        train_dataset=train_dataset,
        test_classes=test_classes,
        allow_leak=allow_leak,
        fold=fold,
        shots=shots,
        ways=ways,
        backbone=backbone,
        variant=variant,
        task=None if task is None else _TASKS[task],
        protocol=protocol,
        score_at=score_at,
        checkpoint=checkpoint,
        backbone_weights=backbone_weights,
        random_weights=random_weights,
        weak=weak,
        episodes=episodes,
        limit=limit,
        seed=seed,
        runs=runs,
        skip_short_classes=skip_short_classes,
        labels=labels,
        lists=lists,
        part=part,
        root=root,
        device=device,
        out=out,
        existing=Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE,
    )
    _run(plan(request), save_predictions, quiet=quiet)


def _run(planned: Plan, save: Path | None, *, quiet: bool) -> None:
    from fssbench.engine.progress import Silent, progress_for
    from fssbench.engine.runner import run_plan

    progress = Silent() if quiet else progress_for(sys.stderr, _headline(planned))
    try:
        results = run_plan(planned, progress, ("fssbench", *sys.argv[1:]), save)
    except (FSSBenchError, KeyboardInterrupt) as error:
        for note in getattr(error, "__notes__", ()):
            typer.echo(note, err=True)
        raise
    report(results, planned.lists)


def _headline(planned: Plan) -> str:
    request = planned.request
    origin = f"(trained on {request.trained_on})" if request.trained_on != request.dataset else ""
    parts = [planned.info.name, request.variant, planned.backbone, "on", planned.dataset.name, origin]
    rules = f"{planned.way}-way {planned.shot}-shot, protocol {planned.protocol.name}"
    return f"{' '.join(part for part in parts if part)}, {rules}; rows go to {planned.out}"


def report(results: Results, lists: Sequence[EpisodeList]) -> None:
    """Print the numbers of a run, what has to be said beside them, and where its rows are."""
    from fssbench.engine.notes import notes

    summary = results.summary()
    output = console()
    output.print(_table(summary, results.run.protocol))
    for note in notes(results, summary, lists):
        output.print(note, soft_wrap=True, markup=False)
    output.print(f"rows: {results.folder}", soft_wrap=True, markup=False)


def _table(summary: Summary, protocol: ProtocolRecord) -> Table:
    from rich.table import Table

    second = ("exact_ratio", "ER") if protocol.task == "fscs" else ("fb_iou", "FB-IoU")
    measures = dict([("miou", "mIoU"), second])
    if protocol.base is not None and protocol.base.asked == "together":
        measures = {"miou": "novel mIoU", "base_miou": "base mIoU", "total_miou": "all mIoU"} | dict([second])
    elif summary.base_miou is not None:
        measures["base_miou"] = "base mIoU"
    table = Table(box=None, pad_edge=False)
    table.add_column("fold")
    table.add_column("episodes", justify="right")
    for title in measures.values():
        table.add_column(title, justify="right")
        table.add_column("95 %", justify="right")
        if summary.runs:
            table.add_column("std", justify="right")
    for fold in summary.folds:
        table.add_row(str(fold.fold), str(fold.episodes), *_cells(fold, measures))
    if len(summary.folds) > 1:
        table.add_section()
        table.add_row("mean", str(summary.episodes), *_cells(summary, measures))
    return table


def _cells(summary: Summary | FoldSummary, measures: Mapping[str, str]) -> list[str]:
    from fssbench.runs import spread_of

    cells = []
    for name in measures:
        interval = summary.intervals[name]
        cells += [f"{getattr(summary, name):.2f}", f"{interval.low:.1f} to {interval.high:.1f}"]
        if summary.runs:
            spread = spread_of(summary, name)
            cells.append("-" if spread is None else f"{spread.std:.2f}")
    return cells
