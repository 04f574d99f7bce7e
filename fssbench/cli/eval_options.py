"""The options of `fssbench eval`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from fssbench.cli.eval_computing import ComputingOptions
from fssbench.cli.eval_store import FeatureStoreOptions
from fssbench.cli.eval_until import UntilOption
from fssbench.cli.help import COMPUTING, DATA, EPISODES, OUTPUT, WEIGHTS, WHAT
from fssbench.cli.options import (
    AllowLeak,
    Backbone,
    BackboneWeights,
    BatchSize,
    Device,
    FeatureCache,
    Label,
    LabelBackbone,
    MaybeProtocol,
    MaybeTask,
    Overwrite,
    Precision,
    Quiet,
    ReplayableDataset,
    RunFolder,
    SkipShortClasses,
    Variant,
)
from fssbench.cli.paths import given_path


@dataclass(frozen=True)
class EvalOptions(UntilOption, ComputingOptions, FeatureStoreOptions):
    """The options of `fssbench eval`, besides those of the data set."""

    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME,...",
            help="One of `fssbench list methods`, or several: hsnet,asnet in one pass. Of 'as*' or '*' what can't be "
            "evaluated is left out, and named.",
            show_default="none; needed without --replay",
            rich_help_panel=WHAT,
        ),
    ] = ""
    dataset: ReplayableDataset = ""
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="N", help="A fold, or all.", show_default="all", rich_help_panel=WHAT),
    ] = None
    shots: Annotated[
        str | None,
        typer.Option(
            "--shots",
            metavar="K,...",
            help="Supports per class, or several: 1,5 in one pass.",
            show_default="1",
            rich_help_panel=WHAT,
        ),
    ] = None
    ways: Annotated[
        int | None, typer.Option("--ways", help="Classes per episode.", show_default="1", rich_help_panel=WHAT)
    ] = None
    backbone: Backbone = None
    variant: Variant = None
    task: MaybeTask = None
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            metavar="NAME",
            help="What the weights were trained on, to see what a shift of domain costs.",
            show_default="--dataset",
            rich_help_panel=DATA,
        ),
    ] = None
    test_classes: Annotated[
        str | None,
        typer.Option(
            "--test-classes",
            metavar="NAME",
            help="With --train-dataset: unseen, all, own, or repri-released (flawed) of coco20i to pascal5i.",
            show_default="those of the pair",
            rich_help_panel=DATA,
        ),
    ] = None
    allow_leak: AllowLeak = False
    fetch: Annotated[
        bool,
        typer.Option(
            "--fetch",
            help="Fetch annotations and the photos of the episodes that are not here, on the way (coco20i).",
            rich_help_panel=DATA,
        ),
    ] = False
    protocol: MaybeProtocol = None
    episodes: Annotated[
        str | None,
        typer.Option(
            "--episodes",
            metavar="N|FILE",
            help="How many (a run), or a list from `fssbench episodes export`, in whose name {fold} may stand.",
            show_default="the protocol's",
            rich_help_panel=EPISODES,
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            help="Evaluate only the first so many episodes of each fold.",
            show_default="all",
            rich_help_panel=EPISODES,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="Seed of the draw, of the first run.",
            show_default="the release's, all its runs",
            rich_help_panel=EPISODES,
        ),
    ] = None
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            help="Evaluate so many lists, with the release's seeds or seed, seed + 1, ...: mean and deviation.",
            show_default="the release's; 1 with --seed",
            rich_help_panel=EPISODES,
        ),
    ] = None
    score_at: Annotated[
        Literal["input", "original"] | None,
        typer.Option(
            "--score-at",
            help="Size at which IoU is counted.",
            show_default="the protocol's",
            rich_help_panel=EPISODES,
        ),
    ] = None
    skip_short_classes: SkipShortClasses = False
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Weights, in whose name {fold} may stand.",
            show_default="the registered ones",
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    backbone_weights: BackboneWeights = None
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights",
            help="Evaluate without a checkpoint, with random weights.",
            rich_help_panel=WEIGHTS,
        ),
    ] = False
    weak: Annotated[
        bool,
        typer.Option("--weak", help="The form that learnt from image-level labels (FS-CS).", rich_help_panel=WEIGHTS),
    ] = False
    device: Device = "auto"
    feature_cache: FeatureCache = None
    batch_size: BatchSize = None
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Threads that read photos ahead.",
            show_default="1, on a graphics card 4",
            rich_help_panel=COMPUTING,
        ),
    ] = None
    precision: Precision = "float32"
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the encoder by torch first.", rich_help_panel=COMPUTING)
    ] = False
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            help="Let the method itself predict, as its paper says, without its fast form.",
            rich_help_panel=COMPUTING,
        ),
    ] = False
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Evaluate one part of the run, for job arrays: 1/8. `fssbench merge` puts the parts together.",
            show_default="that of a job array, else none",
            rich_help_panel=COMPUTING,
        ),
    ] = None
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            metavar="RUN",
            parser=given_path,
            help="Evaluate a run (its folder or run.json) again, and say what differs; exit code 1 if a row does.",
            show_default="a new run",
            rich_help_panel=WHAT,
        ),
    ] = None
    out: RunFolder = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run in that folder, if there is one.", rich_help_panel=OUTPUT),
    ] = False
    overwrite: Overwrite = False
    label: Label = None
    label_backbone: LabelBackbone = None
    save_predictions: Annotated[
        Path | None,
        typer.Option(
            "--save-predictions",
            metavar="FOLDER",
            parser=given_path,
            help="Folder for the label maps too, as `fssbench score` reads them.",
            show_default="they are not kept",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    profiled: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Say where the time went; profile.json in the run folder has it, too.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    quiet: Quiet = False
