"""Options that several commands share, each with its help once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from fssbench.cli.help import COMPUTING, DATA, EPISODES, OUTPUT, WEIGHTS, WHAT
from fssbench.cli.paths import given_path

_DATASET = "One of `fssbench list datasets`."
_PROTOCOL = "One of `fssbench list protocols`, or a file: ./mine.toml."
_BACKBONE = "One of `fssbench list backbones`, or a model of the Hugging Face hub: hf:OWNER/NAME, hf:./FOLDER."

DatasetName = Annotated[str, typer.Option("--dataset", metavar="NAME", help=_DATASET, rich_help_panel=WHAT)]
ReplayableDataset = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="NAME,...",
        help="One of `fssbench list datasets`, or several; '*' and '?' are wildcards.",
        show_default="none; needed without --replay",
        rich_help_panel=WHAT,
    ),
]
MaybeDataset = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME", help=_DATASET, show_default="none", rich_help_panel=WHAT),
]
Backbone = Annotated[
    str | None,
    typer.Option("--backbone", metavar="NAME", help=_BACKBONE, show_default="the method's own", rich_help_panel=WHAT),
]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="Variant of the method, if it has several.",
        show_default="its first for the task",
        rich_help_panel=WHAT,
    ),
]
DrawnBy = Annotated[
    str | None,
    typer.Option(
        "--protocol", metavar="NAME", help=_PROTOCOL, show_default="that of the data set", rich_help_panel=EPISODES
    ),
]
MaybeProtocol = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help=_PROTOCOL,
        show_default="that of the method's release",
        rich_help_panel=EPISODES,
    ),
]
MaybeTask = Annotated[
    Literal["fss", "fs-cs", "fscs"] | None,
    typer.Option(
        "--task",
        help="Segmentation, or classification and segmentation.",
        show_default="the method's",
        rich_help_panel=WHAT,
    ),
]
AllowLeak = Annotated[
    bool,
    typer.Option(
        "--allow-leak",
        help="Test also classes that training on --train-dataset has seen; the run is marked.",
        rich_help_panel=DATA,
    ),
]
SkipShortClasses = Annotated[
    bool,
    typer.Option("--skip-short-classes", help="Leave out classes that have too few images.", rich_help_panel=EPISODES),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="NAME",
        help="Labels of coco20i: hsnet, pycocotools, large or png.",
        show_default="hsnet",
        rich_help_panel=DATA,
    ),
]
Lists = Annotated[
    str | None,
    typer.Option(
        "--lists",
        metavar="all|here",
        help="Of coco20i's imported lists all entries, or those that are here.",
        show_default="all",
        rich_help_panel=DATA,
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="all|test",
        help="Of suim all images, or those of its test folder.",
        show_default="all",
        rich_help_panel=DATA,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        parser=given_path,
        help="Folder of the data set.",
        show_default="what `fssbench data where` shows",
        rich_help_panel=DATA,
    ),
]
BackboneWeights = Annotated[
    str | None,
    typer.Option(
        "--backbone-weights",
        metavar="FILE",
        help="The frozen backbone, where the checkpoint is without it.",
        show_default="the registered ones",
        rich_help_panel=WEIGHTS,
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.", rich_help_panel=COMPUTING),
]
FeatureCache = Annotated[
    str | None,
    typer.Option(
        "--feature-cache",
        metavar="SIZE",
        help="Memory for features of images that come again: 4GiB, or 0 for none.",
        show_default="a third of what is free, at most 3GiB; with one method on a processor less, to stay within 4GiB",
        rich_help_panel=COMPUTING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        help="Images or episodes in one call.",
        show_default="1, on a graphics card 8",
        rich_help_panel=COMPUTING,
    ),
]
Precision = Annotated[
    Literal["float32", "tf32", "bfloat16", "float16", "float16-features"],
    typer.Option(
        "--precision",
        metavar="NAME",
        help="float32, tf32, bfloat16, float16, or float16-features (maps of images alone); only float32 gives the "
        "releases' digits.",
        rich_help_panel=COMPUTING,
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        parser=given_path,
        help="Run folder.",
        show_default="runs/METHOD-DATASET-...",
        rich_help_panel=OUTPUT,
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        parser=given_path,
        help="File to write.",
        show_default="print it",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in that folder.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.", rich_help_panel=OUTPUT)]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="TEXT",
        help="Name of the row in tables: 'MyNet (ours)'.",
        show_default="the method's",
        rich_help_panel=OUTPUT,
    ),
]
LabelBackbone = Annotated[
    str | None,
    typer.Option(
        "--label-backbone",
        metavar="TEXT",
        help="Group of the row in tables: 'ViT-B/16'.",
        show_default="the backbone's",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)]


@dataclass(frozen=True)
class DataOptions:
    """Where a data set is, and what it takes besides."""

    labels: Labels = None
    lists: Lists = None
    part: Part = None
    root: Root = None

    @property
    def given(self) -> dict[str, str]:
        """What `open_dataset` is given besides the root."""
        options = {"labels": self.labels, "lists": self.lists, "part": self.part}
        return {name: value for name, value in options.items() if value is not None}
