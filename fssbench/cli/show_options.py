"""The options of `fssbench show`, and how its pictures are written and shown."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.help import DATA, OUTPUT
from fssbench.cli.options import Device
from fssbench.cli.paths import check_folder, given_path
from fssbench.errors import UsageError

CHOSEN = "Which episodes of the runs"
SHEETS = "Contact sheets"
_OTHER_KINDS = (".jpg", ".jpeg", ".webp", ".gif", ".pdf", ".svg", ".html")


@dataclass(frozen=True)
class ShowOptions:
    """The options of `fssbench show`, besides those of the data set."""

    runs: Annotated[
        list[Path] | None,
        typer.Argument(parser=given_path, help="Run folders of the same episodes.", metavar="[RUN...]"),
    ] = None
    episode: Annotated[
        list[str] | None,
        typer.Option(
            "--episode",
            help="An episode: 17, 2:17 or fold2-00017. Can be repeated.",
            show_default="the worst three",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    worst: Annotated[
        int | None,
        typer.Option(
            "--worst",
            help="So many episodes with the lowest IoU.",
            show_default="3 if nothing else is chosen",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    best: Annotated[
        int | None,
        typer.Option(
            "--best",
            help="So many with the highest IoU.",
            show_default="none",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    random: Annotated[
        int | None,
        typer.Option(
            "--random",
            help="So many at random, always the same.",
            show_default="none",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    disagree: Annotated[
        str | None,
        typer.Option(
            "--disagree",
            help="Those on which two methods differ most: the other run's folder, or two names: hsnet,asnet.",
            show_default="none",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Only episodes or images of this class.",
            metavar="NAME",
            show_default="all",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            help="Only this fold.",
            show_default="all",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    count: Annotated[
        int,
        typer.Option(
            "--count",
            help="With --disagree, --dataset or --episodes: how many.",
            rich_help_panel=CHOSEN,
        ),
    ] = 24
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Contact sheets of a data set.",
            show_default="none",
            rich_help_panel=SHEETS,
        ),
    ] = None
    episodes: Annotated[
        Path | None,
        typer.Option(
            "--episodes",
            parser=given_path,
            help="Contact sheets of an episode list.",
            metavar="FILE",
            show_default="none",
            rich_help_panel=SHEETS,
        ),
    ] = None
    rim: Annotated[
        bool,
        typer.Option(
            "--rim",
            help="Outline the ignore region (255) in the contact sheets.",
            rich_help_panel=SHEETS,
        ),
    ] = False
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option(
            "--split",
            help="Split of the contact sheets.",
            show_default="the evaluated one",
            rich_help_panel=SHEETS,
        ),
    ] = None
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions",
            parser=given_path,
            help="Folders of saved predictions, in the order of the runs.",
            metavar="FOLDER",
            show_default="predictions in the run folder, or where its command saved them",
            rich_help_panel=DATA,
        ),
    ] = None
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=given_path,
            help="Folder of the pictures, or a .png; several are then named after it.",
            metavar="FOLDER|FILE",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("pictures")
    preview: Annotated[
        Literal["auto", "kitty", "iterm2", "sixel", "none"],
        typer.Option(
            "--preview",
            help="How the terminal shows pictures, too.",
            rich_help_panel=OUTPUT,
        ),
    ] = "auto"
    device: Device = "auto"


def check_out(options: ShowOptions) -> None:
    """Refuse an `--out` that is the name of a file of another kind.

    Raises:
        UsageError: If it is.
    """
    if options.out.suffix.lower() in _OTHER_KINDS and not options.out.is_dir():
        raise UsageError(f"pictures are PNG, not {options.out.suffix}", f"--out {options.out.with_suffix('.png')}")
    check_folder("--out", options.out.parent if _names_file(options.out) else options.out)


def _names_file(out: Path) -> bool:
    return out.suffix.lower() == ".png" and not out.is_dir()


def _path_of(out: Path, name: str, part: str) -> Path:
    """Return the file of a picture: in the folder `out`, or where it names a PNG, that file or one named after it."""
    if not _names_file(out):
        return out / f"{name}.png"
    return out.with_name(f"{out.stem}-{part}{out.suffix}") if part else out


def write_picture(png: bytes, options: ShowOptions, name: str, part: str, text: str) -> None:
    """Write a PNG where the options say, show it in the terminal if that can, and say what it is.

    Args:
        png: The picture.
        options: The options.
        name: Its name in a folder, without the ending.
        part: What tells it from the other pictures of the command; empty if it is the only one.
        text: What it shows.

    Raises:
        UsageError: If it can't be written.
    """
    from fssbench.files import write_bytes
    from fssbench.reports.preview import encoded, way_of

    path = _path_of(options.out, name, part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, png)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}", "give another --out") from error
    way = options.preview
    if way == "auto":
        way = way_of() if sys.stdout.isatty() else "none"
    if way != "none":
        typer.echo(encoded(png, way), nl=False)
    say(f"{path}: {text}")
