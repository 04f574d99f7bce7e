"""`fssbench checkpoints`: what is registered, what is on this machine, and whether it is what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fssbench.cli.checkpoints_fetch import fetch
from fssbench.cli.checkpoints_list import as_object, list_records
from fssbench.cli.checkpoints_status import status
from fssbench.cli.console import say, say_json
from fssbench.cli.help import Command, Group
from fssbench.cli.paths import given_path
from fssbench.errors import CheckFailedError, FSSBenchError, MissingError, UsageError

if TYPE_CHECKING:
    from fssbench.checkpoints import Record

app = typer.Typer(cls=Group, help="Released and own weights: list, show, add, verify, fetch, status.")

app.command(cls=Command)(fetch)
app.command(cls=Command)(status)
app.command("list", cls=Command)(list_records)

_ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors")

Identifier = Annotated[str, typer.Argument(metavar="ID", help="Name in the registry; see `fssbench checkpoints list`.")]


WHICH = "What it is"


def _fact(option: str, text: str, default: str = "that of --id") -> Any:  # noqa: ANN401 - as typer.Option's
    """Return an option that says what a checkpoint is."""
    return typer.Option(option, help=text, show_default=default, rich_help_panel=WHICH)


def _provenance(option: str, text: str) -> Any:  # noqa: ANN401 - as typer.Option's
    """Return an option that says where a checkpoint comes from."""
    return typer.Option(option, metavar="TEXT", help=text, show_default="none", rich_help_panel="Where it comes from")


@app.command(cls=Command)
def show(
    identifier: Identifier, as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every field.")] = False
) -> None:
    """Show all that is recorded of one checkpoint.

    Examples:
        fssbench checkpoints show hsnet-small-shapes20i-fold0
        fssbench checkpoints show asnet-resnet50-coco20i-fold0 --json
    """
    from fssbench.checkpoints import record
    from fssbench.checkpoints.fetching import absent, own_file, present
    from fssbench.checkpoints.training import ledger_of
    from fssbench.cli.ledger_lines import stated
    from fssbench.ledger.words import seen_of_papers, seen_text

    entry = record(identifier)
    file = own_file(entry) if present(entry) else None
    facts, seen = ledger_of(entry, file)
    if as_json:
        ledger = {**facts.as_object(), "seen": seen.as_object()}
        say_json(as_object(entry) | {"file": None if file is None else str(file), "ledger": ledger})
        return
    lines = {name: _text(value) for name, value in entry.model_dump(exclude_defaults=True).items()}
    if not entry.sha256:
        lines["sha256"] = "not recorded: nobody has taken it yet"
    elif entry.first_seen:
        lines["sha256"] += ", of the first fetch; nobody else vouches for it"
    if present(entry):
        lines["here"] = str(own_file(entry))
    else:
        lines["here"] = f"no; try: {absent(entry).remedy}"
    for name, text in lines.items():
        # Not in a table: links and commands are there to be copied whole.
        say(f"{name:<16} {text}")
    papers = seen_of_papers(facts, entry.backbone)
    further = [("seen of its test classes", seen_text(seen))] if entry.dataset else papers
    for head, text in stated(facts, entry.backbone, further, only="" if entry.dataset else "pretraining"):
        say(f"{'ledger':<16} {head}: {text}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@app.command(cls=Command)
def add(
    file: Annotated[
        Path, typer.Argument(parser=given_path, help="The weight file, as its authors released it or `train` wrote it.")
    ],
    identifier: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="A registered checkpoint that this file is, or a name for a new one.",
            show_default="made of what it is",
            rich_help_panel=WHICH,
        ),
    ] = None,
    method: Annotated[str | None, _fact("--method", "The method.")] = None,
    backbone: Annotated[str | None, _fact("--backbone", "Its backbone.")] = None,
    dataset: Annotated[str | None, _fact("--dataset", "What it was trained on.")] = None,
    fold: Annotated[int | None, _fact("--fold", "The fold it has not seen.")] = None,
    variant: Annotated[str, _fact("--variant", "The method's form, e.g. fscs.", "the first")] = "",
    shots: Annotated[str, _fact("--shots", "The numbers of supports it is for, e.g. 1,5.", "any")] = "",
    ways: Annotated[int, _fact("--ways", "Classes of an episode that it was trained with.", "1")] = 1,
    weak: Annotated[
        bool, typer.Option("--weak", help="Trained with image-level labels.", rich_help_panel=WHICH)
    ] = False,
    backbone_file: Annotated[
        Path | None,
        typer.Option(
            "--backbone-file",
            metavar="FILE",
            parser=given_path,
            help="The frozen backbone's file, where the first file lacks it.",
            show_default="it has it",
            rich_help_panel=WHICH,
        ),
    ] = None,
    licence: Annotated[str, _provenance("--licence", "Under what terms it is given.")] = "",
    source: Annotated[str, _provenance("--source", "Who released it, where.")] = "",
    note: Annotated[str, _provenance("--note", "Anything else.")] = "",
) -> None:
    """Register a weight file, so that `fssbench eval` finds it.

    Examples:
        fssbench checkpoints add best_model.ckpt --id asnet-resnet50-coco20i-fold0
        fssbench checkpoints add mine.pt --method hsnet --backbone resnet50 --dataset pascal5i --fold 0
    """
    from fssbench.checkpoints import add as write
    from fssbench.checkpoints import file_sha256, recognise, registry, stated_options

    for path in filter(None, (file, backbone_file)):
        recognise(path)
    sha256 = file_sha256(file)
    here: dict[str, Any] = {"path": str(file.resolve()), "sha256": sha256}
    if backbone_file is not None:
        here |= {"backbone_path": str(backbone_file.resolve()), "backbone_sha256": file_sha256(backbone_file)}
    known = next((entry for entry in registry.records() if entry.id == identifier), None)
    if known is not None and not (method or backbone or dataset or fold is not None):
        _check_known(known, file, sha256)
        moved = {"url", "hosting", "path", "hub", "revision", "filename", "filename_source", "gated"}
        moved |= {"package", "extra", "sha256", "backbone_path", "backbone_sha256"}
        entry = registry.Record.model_validate(known.model_dump(exclude=moved) | here)
    elif method is None or backbone is None or dataset is None or fold is None:
        raise UsageError(
            "a new record needs --method, --backbone, --dataset and --fold; a registered one only --id",
            "fssbench checkpoints list",
        )
    else:
        registry.check_record_arguments(method, variant, backbone, dataset, fold, way=ways)
        registry.check_not_seen(sha256, method, dataset, fold)
        name = identifier or registry.identifier_for(method, variant, backbone, dataset, fold, way=ways, weak=weak)
        entry = registry.new_record(
            id=name,
            method=method,
            variant=variant,
            backbone=backbone,
            dataset=dataset,
            fold=fold,
            shots=_numbers(shots),
            way=ways,
            weak=weak,
            options=stated_options(file),
            licence=licence,
            source=source,
            note=note,
            **here,
        )
    written = write(entry)
    say(f"{entry.id}: {file.resolve()}", f"  sha256 {sha256}", f"  written to {written}")
    say(f"  fssbench checkpoints verify {entry.id} tells whether it fits")


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"shots are numbers from 1, with commas between them, not '{text}'")
    return tuple(sorted({int(part) for part in parts}))


def _check_known(known: Record, file: Path, sha256: str) -> None:
    if known.sha256 and not sha256.startswith(known.sha256):
        raise UsageError(
            f"{file} is not {known.id}: its sha256 begins {sha256[:12]}, not {known.sha256[:12]}"
            f"{', as at the first fetch' if known.first_seen else ''}",
            "give it a record of its own with --method, --backbone, --dataset and --fold",
        )


@app.command(cls=Command)
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID|FILE]...", help="Which; default all that are registered and on this machine."),
    ] = None,
) -> None:
    """Check that checkpoints are the files that were recorded and fit their method; exit 1 if one does not.

    Examples:
        fssbench checkpoints verify
        fssbench checkpoints verify hsnet-small-shapes20i-fold0 best_model.ckpt
    """
    from fssbench.checkpoints import records
    from fssbench.checkpoints.fetching import present

    chosen: list[Record | Path] = [_named(name) for name in names or ()]
    if not names:
        chosen = [entry for entry in records() if present(entry)]
    for entry in chosen:
        if not isinstance(entry, Path) and not present(entry):
            from fssbench.checkpoints import locate

            locate(entry)  # says how to get it
    failed = 0
    for entry in chosen:
        name = str(entry) if isinstance(entry, Path) else entry.id
        try:
            say(f"{name}: {_readable(entry) if isinstance(entry, Path) else _verified(entry)}")
        except FSSBenchError as error:
            say(f"{name}: {error.message.removeprefix(f'{name}: ')}")
            failed += 1
    if failed:
        raise CheckFailedError(f"{failed} of {len(chosen)} checkpoints are not what they should be")
    say(f"{len(chosen)} checked" if chosen else "none is on this machine")


def _named(name: str) -> Record | Path:
    """Return the record of an id, or of a file that one is kept of; any other file as it is."""
    from fssbench.checkpoints import file_sha256, record, records

    path = Path(name)
    if not path.exists() and path.suffix not in _ENDINGS:
        return record(name)
    if not path.is_file():
        raise MissingError(f"there is no checkpoint {path}", "fssbench checkpoints list")
    sha256 = file_sha256(path)
    known = next((entry for entry in records() if entry.sha256 and sha256.startswith(entry.sha256)), None)
    if known is None:
        return path
    return known.model_copy(update={"path": str(path.resolve()), "url": "", "hub": "", "package": ""})


def _readable(path: Path) -> str:
    from fssbench.checkpoints import file_sha256, read_state

    count = len(read_state(path))
    return f"{count} entries, in no record, so nothing says what they should fit; sha256 {file_sha256(path)}"


def _verified(entry: Record) -> str:
    from fssbench.checkpoints import file_sha256, locate

    paths = locate(entry)
    state = "hash as recorded" if entry.sha256 else f"unverified: no hash is recorded; it is {file_sha256(paths[0])}"
    state = "hash as at the first fetch, for which nobody else vouches" if entry.first_seen else state
    from fssbench.checkpoints import load_into, read_state
    from fssbench.methods import build
    from fssbench.methods.catalogue import method_info

    variant = entry.variant or None
    name = entry.method or _floor_on(entry.backbone)
    if name is None:
        return f"{state}, {len(read_state(paths[0]))} entries; no method uses this network alone"
    options: dict[str, Any] = method_info(name).options_on(entry.dataset, variant) | entry.options
    options |= {"weak": True} if entry.weak else {}
    method = build(name, entry.backbone, variant, way=entry.way, **options)
    load_into(method, *paths)
    return f"{state}, {len(method.state_dict())} entries fit"


def _floor_on(backbone: str) -> str | None:
    """Return a method without training on a backbone, which ImageNet weights have to fit; None if there is none."""
    from fssbench.methods.catalogue import list_methods, method_info

    names = ["prototype", *list_methods()]
    return next((n for n in names if backbone in (i := method_info(n)).all_backbones and not i.trainable), None)
