"""`fssbench explain`: why two runs, or a run and a printed row, differ: what each choice is worth."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.help import OUTPUT
from fssbench.cli.options import AsJson, Device, Quiet, Root
from fssbench.cli.paths import check_folder, given_path
from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.temporary import temporary_folder

if TYPE_CHECKING:
    from fssbench.explaining.explanation import Explanation
    from fssbench.explaining.rerunning import Again
    from fssbench.explaining.rescoring import Rescorer
    from fssbench.explaining.worth import Measure
    from fssbench.planning.plan import Plan
    from fssbench.results import Results

TEST = "What is tested"
_WIDEST = 100


def explain(
    runs: Annotated[
        list[Path],
        typer.Argument(parser=given_path, metavar="RUN_A [RUN_B]", help="Run folders."),
    ],
    published: Annotated[
        str | None,
        typer.Option(
            "--published",
            metavar="ID",
            help="A printed row in place of RUN_B, by its id in `fssbench published list`.",
            show_default="none",
            rich_help_panel=TEST,
        ),
    ] = None,
    rerun: Annotated[
        bool,
        typer.Option(
            "--rerun",
            help="Evaluate again with one choice changed, where rows and predictions can't tell.",
            rich_help_panel=TEST,
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="Look at the first so many episodes of each list only.",
            show_default="all",
            rich_help_panel=TEST,
        ),
    ] = None,
    metric: Annotated[
        Literal["miou", "fb-iou", "er"],
        typer.Option("--metric", help="What is explained.", rich_help_panel=TEST),
    ] = "miou",
    predictions_a: Annotated[
        Path | None,
        typer.Option(
            "--predictions-a",
            metavar="FOLDER",
            parser=given_path,
            help="Saved predictions of RUN_A, to be counted by other rules.",
            show_default="where the run saved them",
            rich_help_panel=TEST,
        ),
    ] = None,
    predictions_b: Annotated[
        Path | None,
        typer.Option(
            "--predictions-b",
            metavar="FOLDER",
            parser=given_path,
            help="Those of RUN_B.",
            show_default="where the run saved them",
            rich_help_panel=TEST,
        ),
    ] = None,
    root: Root = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            parser=given_path,
            help="Keep the runs of --rerun here; those that are here already are not evaluated again.",
            show_default="they are not kept",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Explain why two runs differ, or a run and a printed row: what each choice is worth, changed alone.

    Examples:
        fssbench explain runs/first runs/second
        fssbench explain runs/first runs/second --rerun --limit 100
        fssbench explain runs/first --published ifsl-readme:1

    Episodes, input size, scoring size, rules of counting, K shots, weights, method, precision, versions, photos. What
    they do not explain is said.
    """
    from fssbench.progress import silenced

    check_folder("--out", out)
    if len(runs) != (1 if published else 2):
        what = "one run is held against a printed row" if published else "two runs are held against each other"
        raise UsageError(what, "fssbench explain RUN_A RUN_B, or fssbench explain RUN --published ID")
    if published and (predictions_a or predictions_b):
        raise UsageError("saved predictions are counted again for two runs", "leave --predictions-a and -b out")
    if out is not None and not rerun:
        raise UsageError("--out keeps the runs of --rerun", "leave it out, or add --rerun")
    measures: dict[str, Measure] = {"miou": "miou", "fb-iou": "fb_iou", "er": "exact_ratio"}
    with silenced(quiet), _folder(out) as kept:
        again = _again(kept, limit, root, device, quiet=quiet) if rerun else None
        if published:
            text = _printed(runs[0], published, again, measures[metric], limit, as_json=as_json)
        else:
            folders = (predictions_a, predictions_b)
            text = _two(runs, folders, again, measures[metric], limit, root, as_json=as_json)
    typer.echo(text, nl=False)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with temporary_folder("fssbench-explain") as folder:
        yield folder


def _width() -> int:
    from fssbench.cli.console import PIPED
    from fssbench.cli.list_terminal import terminal_width

    return min(terminal_width(), _WIDEST) if sys.stdout.isatty() else PIPED


