"""`fssbench check`: measured numbers against printed ones or committed baselines; a miss ends in exit code 1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.paths import check_file, given_path
from fssbench.errors import CheckFailedError, MissingError, UsageError

if TYPE_CHECKING:
    from fssbench.checking import Report


def check(
    runs: Annotated[
        list[Path],
        typer.Argument(
            parser=given_path,
            help="Run folders, or folders of runs.",
            metavar="RUN...",
        ),
    ],
    against: Annotated[
        Literal["published", "baseline"], typer.Option("--against", help="Printed numbers, or committed baselines.")
    ] = "published",
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="POINTS",
            help="Per cent points either way, instead of the rule's.",
            show_default="by tier, see docs/continuous-integration.md",
        ),
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option(
            "--baselines",
            metavar="PATH",
            parser=given_path,
            help="Baselines of your own: a folder with a DATASET.csv each, or the file of one data set.",
            show_default="those of this project",
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the numbers of the runs into --baselines, in place of earlier ones.")
    ] = False,
    junit: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", parser=given_path, help="JUnit XML to write.", show_default="none"),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            "--step-summary",
            metavar="FILE",
            parser=given_path,
            help="Markdown to append the table to.",
            show_default="$GITHUB_STEP_SUMMARY if set",
        ),
    ] = None,
) -> None:
    """Check measured numbers: expected, measured, difference, tolerance, interval, verdict.

    Examples:
        fssbench check runs/hsnet-pascal
        fssbench check runs --against baseline --junit junit.xml
        fssbench check --update --baselines numbers runs/mine
        fssbench check --against baseline --baselines numbers runs/mine

    Against your own baselines the first episodes of a list (eval --limit) are compared with the same first episodes.
    Ends with 1 if a number misses, with 2 if a run, or a fold against baselines, has nothing to be compared with.
    """
    from fssbench.checking import report_of, stated_tolerance

    for option, file in (("--junit", junit), ("--step-summary", summary)):
        check_file(option, file)
    if update:
        if baselines is None:
            raise UsageError("--update writes baselines of your own, and no place was named", "--baselines FOLDER")
        _update(runs, baselines)
        return
    report = report_of(runs, against, None if tolerance is None else stated_tolerance(tolerance), baselines)
    _write(report, junit, summary)
    _show(report)
    _end(report)


def _update(runs: list[Path], baselines: Path) -> None:
    """Write baselines, and say what became of each."""
    from fssbench.checking.measured import measured
    from fssbench.checking.update import update_baselines
    from fssbench.cli.console import say

    changes = update_baselines(measured(runs), baselines)
    for change in changes:
        before = (
            "new" if change.before is None else "as before" if change.before == change.now else f"was {change.before}"
        )
        say(f"{change.name}: mIoU {change.now}, {before}")
    files = ", ".join(dict.fromkeys(str(change.place) for change in changes))
    say(
        "",
        f"{len(changes)} baselines written to {files}",
        f"  fssbench check --against baseline --baselines {baselines} RUN",
    )


def _show(report: Report) -> None:
    from fssbench.checking.render import HEADINGS, headline, notes, table_rows
    from fssbench.cli.console import print_table, say

    print_table(HEADINGS, table_rows(report))
    say("", *notes(report), headline(report))


def _write(report: Report, junit: Path | None, summary: Path | None) -> None:
    from fssbench.checking.junit import junit as xml
    from fssbench.checking.render import markdown
    from fssbench.files import write_text

    if summary is None and (named := os.environ.get("GITHUB_STEP_SUMMARY")):
        summary = Path(named)
    try:
        if junit is not None:
            write_text(junit, xml(report))
        if summary is not None:
            # Other steps write to the same file: GitHub wants it appended to.
            with summary.open("a", encoding="utf-8") as file:
                file.write(markdown(report))
    except OSError as error:
        raise UsageError(f"can't write {error.filename}: {error.strerror}") from error


def _end(report: Report) -> None:
    if report.missed:
        from fssbench.checking.junit import describe

        first = report.missed[0]
        raise CheckFailedError(
            f"{len(report.missed)} of {report.decided} checks missed, first {first.subject.name}, {describe(first)}"
        )
    if report.uncompared:
        own = "fssbench check --update --baselines DIR RUN writes baselines of your own"
        printed = "fssbench table --source published"
        if "--limit" in report.uncompared[0] or "--until" in report.uncompared[0]:
            printed = f"evaluate the whole list; or {own}, also of a part"
        remedy = printed if report.against == "printed numbers" else f"give --baselines DIR; {own}"
        raise MissingError(f"nothing to compare with: {report.uncompared[0]}", remedy)
