"""`fssbench data`: where the data is, whether it is complete, and the split files of a release."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import console, say, say_json
from fssbench.cli.data_build import build
from fssbench.cli.data_fetch import fetch
from fssbench.cli.data_init import init
from fssbench.cli.data_list import list_data
from fssbench.cli.fields import with_fields
from fssbench.cli.help import Command, Group
from fssbench.cli.options import AsJson, Labels, Part, Root
from fssbench.cli.paths import given_path
from fssbench.errors import FSSBenchError, MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from fssbench.datasets.checks import Report

app = typer.Typer(cls=Group, help="The data on this machine: where it is, and whether it is complete.")

app.command("list", cls=Command)(list_data)
app.command("fetch", cls=Command)(with_fields(fetch))

SHOWN_PROBLEMS = 5


@app.command(cls=Command)
def where(
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            metavar="FOLDER",
            parser=given_path,
            help="Show also what this option would find in other commands.",
            show_default="none",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show for each data set its folder and how it is found: option, environment variable, config file, or none.

    Examples:
        fssbench data where
        fssbench data where --root DIR
    """
    from rich.table import Table
    from rich.text import Text

    from fssbench.config import config_name
    from fssbench.datasets.catalogue import dataset_info, folder_name, list_datasets
    from fssbench.datasets.roots import DATA_VARIABLE, find_root, own_data_in

    table = Table(box=None, pad_edge=False)
    for heading in ("data set", "found by", "folder"):
        table.add_column(heading, overflow="fold")
    missing = []
    objects: list[dict[str, str | None]] = []
    for name in list_datasets():
        if dataset_info(name).rendered:
            table.add_row(name, "rendered", "needs no files")
            objects.append({"dataset": name, "found_by": "rendered", "folder": None, "error": None})
            continue
        folder = folder_name(name)
        holds = root is not None and (root.name == folder or (root / folder).is_dir() or own_data_in(root) == name)
        given = root if holds else None
        try:
            found = find_root(name, given)
        except MissingError as error:
            table.add_row(name, Text("missing", style="red"), error.message)
            objects.append({"dataset": name, "found_by": None, "folder": None, "error": error.message})
            continue
        if found is None:
            missing.append(name)
        table.add_row(name, found.how if found else "-", str(found.path) if found else "none is set")
        how, place = (found.how, str(found.path)) if found else (None, None)
        objects.append({"dataset": name, "found_by": how, "folder": place, "error": None})
    if as_json:
        say_json(objects)
        return
    console().print(table)
    if missing:
        folders = ", ".join(map(folder_name, missing))
        say(
            "",
            "To set a folder, in the order in which they count:",
            "  --root DIR              on the command line: the data folder, or the one that holds it",
            f"  export {DATA_VARIABLE}=DIR  DIR holds {folders}",
            f"  {config_name()} with",
            "    [data]",
            f'    {missing[0]} = "DIR"',
            "fssbench data list says where each comes from; fssbench data fetch NAME --root DIR gets one",
        )


