"""`fssbench eval`: evaluate a method on the episodes of a protocol."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.eval_fetch import fetch_annotations, photos_arriving
from fssbench.cli.options import (
    AllowLeak,
    Backbone,
    DataOptions,
    DatasetName,
    Device,
    MaybeProtocol,
    MaybeTask,
    Overwrite,
    Quiet,
    RunFolder,
    SkipShortClasses,
    existing_of,
    fields_for,
    names_of,
    task_of,
    whole_number,
    with_fields,
)
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.report import print_profile, report
from fssbench.cli.signals import resume_command
from fssbench.errors import FSSBenchError, UsageError
from fssbench.escape import in_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.engine.processes import Processes
    from fssbench.planning.plan import Plan
    from fssbench.planning.request import Request


@dataclass(frozen=True)
class EvalOptions:
    """The options of `fssbench eval`, besides those of the data set."""

    method: Annotated[
        str, typer.Option("--method", help="One of `fssbench list methods`, or several: hsnet,asnet in one pass.")
    ]
    dataset: DatasetName
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            help="What the weights were trained on, to see what a shift of domain costs.",
            show_default="--dataset",
        ),
    ] = None
    test_classes: Annotated[
        str | None,
        typer.Option(
            "--test-classes",
            help="With --train-dataset: unseen, all, own, or repri-released (flawed) of coco20i to pascal5i.",
            show_default="the pair's",
        ),
    ] = None
    allow_leak: AllowLeak = False
    fold: Annotated[str | None, typer.Option("--fold", help="A fold, or all.", show_default="all")] = None
    shots: Annotated[
        str | None, typer.Option("--shots", help="Supports per class, K; several: 1,5 in one pass.", show_default="1")
    ] = None
    ways: Annotated[int | None, typer.Option("--ways", help="Classes per episode, N.", show_default="1")] = None
    backbone: Backbone = None
    variant: Annotated[str | None, typer.Option("--variant", help="Variant of the method, if it has several.")] = None
    task: MaybeTask = None
    protocol: MaybeProtocol = None
    score_at: Annotated[
        Literal["input", "original"] | None,
        typer.Option("--score-at", help="Size at which IoU is counted.", show_default="the protocol's"),
    ] = None
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", help="Weights, in whose name {fold} may stand.", show_default="the registered"),
    ] = None
    backbone_weights: Annotated[
        str | None,
        typer.Option("--backbone-weights", help="The frozen backbone, where the checkpoint is without it."),
    ] = None
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Evaluate without a checkpoint, with random weights.")
    ] = False
    weak: Annotated[bool, typer.Option("--weak", help="The form that learnt from image-level labels (FS-CS).")] = False
    episodes: Annotated[
        str | None,
        typer.Option(
            "--episodes",
            help="How many (a run), or a list from `fssbench episodes export`, in whose name {fold} may stand.",
            show_default="the protocol's",
        ),
    ] = None
    limit: Annotated[
        int | None, typer.Option("--limit", help="Evaluate only the first so many episodes of each fold.")
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of the draw, of the first run.", show_default="the release's, all its runs"),
    ] = None
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            help="Evaluate so many lists, with the release's seeds or seed, seed + 1, ...: mean and deviation.",
            show_default="the release's; 1 with --seed",
        ),
    ] = None
    skip_short_classes: SkipShortClasses = False
    device: Device = "auto"
    out: RunFolder = None
    label: Annotated[
        str | None,
        typer.Option("--label", help="Name of the row in tables: 'MyNet (ours)'.", show_default="the method's"),
    ] = None
    label_backbone: Annotated[
        str | None,
        typer.Option("--label-backbone", help="Group of the row in tables: 'ViT-B/16'.", show_default="the backbone's"),
    ] = None
    save_predictions: Annotated[
        Path | None,
        typer.Option(
            "--save-predictions",
            parser=given_path,
            help="Folder for the label maps too, as `fssbench score` reads them.",
        ),
    ] = None
    fetch: Annotated[
        bool,
        typer.Option(
            "--fetch",
            help="Fetch annotations and the photos of the episodes that are not here, on the way (coco20i).",
        ),
    ] = False
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder, if there is one.")] = False
    overwrite: Overwrite = False
    quiet: Quiet = False
    feature_cache: Annotated[
        str | None,
        typer.Option(
            "--feature-cache",
            help="Memory for features of images that come again: 4GiB, 0.",
            show_default="a third of what is free, at most 4GiB",
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Images or episodes in one call.", show_default="1, on a graphics card 8"),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Threads that read photos ahead.", show_default="1, on a graphics card 4"),
    ] = None
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16", "float16"],
        typer.Option("--precision", help="In which the network computes; only float32 gives the releases' digits."),
    ] = "float32"
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the encoder by torch first.")] = False
    plain: Annotated[
        bool, typer.Option("--plain", help="Let the method itself predict, as its paper says, without its fast form.")
    ] = False
    profiled: Annotated[
        bool, typer.Option("--profile", help="Say where the time went; profile.json in the run folder has it, too.")
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Evaluate one part of the run, for job arrays: 1/8. `fssbench merge` puts the parts together.",
        ),
    ] = None


@with_fields
def evaluate(options: EvalOptions, data: DataOptions) -> None:
    """Evaluate a method: a row per episode in the run folder, and mIoU and FB-IoU (or exact ratio) per fold.

    Under torchrun the processes share the work: torchrun --nproc-per-node 2 -m fssbench eval ...
    """
    # Before the imports, which take seconds.
    check_folder("--out", options.out)
    check_folder("--save-predictions", options.save_predictions)
    from fssbench.engine.processes import processes_here
    from fssbench.planning.request import Request
    from fssbench.planning.settings import Settings, parse_bytes
    from fssbench.results.shard import Shard

    existing = existing_of(resume=options.resume, overwrite=options.overwrite)
    processes = processes_here()
    memory = None if options.feature_cache is None else parse_bytes(options.feature_cache)
    own: dict[str, Any] = {
        "task": task_of(options.task),
        "shots": None,  # each of them, where it is planned
        "existing": existing,
        "settings": Settings(**fields_for(Settings, options) | {"feature_cache": memory}),
        "shard": None if options.shard is None else Shard.parse(options.shard),
        "leads": processes.first,
    }
    if options.fetch:
        fetch_annotations(options.dataset, data.root, processes)
    plans = _plans(Request(**fields_for(Request, options, data) | own), options.method, options.shots)
    save = options.save_predictions
    if save is not None and (len(plans) > 1 or options.shard is not None or processes.size > 1):
        raise UsageError(
            "--save-predictions goes with one run in one process", "leave it out, or evaluate the runs one by one"
        )
    with photos_arriving(plans) if options.fetch else nullcontext():
        _run(plans, save, processes, quiet=options.quiet)


def _plans(request: Request, methods: str, shots: str | None) -> list[Plan]:
    """Return a plan for each method and number of shots; those of several go to folders of their own."""
    from fssbench.planning.plan import plan

    names = names_of("--method", methods)
    shot_counts = [None] if shots is None else [whole_number("--shots", text) for text in names_of("--shots", shots)]
    if len(names) * len(shot_counts) == 1:
        return [plan(replace(request, method=names[0], shots=shot_counts[0]))]
    if request.label is not None and len(names) > 1:
        raise UsageError(
            "--label names one method", "evaluate the methods one by one, or fssbench table --label METHOD=NAME"
        )
    if request.checkpoint is not None and len(names) > 1:
        raise UsageError(
            "--checkpoint is of one method", "evaluate the methods one by one, or register the checkpoints"
        )
    plans: list[Plan] = []
    for name in names:
        for shot in shot_counts:
            form = in_path(name).strip("-.") + ("" if shot is None else f"-{shot}shot")
            out = None if request.out is None else request.out / form
            known = plans[0].dataset if plans else None
            plans.append(plan(replace(request, method=name, shots=shot, out=out), known))
    return plans


def _run(plans: Sequence[Plan], save: Path | None, processes: Processes, *, quiet: bool) -> None:
    from fssbench.engine.features.cache import CacheCounts
    from fssbench.engine.profiling.profile import make_profile, write_profile
    from fssbench.engine.profiling.timers import StageTimers
    from fssbench.engine.runner import run_plans
    from fssbench.results.progress import Silent, progress_for

    progress = Silent() if quiet else progress_for(sys.stderr, "\n".join(map(_headline, plans)))
    timers, counts = StageTimers(), CacheCounts()
    try:
        results = run_plans(
            plans,
            progress,
            ("fssbench", *sys.argv[1:]),
            save=save,
            timers=timers,
            cache_counts=counts,
            processes=processes,
        )
    except (FSSBenchError, KeyboardInterrupt) as error:
        notes: list[str] = getattr(error, "__notes__", [])
        say(*notes, err=True)
        if notes and isinstance(error, KeyboardInterrupt) and processes.first:
            say(f"  try: {resume_command(processes.launcher)}", err=True)
        raise
    if not processes.first:
        return
    for planned, result in zip(plans, results, strict=True):
        if len(plans) > 1:
            say(f"{planned.info.name}, {planned.shot}-shot:")
        report(result, planned.lists, planned.dataset.remarks)
    if plans[0].request.settings.profiled and timers.episodes:
        found = make_profile(timers, counts)
        write_profile(found, plans[0].out)
        print_profile(found)


def _headline(planned: Plan) -> str:
    request = planned.request
    origin = f"(trained on {request.trained_on})" if request.trained_on != request.dataset else ""
    parts = [planned.info.name, request.variant, planned.backbone, "on", planned.dataset.name, origin]
    rules = f"{planned.way}-way {planned.shot}-shot, protocol {planned.protocol.name}"
    return f"{' '.join(part for part in parts if part)}, {rules}; rows go to {planned.out}"
