"""`fssbench site`: printed and measured results as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.help import OUTPUT
from fssbench.cli.paths import given_path

if TYPE_CHECKING:
    from fssbench.errors import FSSBenchError


def site(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=given_path,
            help="Run folders, or folders of runs; without one, only printed numbers are shown.",
            metavar="[RUN...]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=given_path,
            help="The folder: new, empty, or with an earlier site.",
            metavar="DIR",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("site"),
    title: Annotated[
        str, typer.Option("--title", help="The title of the first page.", rich_help_panel=OUTPUT)
    ] = "Few-shot segmentation",
    hub_dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--hub-dataset",
            help="The repository of a data set on the Hugging Face hub, for eval-results/.",
            metavar="KEY=ORG/NAME",
            show_default="none",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Write a leaderboard as a static site: any web server can hold it, and it opens from a folder, too.

    Tables are sorted and filtered by data set, backbone, shots, protocol, year, and by whether training has seen the
    test classes. Each method and data set has a page, each number its source or the record of its run. results.json,
    results.csv and eval-results/ are for other programs.

    Examples:
        fssbench site --out site
        fssbench site runs --title 'Results of our lab' --out site
    """
    from fssbench.site import gather, write
    from fssbench.site.exchange import parse_repositories
    from fssbench.writable import check_writable

    repositories = parse_repositories(hub_dataset or ())
    check_writable(out)

    def leave_out(folder: Path, error: FSSBenchError) -> None:
        say(f"note: {folder} is left out: {error}", err=True)

    written = write(gather(runs or (), leave_out=leave_out), out, title=title, repositories=repositories)
    say(f"{written.page}: {written.results} results, {written.measured} of them measured; {written.files} files")
