"""`fssbench eval`: ask a method the episodes of a protocol, and say how well it answered."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.report import print_profile, report
from fssbench.cli.signals import resume_command
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.engine.processes import Processes
    from fssbench.planning.plan import Plan
    from fssbench.planning.request import Request, Task

_TASKS: dict[str, Task] = {"fss": "fss", "fs-cs": "fscs", "fscs": "fscs"}


def evaluate(
    method: Annotated[
        str, typer.Option("--method", help="One of `fssbench list methods`, or several: hsnet,asnet in one pass.")
    ],
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
    shots: Annotated[
        str | None, typer.Option("--shots", help="Supports per class, K; several: 1,5 in one pass.", show_default="1")
    ] = None,
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
        Path | None,
        typer.Option(
            "--root",
            parser=given_path,
            help="Folder of the data set; see `fssbench data where`.",
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", parser=given_path, help="Run folder.", show_default="runs/METHOD-...")
    ] = None,
    save_predictions: Annotated[
        Path | None,
        typer.Option(
            "--save-predictions",
            parser=given_path,
            help="Folder for the label maps too, as `fssbench score` reads them.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, if there is one.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in that folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    feature_cache: Annotated[
        str | None,
        typer.Option(
            "--feature-cache",
            help="Memory for features of images that come again: 4GiB, 0.",
            show_default="a third of what is free, at most 4GiB",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Images or episodes in one call.", show_default="1, on a graphics card 8"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Threads that read photos ahead.", show_default="1, on a graphics card 4"),
    ] = None,
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16", "float16"],
        typer.Option("--precision", help="In which the network computes; only float32 gives the releases' digits."),
    ] = "float32",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the encoder by torch first.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Let the method itself predict, as its paper says, without its fast form.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the time went; profile.json in the run folder has it, too.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard", help="Answer one part of the run, for job arrays: 1/8. `fssbench merge` puts the parts together."
        ),
    ] = None,
) -> None:
    """Evaluate a method: a row per episode in the run folder, and mIoU and FB-IoU (or exact ratio) per fold.

    Under torchrun the processes share the work: torchrun --nproc-per-node 2 -m fssbench eval ...
    """
    # Before the imports, which take seconds.
    check_folder("--out", out)
    check_folder("--save-predictions", save_predictions)
    from fssbench.engine.processes import processes_here
    from fssbench.planning.request import Request
    from fssbench.planning.settings import Settings, parse_bytes
    from fssbench.results.run_reader import Existing
    from fssbench.results.shard import Share

    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    processes = processes_here()
    settings = Settings(
        feature_cache=None if feature_cache is None else parse_bytes(feature_cache),
        batch_size=batch_size,
        workers=workers,
        precision=precision,
        compiled=compiled,
        profiled=profile,
        plain=plain,
    )
    request = Request(
        method=method,
        dataset=dataset,
        train_dataset=train_dataset,
        test_classes=test_classes,
        allow_leak=allow_leak,
        fold=fold,
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
        settings=settings,
        shard=None if shard is None else Share.parse(shard),
        leads=processes.first,
    )
    plans = _plans(request, method, shots)
    if save_predictions is not None and (len(plans) > 1 or shard is not None or processes.size > 1):
        raise UsageError(
            "--save-predictions goes with one run in one process", "leave it out, or evaluate the runs one by one"
        )
    _run(plans, save_predictions, processes, quiet=quiet)


def _plans(request: Request, methods: str, shots: str | None) -> list[Plan]:
    """Return a plan for each method and number of shots; those of several go to folders of their own."""
    from fssbench.planning.plan import plan

    names = _listed("--method", methods)
    asked = [None] if shots is None else [_number("--shots", text) for text in _listed("--shots", shots)]
    if len(names) * len(asked) == 1:
        return [plan(replace(request, method=names[0], shots=asked[0]))]
    if request.checkpoint is not None and len(names) > 1:
        raise UsageError(
            "--checkpoint is of one method", "evaluate the methods one by one, or register the checkpoints"
        )
    plans: list[Plan] = []
    for name in names:
        for shot in asked:
            form = name if shot is None else f"{name}-{shot}shot"
            out = None if request.out is None else request.out / form
            known = plans[0].dataset if plans else None
            plans.append(plan(replace(request, method=name, shots=shot, out=out), known))
    return plans


def _listed(option: str, text: str) -> list[str]:
    found = [part.strip() for part in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise UsageError(f"{option} takes names with commas between them, each once, not '{text}'")
    return found


def _number(option: str, text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise UsageError(f"{option} is a number or several with commas between them, not '{text}'", f"{option} 1")
    return int(text)


def _run(plans: Sequence[Plan], save: Path | None, processes: Processes, *, quiet: bool) -> None:
    from fssbench.engine.features.cache import StoreCount
    from fssbench.engine.profiling.profile import profile_of, write_profile
    from fssbench.engine.profiling.timers import Stages
    from fssbench.engine.runner import run_plans
    from fssbench.results.progress import Silent, progress_for

    progress = Silent() if quiet else progress_for(sys.stderr, "\n".join(map(_headline, plans)))
    stages, count = Stages(), StoreCount()
    try:
        results = run_plans(
            plans,
            progress,
            ("fssbench", *sys.argv[1:]),
            save=save,
            stages=stages,
            count=count,
            processes=processes,
        )
    except (FSSBenchError, KeyboardInterrupt) as error:
        notes: list[str] = getattr(error, "__notes__", [])
        say(*notes, err=True)
        if notes and isinstance(error, KeyboardInterrupt) and processes.size == 1:
            say(f"  try: {resume_command()}", err=True)
        raise
    if not processes.first:
        return
    for planned, result in zip(plans, results, strict=True):
        if len(plans) > 1:
            say(f"{planned.info.name}, {planned.shot}-shot:")
        report(result, planned.lists, planned.dataset.remarks)
    if plans[0].request.settings.profiled and stages.episodes:
        found = profile_of(stages, count)
        write_profile(found, plans[0].out)
        print_profile(found)


def _headline(planned: Plan) -> str:
    request = planned.request
    origin = f"(trained on {request.trained_on})" if request.trained_on != request.dataset else ""
    parts = [planned.info.name, request.variant, planned.backbone, "on", planned.dataset.name, origin]
    rules = f"{planned.way}-way {planned.shot}-shot, protocol {planned.protocol.name}"
    return f"{' '.join(part for part in parts if part)}, {rules}; rows go to {planned.out}"
