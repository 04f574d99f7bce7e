"""`fssbench report`: runs as one page to look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.help import OUTPUT
from fssbench.cli.options import Device, Root
from fssbench.cli.paths import check_file, check_folder, given_path
from fssbench.cli.signals import kept_on_stop
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.reports.runs import Compared, Key

GALLERY = "Gallery"
PREDICTIONS = "Predictions"

Runs = Annotated[
    list[Path],
    typer.Argument(
        parser=given_path,
        help="Run folders, or folders of runs. Those of the same episodes are compared, with the first of them.",
        metavar="RUN...",
    ),
]


def report_page(
    runs: Runs,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=given_path,
            help="The page; with --split its folder.",
            metavar="FILE",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("report.html"),
    split: Annotated[
        bool,
        typer.Option(
            "--split",
            help="Write pictures as files next to the page, which then has no limit of 20 MB.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    episodes: Annotated[
        int,
        typer.Option(
            "--episodes",
            help="Episodes in the gallery of each list at most.",
            rich_help_panel=GALLERY,
        ),
    ] = 80,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--episode",
            help="A further episode for the gallery: 17, 2:17 or fold2-00017.",
            show_default="none",
            rich_help_panel=GALLERY,
        ),
    ] = None,
    predict: Annotated[
        Literal["chosen", "all", "none"],
        typer.Option(
            "--predict",
            help="Which predictions that were not saved are computed again.",
            rich_help_panel=PREDICTIONS,
        ),
    ] = "chosen",
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions",
            parser=given_path,
            help="Folders of saved predictions, in the order of the runs.",
            show_default="predictions in the run folder, or where its command saved them",
            metavar="FOLDER",
            rich_help_panel=PREDICTIONS,
        ),
    ] = None,
    no_similarity: Annotated[
        bool,
        typer.Option(
            "--no-similarity",
            help="Leave out how alike query and supports are.",
            rich_help_panel=GALLERY,
        ),
    ] = False,
    root: Root = None,
    device: Device = "auto",
) -> None:
    """Write a page: numbers with intervals, charts, kinds of errors, and a gallery of episodes, all in one file.

    What is no longer here, such as photos, is left out, and the page says so.

    Examples:
        fssbench report runs/hsnet runs/asnet --out report.html
        fssbench report runs/hsnet --split --episodes 500 --out report
    """
    if episodes < 0:
        raise UsageError(f"--episodes is 0 or more, not {episodes}")
    (check_folder if split else check_file)("--out", out)
    from fssbench.reports import runs as of_runs

    loaded = of_runs.load_all(runs)
    if predictions and len(predictions) > len(loaded):
        raise UsageError(f"there are {len(loaded)} runs, and {len(predictions)} folders of predictions")
    given = dict(zip(map(id, loaded), predictions or (), strict=False))
    lists = [of_runs.of_results(group) for group in of_runs.by_list(loaded)]
    named = [keys_of(text, lists) for text in also or ()]
    from fssbench.reports.lists import titles_of
    from fssbench.reports.page import write
    from fssbench.reports.report import Options, make

    with kept_on_stop(lambda: "no page is written before all of it is there"):
        reports = []
        for place, (compared, title) in enumerate(zip(lists, titles_of(lists), strict=True)):
            options = Options(
                episodes=episodes,
                predict=predict,
                predictions=tuple(given.get(id(method.results)) for method in compared.methods),
                root=root,
                device=device,
                similarity=not no_similarity,
                also=tuple(key for keys in named if (key := keys[place]) is not None),
            )
            made = make(compared, options, title)
            reports.append(made)
            if len(lists) > 1:
                say(f"{title}: {', '.join(compared.names)}", err=True)
            for text in made.missing:
                say(f"note: {text}", err=True)
        written = write(reports, out, split=split)
    if len(lists) > 1:
        say("note: the runs are of several lists of episodes: each is a section, and compared within it", err=True)
    if written.left_out:
        say(f"note: {written.left_out} episodes do not fit on one page; --split has all of them", err=True)
    say(f"{written.page}: {written.bytes / 1e6:.1f} MB, {written.episodes} episodes in the gallery")


def keys_of(text: str, lists: Sequence[Compared]) -> list[Key | None]:
    """Return for each list the episode that a text names; None where a list has no such episode.

    Raises:
        UsageError: If none has it.
    """
    found: list[Key | None] = []
    errors = []
    for runs in lists:
        try:
            found.append(key_of(text, runs))
        except UsageError as error:
            found.append(None)
            errors.append(error)
    if len(errors) == len(lists):
        raise errors[0]
    return found


def key_of(text: str, runs: Compared) -> Key:
    """Return an episode that is named by its number, "2:17" or "fold2-00017".

    Raises:
        UsageError: If it is no such name, the fold must be named, or no run has it.
    """
    found = re.fullmatch(r"(?:(?:fold)?(\d{1,4})[:-])?(\d{1,9})", text, re.ASCII)
    if found is None:
        raise UsageError(f"an episode is a number, fold:number or its id, not '{text}'", "--episode 0:17")
    folds = sorted({fold for fold, _ in runs.keys})
    if found[1] is None and len(folds) > 1:
        raise UsageError(f"the runs have the folds {folds[0]} to {folds[-1]}: name one of them", f"--episode 0:{text}")
    key = (folds[0] if found[1] is None else int(found[1]), int(found[2]))
    if key not in runs.methods[0].rows:
        raise UsageError(f"the runs have no row of fold {key[0]}, episode {key[1]}")
    return key
