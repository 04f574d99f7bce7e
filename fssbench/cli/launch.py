"""`fssbench launch`: an evaluation as jobs of a cluster."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.paths import check_folder, given_path
from fssbench.errors import UsageError

WHERE = "Jobs"
JOB = "What each job gets"


def launch(
    command: Annotated[list[str], typer.Argument(metavar="-- eval ...", help="eval and its options, after --.")],
    shards: Annotated[int, typer.Option("--shards", help="How many jobs share the work.", rich_help_panel=WHERE)],
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit to Slurm.", rich_help_panel=WHERE)] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Run as processes of this machine, to try it out.", rich_help_panel=WHERE)
    ] = False,
    minutes: Annotated[int, typer.Option("--minutes", help="Time limit of a job.", rich_help_panel=JOB)] = 240,
    cpus: Annotated[int, typer.Option("--cpus", help="Cores of a job.", rich_help_panel=JOB)] = 4,
    gpus: Annotated[int, typer.Option("--gpus", help="Graphics cards of a job.", rich_help_panel=JOB)] = 0,
    memory_gb: Annotated[int, typer.Option("--memory-gb", help="Memory of a job.", rich_help_panel=JOB)] = 16,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition", metavar="NAME", help="Partition of Slurm.", show_default="Slurm's own", rich_help_panel=JOB
        ),
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            "--at-once", help="How many jobs run at the same time.", show_default="all", rich_help_panel=WHERE
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            metavar="NAME=VALUE",
            help="A further parameter of submitit: slurm_account=vision; may be repeated.",
            show_default="none",
            rich_help_panel=JOB,
        ),
    ] = None,
    logs: Annotated[
        Path,
        typer.Option(
            "--logs",
            metavar="FOLDER",
            parser=given_path,
            help="Folder of the jobs' logs.",
            rich_help_panel=WHERE,
        ),
    ] = Path("runs/logs"),
) -> None:
    """Cut an evaluation into shards and submit a job for each; without --slurm or --local, print their commands.

    Examples:
        fssbench launch --shards 4 --local -- eval --method hsnet --dataset shapes20i --out runs/shapes
        fssbench launch --shards 16 --slurm -- eval --method hsnet --dataset coco20i --shots 5 --out runs/coco
    """
    from fssbench.engine.cluster import Resources, shard_commands, submit

    if slurm and local:
        raise UsageError("--slurm and --local exclude each other")
    check_folder("--logs", logs)
    commands = shard_commands(command, shards)
    out = Path(_out_of(command))
    if not (slurm or local):
        for one in commands:
            typer.echo(shlex.join(["fssbench", *one[3:]]))
    else:
        extra = dict(_pair(text) for text in parameter or [])
        resources = Resources(minutes, cpus, gpus, memory_gb, partition, at_once, extra)
        ids = submit(commands, logs, "slurm" if slurm else "local", resources)
        say(f"{len(ids)} jobs: {', '.join(ids)}; logs in {logs}")
    typer.echo(f"when all are done: fssbench merge {shlex.quote(str(out))}", err=not (slurm or local))


def _out_of(command: list[str]) -> str:
    for part, following in zip(command, (*command[1:], ""), strict=True):
        if named := following if part == "--out" else part.removeprefix("--out=") if part.startswith("--out=") else "":
            return named
    raise UsageError("--out names no folder", "--out DIR")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name):
        raise UsageError(f"--parameter is NAME=VALUE, not '{text}'", "--parameter slurm_account=vision")
    return name, value