def _two(
    runs: Sequence[Path],
    predictions: tuple[Path | None, Path | None],
    again: Again | None,
    measure: Measure,
    limit: int | None,
    root: Path | None,
    *,
    as_json: bool,
) -> str:
    from fssbench.explaining import render
    from fssbench.explaining.explain import explain as explain_runs
    from fssbench.explaining.sides import Question, sides_of
    from fssbench.progress import Activity
    from fssbench.results import load_run

    if runs[0].resolve() == runs[1].resolve():
        raise UsageError(f"{runs[0]} is given twice: a run does not differ from itself", "fssbench explain RUN_A RUN_B")
    with Activity("reading the runs"):
        a, b = (load_run(folder) for folder in runs)
        frames = sides_of(a, b, limit).frames
    rescorers = [
        _rescorer(one, folder, frame, root) for one, folder, frame in zip((a, b), predictions, frames, strict=True)
    ]
    found = explain_runs(Question(a, b, measure, limit, again, (rescorers[0], rescorers[1])))
    return render.as_json(found) if as_json else render.as_text(found, _width())


def _rescorer(results: Results, given: Path | None, frame: object, root: Path | None) -> Rescorer | None:
    """Return the saved predictions of a run: those that were named, or those that its record names if they fit."""
    import pandas as pd

    from fssbench.explaining.rescoring import Rescorer, predictions_of
    from fssbench.progress import Activity

    assert isinstance(frame, pd.DataFrame)  # noqa: S101 - what `Sides` holds; pandas is imported late
    if given is not None and "{fold}" not in str(given) and not given.is_dir():
        raise MissingError(f"there is no folder of predictions {given}", "fssbench eval --save-predictions FOLDER")
    folder = given or predictions_of(results)
    if folder is None or results.run.protocol.base is not None:
        if given is not None:
            raise UsageError("predictions of base classes are not counted again", "leave --predictions-a and -b out")
        return None
    try:
        with Activity(f"counting the predictions in {folder}"):
            return Rescorer(results, folder, frame, root)
    except FSSBenchError as error:
        if given is not None:
            raise
        say(f"warning: {error.message}", err=True)
        return None


def _printed(run: Path, row: str, again: Again | None, measure: Measure, limit: int | None, *, as_json: bool) -> str:
    from fssbench.explaining import render_printed
    from fssbench.explaining.printed import explain_printed, found_row, with_again
    from fssbench.progress import Activity
    from fssbench.results import load_run

    found_row(row)  # a mistake in the id comes before the rows are read
    with Activity("reading the run"):
        results = load_run(run)
        found = explain_printed(results, row)
    if again is not None:
        if not found.protocol:
            raise UsageError(f"{row} can't be run again: no protocol here repeats its evaluation", "leave --rerun out")
        found = with_again(found, _by_release(results, found.protocol, again, measure, limit))
    return render_printed.as_json(found) if as_json else render_printed.as_text(found, _width())


def _by_release(results: Results, protocol: str, again: Again, measure: Measure, limit: int | None) -> Explanation:
    from fssbench.explaining.explain import explain as explain_runs
    from fssbench.explaining.rerunning import plan_by_protocol
    from fssbench.explaining.sides import Question

    other = again.show([plan_by_protocol(results, protocol, again)])[0]
    return explain_runs(Question(results, other, measure, limit, again))


def _again(out: Path, limit: int | None, root: Path | None, device: str, *, quiet: bool) -> Again:
    from fssbench.explaining.rerunning import Again
    from fssbench.planning.settings import Settings

    def show(plans: Sequence[Plan]) -> Sequence[Results]:
        from fssbench.engine.runner import run_plans
        from fssbench.results.progress import Silent, progress_for

        names = ", ".join(dict.fromkeys(str(one.out.relative_to(out)) for one in plans))
        folds = len({one.fold for planned in plans for one in planned.lists})
        headline = f"running again with one choice changed: {names}"
        progress = Silent() if quiet else progress_for(sys.stderr, headline, folds)
        return run_plans(plans, progress, ("fssbench", *sys.argv[1:]))

    return Again(out, limit, root, device, Settings(), show)