@app.command(cls=Command)
def check(
    name: Annotated[str, typer.Argument(help="Data set, e.g. pascal5i.")],
    root: Root = None,
    labels: Labels = None,
    part: Part = None,
    quick: Annotated[bool, typer.Option("--quick", help="Open the photos without decoding them.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Name every file, not the first few of each kind.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count images, masks and list entries, compare them with the official release, name what is missing or broken.

    Examples:
        fssbench data check pascal5i
        fssbench data check folder --root own-data

    Of your own data (`folder`) every problem is explained, with what mends it. Exit code 2 if anything is wrong.
    """
    from fssbench.datasets.checks import check_at

    given = {"labels": labels, "part": part}
    options = {option: value for option, value in given.items() if value is not None}
    report = check_at(name, root, decode=not quick, **options)
    if as_json:
        say_json(_as_object(report))
        if not report.complete:
            raise _incomplete(report)
        return
    output = console()
    place = f" in {report.root}" if report.root else ""
    output.print(f"{report.dataset}{place}", soft_wrap=True)
    output.print(_table(report))
    for note in report.notes:
        say(*note.split("\n"))
    if report.part:
        say(report.part)
    for what, problems in _problems(report):
        _print_problems(problems, f"{what} files", every=every)
    by_remedy: dict[str, list[str]] = {}
    for problem, remedy in report.faults:
        by_remedy.setdefault(remedy, []).append(problem)
    for remedy, alike in by_remedy.items():
        _print_problems(alike, "of the kind (--all names them)", every=every)
        say(*f"    {remedy}".split("\n"))
    if not report.complete:
        raise _incomplete(report)
    output.print(f"{report.dataset} is complete" if report.root else f"{report.dataset} is rendered: nothing can miss")


app.command(cls=Command)(build)
app.command(cls=Command)(init)


@app.command("import-splits", cls=Command)
def import_splits(
    name: Annotated[str, typer.Argument(help="coco20i, fss1000 or isaid5i.")],
    source: Annotated[
        Path,
        typer.Option(
            "--from",
            metavar="PATH",
            parser=given_path,
            help="HSNet's repository or a later one with its lists: archive, checkout, or the folder of the lists. For "
            "the image order PFENet's, for isaid5i GF-SAM's.",
        ),
    ],
) -> None:
    """Read a release's split files once and keep them: lists of COCO-20i and iSAID-5i, classes of FSS-1000.

    Examples:
        fssbench data import-splits coco20i --from hsnet
        fssbench data import-splits fss1000 --from hsnet/data/splits/fss

    The pickles among them are read without unpickling: nothing in them is run.
    """
    from fssbench.datasets.splits.importing import import_splits as read_splits

    for imported in read_splits(name, source):
        verdict = f"{'not ' if imported.differences else ''}{imported.release}'s release"
        say(f"{imported.split}: {imported.summary}, {verdict}; kept in {imported.path}")
        say(*(f"  note: {difference}" for difference in imported.differences))


def _as_object(report: Report) -> dict[str, object]:
    """Return a report as JSON takes it: everything, with no file left out."""
    return asdict(report) | {
        "root": None if report.root is None else str(report.root),
        "faults": [{"problem": problem, "remedy": remedy} for problem, remedy in report.faults],
        "complete": report.complete,
    }


def _problems(report: Report) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the sentences about files of a release by what is wrong with them."""
    return (("broken", report.broken), ("different", report.different), ("missing", report.missing))


def _print_problems(problems: Sequence[str], what: str, *, every: bool) -> None:
    shown = len(problems) if every else SHOWN_PROBLEMS
    for problem in problems[:shown]:
        say(f"! {problem}")
    if len(problems) > shown:
        say(f"! and {len(problems) - shown} more {what}")


def _table(report: Report) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("here", justify="right")
    compared = any(count.official is not None for count in report.counts)
    table.add_column("official" if compared else "", justify="right")
    table.add_column("")
    table.add_column("")
    for count in report.counts:
        official = "" if count.official is None else str(count.official)
        wrong = "none" if count.here == 0 else "too few" if count.official is None else "differs"
        mark = Text("ok", style="green") if count.same else Text(wrong, style="red")
        table.add_row(count.what, str(count.here), official, mark, count.note)
    return table


def _incomplete(report: Report) -> FSSBenchError:
    if report.faults:
        number = len(report.faults)
        return MissingError(
            f"{report.root} can't be used yet: {number} {'thing is' if number == 1 else 'things are'} wrong"
        )
    wrong = sum(not count.same for count in report.counts)
    found = [f"{wrong} of {len(report.counts)} counts differ"] if wrong else []
    for what, problems in _problems(report):
        if problems:
            found.append(f"{len(problems)} {'file is' if len(problems) == 1 else 'files are'} {what}")
    return MissingError(f"{report.dataset} in {report.root} is not the complete release: {', '.join(found)}")
