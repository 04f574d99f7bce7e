"""`fssbench published`: the numbers that papers and repositories printed, each with its source."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fssbench.cli.console import print_table, say
from fssbench.cli.help import OUTPUT, Command, Group
from fssbench.cli.options import AsJson, OutFile
from fssbench.cli.paths import given_path
from fssbench.cli.values import numbers, words

if TYPE_CHECKING:
    from fssbench.publications.search import Filters

app = typer.Typer(
    cls=Group,
    help="The printed numbers: list and filter them, show each with its source, add your own, cite their papers.",
)

CHOICE = "Which rows"


def _filter(option: str, text: str) -> Any:  # noqa: ANN401 - as typer.Option's
    """Return an option by which rows are chosen."""
    return typer.Option(option, metavar="NAME,...", help=text, show_default="all", rich_help_panel=CHOICE)


Methods = Annotated[list[str] | None, _filter("--method", "Methods, e.g. hsnet,'as*'; 'hsnet:*' variants.")]
Datasets = Annotated[list[str] | None, _filter("--dataset", "Data sets, e.g. pascal5i or 'coco20i*'.")]
Backbones = Annotated[list[str] | None, _filter("--backbone", "Backbones, e.g. 'resnet*'.")]
Shots = Annotated[str, _filter("--shots", "Supports per class, e.g. 1,5.")]
Ways = Annotated[str, _filter("--ways", "Classes per episode, e.g. 1,2.")]
Tasks = Annotated[list[str] | None, _filter("--task", "fss, fscs or cross-domain.")]
Sources = Annotated[list[str] | None, _filter("--source", "Where it is printed, e.g. vat-readme or '*-paper'.")]
Venues = Annotated[list[str] | None, _filter("--venue", "Where the method appeared: 'CVPR 2022', 'eccv*'.")]


@app.command("list", cls=Command)
def list_rows(
    method: Methods = None,
    dataset: Datasets = None,
    backbone: Backbones = None,
    shots: Shots = "",
    ways: Ways = "",
    task: Tasks = None,
    source: Sources = None,
    venue: Venues = None,
    form: Annotated[
        Literal["terminal", "csv", "json", "markdown"],
        typer.Option("--format", help="csv and json hold every column.", rich_help_panel=OUTPUT),
    ] = "terminal",
    as_json: AsJson = False,
) -> None:
    """List printed rows, ablations and re-runs included; every filter takes several values with commas between.

    Examples:
        fssbench published list --venue 'cvpr*' --dataset coco20i --shots 5
        fssbench published list --method hsnet,asnet --dataset pascal5i --format csv
    """
    from fssbench.publications import listing as listing
    from fssbench.publications.own import with_own
    from fssbench.publications.search import select
    from fssbench.publications.status import PUBLISHED_ONLY, UNTRAINED

    known = with_own()
    found = select(known, _wanted(method, dataset, backbone, shots, ways, task, source, venue))
    form = "json" if as_json else form
    if form != "terminal":
        drawn = {"csv": listing.as_csv, "json": listing.as_json, "markdown": listing.as_markdown}[form]
        typer.echo(drawn(known, found), nl=False)
        return
    lines = listing.lines_of(known, found)
    # A hundred columns are few: only names of methods and pairs of data sets may be folded.
    heads = tuple({"way": "N", "shot": "K"}.get(head, head) for head in listing.HEADS)
    print_table(heads, lines, whole=[head for head in heads if head not in ("method", "data set")])
    only, untrained = (sum(line[-1] == status for line in lines) for status in (PUBLISHED_ONLY, UNTRAINED))
    typer.echo(
        f"\n{len(lines)} of {len(known.rows)} printed rows, {only} {PUBLISHED_ONLY} (does not run here), "
        f"{untrained} {UNTRAINED} (runs here once trained)\n"
        "fssbench published show METHOD or ID says where a row is printed"
    )


@app.command(cls=Command)
def show(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD|ID", help="Methods ('hsnet', 'as*', 'hsnet:*') or ids of rows ('vat-readme:7')."
        ),
    ],
    dataset: Datasets = None,
    backbone: Backbones = None,
    shots: Shots = "",
    ways: Ways = "",
    task: Tasks = None,
    source: Sources = None,
    form: Annotated[
        Literal["terminal", "csv", "json"], typer.Option("--format", help="How to show it.", rich_help_panel=OUTPUT)
    ] = "terminal",
    as_json: AsJson = False,
) -> None:
    """Show all that is known of printed rows: numbers, source, place, protocol, confidence and notes.

    Examples:
        fssbench published show bam --dataset pascal5i
        fssbench published show vat-readme:7 --json
    """
    from fssbench.publications import listing as listing
    from fssbench.publications.own import with_own
    from fssbench.publications.search import row_of, select

    known = with_own()
    requested = words(names)
    rows = {name: row_of(known, name) for name in requested}
    found = {one.id: one for one in rows.values() if one is not None}
    if methods := [name for name, one in rows.items() if one is None]:
        wanted = _wanted(methods, dataset, backbone, shots, ways, task, source, None)
        found |= {one.id: one for one in select(known, wanted)}
    chosen = list(found.values())
    form = "json" if as_json else form
    if form != "terminal":
        typer.echo({"csv": listing.as_csv, "json": listing.as_json}[form](known, chosen), nl=False)
        return
    width = min(shutil.get_terminal_size((listing.WIDTH, 24)).columns, listing.WIDTH) if sys.stdout.isatty() else None
    typer.echo(listing.described(known, chosen, width or listing.WIDTH), nl=False)


@app.command(cls=Command)
def add(
    file: Annotated[Path, typer.Argument(parser=given_path, help="A CSV file, with the columns of docs/printed.md.")],
) -> None:
    """Add printed numbers of your own: each cell is checked, and nothing is written if there is a fault.

    Examples:
        fssbench published add numbers.csv
        fssbench published add ~/papers/mynet/table-2.csv

    Tables show them with their source, marked as added by you. They take no number's place, and nothing is held
    against them.
    """
    from fssbench.publications.own import add as add_rows

    target, added, there = add_rows(file)
    say(f"{added} row{'' if added == 1 else 's'} added to {target}, which has {there}")
    say("fssbench published list --source 'own-*' shows them, fssbench published remove ID takes one out")


@app.command(cls=Command)
def remove(
    names: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of rows that you added.")],
) -> None:
    """Remove printed numbers that you added.

    Examples:
        fssbench published remove own-my-paper:1
        fssbench published remove own-another-paper:1
    """
    from fssbench.publications.own import remove as remove_rows

    target, left = remove_rows(words(names))
    say(f"removed; {target} has {left} rows" if left else f"removed; {target} had no others")


@app.command(cls=Command)
def bibtex(
    method: Methods = None,
    out: OutFile = None,
) -> None:
    """Write the BibTeX entries of methods and of the papers that print numbers, with the keys of `table --cite`.

    What was read at no source is left out, and a comment names it: nearly always authors.

    Examples:
        fssbench published bibtex --out fss.bib
        fssbench published bibtex --method hsnet,asnet
    """
    from fssbench.cli.paths import check_file
    from fssbench.files import write_text
    from fssbench.publications import bibtex as papers
    from fssbench.publications.load import publications
    from fssbench.publications.search import select

    check_file("--out", out)
    chosen: tuple[str, ...] = ()
    if method is not None:
        found = select(publications(), _wanted(method, None, None, "", "", None, None, None))
        chosen = tuple(dict.fromkeys(one.row.method for one in found))
    text = papers.bibtex(chosen)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)


def _wanted(
    method: list[str] | None,
    dataset: list[str] | None,
    backbone: list[str] | None,
    shots: str,
    ways: str,
    task: list[str] | None,
    source: list[str] | None,
    venue: list[str] | None,
) -> Filters:
    from fssbench.publications.search import Filters

    return Filters(
        methods=words(method),
        datasets=words(dataset),
        backbones=words(backbone),
        shots=numbers("--shots", shots),
        ways=numbers("--ways", ways),
        tasks=words(task),
        sources=words(source),
        venues=words(venue),
    )
