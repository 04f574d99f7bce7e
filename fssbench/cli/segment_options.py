"""The options of `fssbench segment`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fssbench.cli.help import COMPUTING, OUTPUT, WEIGHTS
from fssbench.cli.options import BackboneWeights, Device, Quiet
from fssbench.cli.paths import given_path

PHOTOS = "Photos"
METHOD = "Method"


@dataclass(frozen=True)
class SegmentOptions:
    """The options of `fssbench segment`."""

    support: Annotated[
        list[Path],
        typer.Option(
            "--support",
            metavar="PHOTO",
            parser=given_path,
            help="A photo with the object; may be repeated.",
            rich_help_panel=PHOTOS,
        ),
    ]
    mask: Annotated[
        list[str],
        typer.Option(
            "--mask",
            metavar="MASK",
            rich_help_panel=PHOTOS,
            help="The object in it: a.png, a.png:15 (a value), a.json (COCO), box:X0,Y0,X1,Y1, points:X,Y;X,Y.",
        ),
    ]
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", parser=given_path, help="Folder for the masks.", rich_help_panel=OUTPUT
        ),
    ]
    query: Annotated[
        list[Path] | None,
        typer.Option(
            "--query",
            metavar="PHOTO|FOLDER",
            parser=given_path,
            help="A photo to segment, or a folder of photos; further ones may follow.",
            show_default=False,
            rich_help_panel=PHOTOS,
        ),
    ] = None
    photos: Annotated[
        list[Path] | None, typer.Argument(help="Further photos or folders to segment.", show_default=False)
    ] = None
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="The class of each support, in their order.",
            show_default="one class",
            rich_help_panel=PHOTOS,
        ),
    ] = None
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay",
            help="Write each photo with outlines and a legend, too, and the supports.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="One of `fssbench list methods`.",
            show_default="the best without training that is here",
            rich_help_panel=METHOD,
        ),
    ] = None
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="NAME",
            help="One of `fssbench list backbones`, or a model of the Hugging Face hub: hf:OWNER/NAME, hf:./FOLDER.",
            show_default="the method's own",
            rich_help_panel=METHOD,
        ),
    ] = None
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            metavar="NAME",
            help="Variant of the method, if it has several.",
            show_default="its first",
            rich_help_panel=METHOD,
        ),
    ] = None
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            metavar="NAME",
            help="What the weights of a trained method were trained on.",
            show_default="none, for a method without training",
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            help="The fold whose classes they have not seen.",
            show_default="0",
            min=0,
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Weights of a trained method.",
            show_default="the registered ones",
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    backbone_weights: BackboneWeights = None
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=32,
            max=4096,
            help="Side of the input.",
            show_default="that of the protocol",
            rich_help_panel=COMPUTING,
        ),
    ] = None
    device: Device = "auto"
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of these names.", rich_help_panel=OUTPUT)
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a line per photo.", rich_help_panel=OUTPUT)
    ] = False
    quiet: Quiet = False
