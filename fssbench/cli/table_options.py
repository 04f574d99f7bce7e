"""The options of `fssbench table`, in the groups of its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from fssbench.cli.help import OUTPUT
from fssbench.cli.paths import given_path

SHOWN = "What to show"
ROWS = "Rows and columns"
LATEX = "LaTeX"

FormatName = Literal["terminal", "markdown", "latex", "csv", "html", "json"]

ENDINGS: dict[str, FormatName] = {
    ".md": "markdown",
    ".tex": "latex",
    ".csv": "csv",
    ".html": "html",
    ".json": "json",
}
"""The format of a file by its ending."""


@dataclass(frozen=True)
class ShownOptions:
    """Which numbers a table has."""

    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            help="Methods ('hsnet', 'as*', 'hsnet:*' for variants) and run folders (./hsnet).",
            show_default="all",
            rich_help_panel=SHOWN,
        ),
    ] = None
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="Data sets, e.g. pascal5i,coco20i.",
            show_default="those of your runs, or else these two",
            rich_help_panel=SHOWN,
        ),
    ] = None
    shots: Annotated[
        str,
        typer.Option(
            "--shots",
            help="Supports per class, e.g. 1,5.",
            show_default="those of your runs on the data set, or else all",
            rich_help_panel=SHOWN,
        ),
    ] = ""
    ways: Annotated[
        str,
        typer.Option(
            "--ways",
            help="Classes per episode.",
            show_default="those of your runs on the data set, or else 1; all with --layout fscs",
            rich_help_panel=SHOWN,
        ),
    ] = ""
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone", help="Backbones, e.g. resnet50 or 'resnet*'.", show_default="all", rich_help_panel=SHOWN
        ),
    ] = None
    source: Annotated[
        Literal["published", "measured", "both"],
        typer.Option("--source", help="Printed numbers, measured ones, or both.", rich_help_panel=SHOWN),
    ] = "both"
    layout: Annotated[
        Literal["fss", "fscs"] | None,
        typer.Option(
            "--layout",
            help="Segmentation, or classification and segmentation.",
            show_default="those of your runs, or else fss; fscs where --ways has more than 1",
            rich_help_panel=SHOWN,
        ),
    ] = None
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs",
            parser=given_path,
            help="Folder of runs, or one run.",
            show_default="./runs if it is there",
            rich_help_panel=SHOWN,
        ),
    ] = None
    all_sources: Annotated[
        bool,
        typer.Option(
            "--all-sources",
            help="A row for each source that prints a result, not for the best one.",
            rich_help_panel=SHOWN,
        ),
    ] = False
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Only rows whose training has not seen the test classes; the others are named.",
            rich_help_panel=SHOWN,
        ),
    ] = False
    strict_level: Annotated[
        Literal["masks", "labels", "images"] | None,
        typer.Option(
            "--strict-level",
            help="What counts as having seen a class: its masks; tags and texts that name it, too; images without "
            "labels, too.",
            show_default="masks",
            rich_help_panel=SHOWN,
        ),
    ] = None
    ablation: Annotated[
        str | None,
        typer.Option(
            "--ablation",
            help="The ablation table of a method, with what was measured of its variants.",
            metavar="METHOD",
            show_default="none",
            rich_help_panel=SHOWN,
        ),
    ] = None
    per_class: Annotated[
        bool,
        typer.Option(
            "--per-class",
            help="The IoU of each class, with a column for each run; with --out FILE.svg, .pdf or .png a bar chart.",
            rich_help_panel=SHOWN,
        ),
    ] = False


@dataclass(frozen=True)
class StyleOptions:
    """How rows and columns look, and what LaTeX needs besides."""

    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="[RUN=]NAME",
            help="Name of your row: 'MyNet (ours)'; of one among several: runs/mynet='MyNet (ours)'. "
            "The key for LaTeX's \\ref is --latex-label.",
            show_default="the method's",
            rich_help_panel=ROWS,
        ),
    ] = None
    label_backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--label-backbone",
            metavar="[RUN=]NAME",
            help="Group of your row: 'ViT-B/16'; that of ResNet50 is taken by its name.",
            show_default="the backbone's",
            rich_help_panel=ROWS,
        ),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            help="Columns in their order: venue, folds, fold-0, ..., mean, fb-iou, miou, exact-ratio, params; "
            "the results in JSON have all of them.",
            show_default="all that have a number",
            rich_help_panel=ROWS,
        ),
    ] = None
    order: Annotated[
        Literal["year", "mean", "name", "given"],
        typer.Option(
            "--order",
            help="Rows of a backbone by year with your own last, by mean, by name, or as --compare names them.",
            rich_help_panel=ROWS,
        ),
    ] = "year"
    decimals: Annotated[
        int,
        typer.Option(
            "--decimals",
            metavar="N",
            help="Decimals of measured numbers, 0 to 4; a printed one never has more than were printed.",
            rich_help_panel=ROWS,
        ),
    ] = 1
    deviation: Annotated[
        bool,
        typer.Option(
            "--deviation",
            help="The standard deviation over runs next to their mean, ±; runs that differ in seed or weights become "
            "one row.",
            rich_help_panel=ROWS,
        ),
    ] = False
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="Footnotes also name options of methods and the order of image lists.",
            rich_help_panel=ROWS,
        ),
    ] = False
    no_intervals: Annotated[
        bool, typer.Option("--no-intervals", help="Without the lines of 95 % intervals.", rich_help_panel=ROWS)
    ] = False
    no_footnotes: Annotated[
        bool,
        typer.Option(
            "--no-footnotes",
            help="Without marks and footnotes; what they warn of goes to standard error.",
            rich_help_panel=ROWS,
        ),
    ] = False
    caption: Annotated[
        str,
        typer.Option(
            "--caption",
            help="The caption, in LaTeX with its commands.",
            show_default="data set and meaning of the numbers",
            rich_help_panel=LATEX,
        ),
    ] = ""
    latex_label: Annotated[
        str,
        typer.Option(
            "--latex-label", help="The key for \\ref, e.g. tab:pascal.", show_default="none", rich_help_panel=LATEX
        ),
    ] = ""
    cite: Annotated[
        bool,
        typer.Option(
            "--cite",
            help="\\cite with the names of methods and sources; `fssbench published bibtex` writes their entries.",
            rich_help_panel=LATEX,
        ),
    ] = False
    span: Annotated[
        Literal["column", "page"],
        typer.Option(
            "--span",
            help="As wide as a column of the text (table, without venues), or as the page (table*).",
            rich_help_panel=LATEX,
        ),
    ] = "page"


@dataclass(frozen=True)
class TableOutput:
    """Where a table goes, and in which format."""

    form: Annotated[
        FormatName | None,
        typer.Option(
            "--format",
            help="How to write it.",
            show_default="by the ending of --out, or else terminal",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=given_path, help="File to write.", show_default="the terminal", rich_help_panel=OUTPUT
        ),
    ] = None

    @property
    def format(self) -> FormatName:
        """The format of the table."""
        if self.form is not None or self.out is None:
            return self.form or "terminal"
        return ENDINGS.get(self.out.suffix.lower(), "terminal")
