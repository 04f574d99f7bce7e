"""`fssbench merge`: put the shards of a run together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fssbench.cli.options import Overwrite
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.signals import kept_on_stop, resume_command, typed_command
from fssbench.cli.values import existing_of


def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(
            parser=given_path,
            metavar="FOLDER...",
            help="Run folders, or the folder that the shards are in.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            parser=given_path,
            help="Folder of the whole run.",
            show_default="the folder of the shards",
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Add to the run in that folder.")] = False,
) -> None:
    """Put the shards of a run together; exit code 1 while episodes are missing, which `eval --resume` evaluates.

    Examples:
        fssbench merge runs/coco
        fssbench merge runs/coco-1of2 runs/coco-2of2 --out runs/coco
    """
    from fssbench.cli.report import report
    from fssbench.errors import UsageError
    from fssbench.results.merge import lists_of, shards_in
    from fssbench.results.merge import merge as merge_shards
    from fssbench.results.run_reader import read_run

    check_folder("--out", out)
    existing = existing_of(resume=resume, overwrite=overwrite)
    found = shards_in(folders)
    target = out or (folders[0] if found[0] != folders[0] else None)
    if target is None:
        raise UsageError("where does the whole run go?", "fssbench merge DIR... --out DIR")
    before = _written(target)
    with kept_on_stop(lambda: _kept(target, before), lambda: _again(target, before)):
        results = merge_shards(found, target, existing)
    report(results, list(lists_of(target, results.run).values()))
    if results.missing:
        alike = len({(run.cut, run.as_shard.count) for run in map(read_run, found)}) == 1
        typer.echo(
            f"{results.missing} episodes are missing in these {len(found)} runs"
            f"{'' if alike else ', which are not cut into shards in one way'}\n"
            "  try: the command of each unfinished shard again, with --resume, then fssbench merge --resume"
            f"{'' if alike else f'; or the command of the run without a shard, --out {target} --resume'}",
            err=True,
        )
        raise typer.Exit(1)


def _written(target: Path) -> int | None:
    """Return when the run in a folder was written; None if there is none."""
    from fssbench.results.run_reader import RUN

    try:
        return (target / RUN).stat().st_mtime_ns
    except OSError:
        return None


def _kept(target: Path, before: int | None) -> str:
    if _written(target) == before:
        return "the shards are as they were, and no row was merged"
    return f"the shards are as they were, and the rows that were merged are kept in {target}"


def _again(target: Path, before: int | None) -> str:
    return typed_command() if _written(target) == before else resume_command()
