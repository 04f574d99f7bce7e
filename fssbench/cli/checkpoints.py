"""`fssbench checkpoints`: what is registered, what is on this machine, and whether it is what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fssbench.errors import CheckFailedError, FSSBenchError, UsageError

if TYPE_CHECKING:
    from fssbench.checkpoints import Record

app = typer.Typer(help="Released and own weights: list, show, add, verify, fetch.", no_args_is_help=True)

Identifier = Annotated[str, typer.Argument(metavar="ID", help="Name in the registry; see `fssbench checkpoints list`.")]


@app.command("list")
def list_records(
    method: Annotated[str | None, typer.Option("--method", help="Only this method.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only this data set.")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="Only this backbone.")] = None,
) -> None:
    """List the registered checkpoints, and which of them are on this machine."""
    from rich.console import Console
    from rich.table import Table

    from fssbench.checkpoints import records
    from fssbench.checkpoints.fetching import present

    wanted = {"method": method, "dataset": dataset, "backbone": backbone}
    shown = [r for r in records() if all(value in (None, getattr(r, name)) for name, value in wanted.items())]
    if not shown:
        asked = ", ".join(f"{name} {value}" for name, value in wanted.items() if value)
        raise UsageError(f"no checkpoint is registered for {asked}", "fssbench checkpoints list")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("id", "trained on", "hash known", "here"):
        table.add_column(heading, no_wrap=heading == "id")
    for record in shown:
        table.add_row(
            record.id, record.dataset or "ImageNet", "yes" if record.sha256 else "no", "yes" if present(record) else "-"
        )
    console = Console(highlight=False)
    console.print(table)
    here = sum(present(record) for record in shown)
    console.print(f"\n{len(shown)} registered, {here} on this machine; fssbench checkpoints show ID says more")


@app.command()
def show(identifier: Identifier) -> None:
    """Show all that is recorded of one checkpoint."""
    from rich.console import Console
    from rich.table import Table

    from fssbench.checkpoints import record
    from fssbench.checkpoints.fetching import cached_file, present

    entry = record(identifier)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in entry.model_dump(exclude_defaults=True).items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name, text)
    table.add_row("file", str(entry.file(entry.path) if entry.path else cached_file(entry)))
    table.add_row("here", "yes" if present(entry) else "no")
    Console(highlight=False).print(table)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="The weight file, as its authors released it or `train` wrote it.")],
    identifier: Annotated[
        str | None, typer.Option("--id", help="A registered checkpoint that this file is, or a name for a new one.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset")] = None,
    fold: Annotated[int | None, typer.Option("--fold", help="The fold it has not seen.")] = None,
    variant: Annotated[str, typer.Option("--variant", help="The method's form, e.g. fscs.")] = "",
    weak: Annotated[bool, typer.Option("--weak", help="Trained with image-level labels.")] = False,
) -> None:
    """Register a weight file, so that `fssbench eval` finds it."""
    from fssbench.checkpoints import add as write
    from fssbench.checkpoints import file_sha256, recognise, stated_options
    from fssbench.checkpoints.registry import Record, check_record_arguments, identifier_for, records
    from fssbench.datasets import REGISTRY
    from fssbench.methods import check_build

    recognise(file)
    sha256 = file_sha256(file)
    known = next((entry for entry in records() if entry.id == identifier), None)
    if known is not None and not (method or backbone or dataset or fold is not None):
        _check_known(known, file, sha256)
        place = {"url": "", "hosting": "file", "path": str(file.resolve()), "sha256": sha256, "registry": Path()}
        entry = Record.model_validate(known.model_dump() | place)
    elif method is None or backbone is None or dataset is None or fold is None:
        raise UsageError(
            "a new record needs --method, --backbone, --dataset and --fold; a registered one only --id",
            "fssbench checkpoints list",
        )
    else:
        check_record_arguments(method, backbone, fold)
        check_build(method, backbone, variant or None, 1, 1)
        REGISTRY.require(dataset)
        name = identifier or identifier_for(method, variant if variant != "fss" else "", backbone, dataset, fold)
        entry = Record(
            id=name,
            method=method,
            variant=variant,
            backbone=backbone,
            dataset=dataset,
            fold=fold,
            weak=weak,
            path=str(file.resolve()),
            sha256=sha256,
            options=stated_options(file),
        )
    registry = write(entry)
    typer.echo(f"{entry.id}: {file.resolve()}\n  sha256 {sha256}\n  written to {registry}")


def _check_known(known: Record, file: Path, sha256: str) -> None:
    if known.sha256 and not sha256.startswith(known.sha256):
        raise UsageError(
            f"{file} is not {known.id}: its sha256 begins {sha256[:12]}, not {known.sha256[:12]}",
            "give it a record of its own with --method, --backbone, --dataset and --fold",
        )


@app.command()
def verify(
    identifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Which; default all on this machine.")
    ] = None,
) -> None:
    """Check that checkpoints are the files that were recorded and fit their method; exit 1 if one does not."""
    from fssbench.checkpoints import record, records
    from fssbench.checkpoints.fetching import present

    chosen = [record(name) for name in identifiers] if identifiers else [r for r in records() if present(r)]
    failed = 0
    for entry in chosen:
        try:
            typer.echo(f"{entry.id}: {_verified(entry)}")
        except FSSBenchError as error:
            if identifiers and len(chosen) == 1 and not present(entry):
                raise
            typer.echo(f"{entry.id}: {error.message}")
            failed += 1
    if failed:
        raise CheckFailedError(f"{failed} of {len(chosen)} checkpoints are not what they should be")
    typer.echo(f"{len(chosen)} checked" if chosen else "none is on this machine")


def _verified(entry: Record) -> str:
    from fssbench.checkpoints import file_sha256, locate

    paths = locate(entry)
    state = "hash as recorded" if entry.sha256 else f"unverified: no hash is recorded; it is {file_sha256(paths[0])}"
    import fssbench
    from fssbench.checkpoints import load_into

    # ImageNet weights fit if the floor that uses nothing else takes them.
    variant = entry.variant or None
    options: dict[str, Any] = entry.options | ({"weak": True} if entry.weak else {})
    method = fssbench.build(entry.method or "prototype", entry.backbone, variant, **options)
    load_into(method, *paths)
    return f"{state}, {len(method.state_dict())} entries fit"


@app.command()
def fetch(identifiers: Annotated[list[str], typer.Argument(metavar="ID...", help="Which.")]) -> None:
    """Download checkpoints whose host hands out the file itself; what is there already is only checked."""
    import sys

    from fssbench.checkpoints import fetch as download
    from fssbench.checkpoints import file_sha256, record

    for entry in [record(name) for name in identifiers]:
        path = download(entry, progress=sys.stderr.isatty())
        known = "" if entry.sha256 else f"\n  unverified: no hash is recorded; it is {file_sha256(path)}"
        typer.echo(f"{entry.id}: {path}{known}")
