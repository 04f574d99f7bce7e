"""`fssbench bench-backbones`: several backbones under one training-free method, on the same episodes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import console, say
from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.help import EPISODES, OUTPUT, WHAT
from fssbench.cli.options import (
    BatchSize,
    DataOptions,
    DatasetName,
    Device,
    FeatureCache,
    MaybeProtocol,
    Overwrite,
    Precision,
    RunFolder,
)
from fssbench.cli.paths import check_folder
from fssbench.cli.values import existing_of
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from fssbench.comparison.differences import Difference
    from fssbench.comparison.paired import Comparison
    from fssbench.engine.profiling.backbones import BackboneRun

TABLE = "backbones.csv"
_SEPARATOR = re.compile(r",(?!\d+(?:,|$))")
"""A comma between names; the numbers of layers in hf:OWNER/NAME#6,9,12 have commas, too."""


@dataclass(frozen=True)
class BenchOptions:
    """The options besides those of the data set."""

    backbones: Annotated[
        list[str],
        typer.Option(
            "--backbone",
            metavar="NAME,...",
            rich_help_panel=WHAT,
            help="Several of `fssbench list backbones`, or models of the hub (hf:OWNER/NAME, hf:./FOLDER): a,b, or the "
            "option repeated. The others are compared with the first.",
        ),
    ]
    dataset: DatasetName = "shapes20i"
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="A method without training.", rich_help_panel=WHAT)
    ] = "prototype"
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="N", help="A fold, or all.", show_default="all", rich_help_panel=WHAT),
    ] = None
    shots: Annotated[int, typer.Option("--shots", help="Supports per class.", rich_help_panel=WHAT)] = 1
    ways: Annotated[int, typer.Option("--ways", help="Classes per episode.", rich_help_panel=WHAT)] = 1
    protocol: MaybeProtocol = None
    episodes: Annotated[
        int | None,
        typer.Option("--episodes", help="How many (a run).", show_default="the protocol's", rich_help_panel=EPISODES),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Seed of the draw.", show_default="the release's", rich_help_panel=EPISODES),
    ] = None
    device: Device = "auto"
    precision: Precision = "float32"
    feature_cache: FeatureCache = None
    batch_size: BatchSize = None
    out: RunFolder = None
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep finished runs there, and continue the others.", rich_help_panel=OUTPUT),
    ] = False
    overwrite: Overwrite = False
    form: Annotated[
        Literal["terminal", "markdown", "csv", "json"],
        typer.Option("--format", help="How to show the table.", rich_help_panel=OUTPUT),
    ] = "terminal"


@with_fields
def bench_backbones(options: BenchOptions, data: DataOptions) -> None:
    """Compare backbones under one training-free method: mIoU, FB-IoU, difference, time, parameters, memory.

    Examples:
        fssbench bench-backbones --backbone small,resnet50 --dataset shapes20i --fold 0
        fssbench bench-backbones --backbone resnet50,hf:facebook/dinov2-small --dataset pascal5i

    All have the same episodes. Each has a run folder and a process of its own; the table is in OUT/backbones.csv, too.
    """
    check_folder("--out", options.out)
    from fssbench.engine.profiling.backbones import check_training_free, measure_backbones
    from fssbench.files import write_text

    names = [part.strip() for text in options.backbones for part in _SEPARATOR.split(text)]
    if not all(names) or len(set(names)) < len(names):
        raise UsageError("--backbone takes names with commas between them, each once", "--backbone small,resnet50")
    check_training_free(options.method)
    out = options.out or Path("runs") / f"backbones-{options.method}-{options.dataset}"
    given = _planned(names, options, data, out)
    runs = list(measure_backbones(options.method, names, given, out))
    comparison = _compared(runs)
    text = _csv(runs, comparison)
    write_text(out / TABLE, text)
    if options.form == "csv":
        typer.echo(text, nl=False)
    elif options.form == "json":
        typer.echo(_json(runs, comparison))
    elif options.form == "markdown":
        say(*_markdown(runs, comparison))
    else:
        _print(runs, comparison, out)


def _planned(names: Sequence[str], options: BenchOptions, data: DataOptions, out: Path) -> list[str]:
    """Return the options of `fssbench eval` for all backbones; mistakes of each are found before the first begins."""
    from fssbench.engine.profiling.backbones import run_folders
    from fssbench.planning.plan import plan
    from fssbench.planning.request import Request
    from fssbench.planning.settings import Settings, parse_bytes

    memory = None if options.feature_cache is None else parse_bytes(options.feature_cache)
    own = {
        "existing": existing_of(resume=options.resume, overwrite=options.overwrite),
        "episodes": None if options.episodes is None else str(options.episodes),
        "settings": Settings(**fields_for(Settings, options) | {"feature_cache": memory}),
    }
    request = Request(**fields_for(Request, options, data) | own)
    opened, protocol = None, options.protocol
    for name, folder in run_folders(out, names).items():
        planned = plan(replace(request, backbone=name, out=folder, protocol=protocol), opened)
        # The default protocol of a backbone that is trained here differs from others' on the user's own data.
        opened, protocol = planned.dataset, protocol or planned.protocol.name
    given = {
        "--dataset": options.dataset,
        "--fold": options.fold,
        "--shots": options.shots,
        "--ways": options.ways,
        "--protocol": protocol,
        "--episodes": options.episodes,
        "--seed": options.seed,
        "--device": options.device,
        "--precision": options.precision,
        "--feature-cache": options.feature_cache,
        "--batch-size": options.batch_size,
        "--root": data.root,
        "--labels": data.labels,
        "--lists": data.lists,
        "--part": data.part,
    }
    flags = [name for name, chosen in (("--resume", options.resume), ("--overwrite", options.overwrite)) if chosen]
    return [str(part) for option, value in given.items() if value is not None for part in (option, value)] + flags


def _compared(runs: Sequence[BackboneRun]) -> Comparison | None:
    from fssbench.comparison import compare

    return compare([run.results for run in runs]) if len(runs) > 1 else None


def _differences(runs: Sequence[BackboneRun], comparison: Comparison | None) -> list[Difference | None]:
    """Return the difference of each backbone's mIoU to that of the first: of the mean over the folds, if several."""
    duels = () if comparison is None else comparison.duels
    return [None, *([one for one in duel.differences if one.measure == "miou"][-1] for duel in duels)][: len(runs)]


def _csv(runs: Sequence[BackboneRun], comparison: Comparison | None) -> str:
    import csv
    from io import StringIO

    text = StringIO()
    rows = [run.record(difference) for run, difference in zip(runs, _differences(runs, comparison), strict=True)]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _json(runs: Sequence[BackboneRun], comparison: Comparison | None) -> str:
    import json

    rows = [run.record(difference) for run, difference in zip(runs, _differences(runs, comparison), strict=True)]
    record = runs[0].results.run
    found = {
        "method": record.method.name,
        "dataset": record.dataset.name,
        "protocol": record.protocol.name,
        "way": record.way,
        "shot": record.shot,
        "folds": [fold.fold for fold in record.folds],
        "notes": _notes(runs, comparison),
        "backbones": rows,
    }
    return json.dumps(found, indent=1, allow_nan=False)


_HEADS = ("backbone", "mIoU", "95 %", "FB-IoU", "95 %", "difference", "95 %", "p (Holm)", "ms/image", "params", "GiB")


def _cells(run: BackboneRun, difference: Difference | None) -> list[str]:
    intervals, summary = run.summary.intervals, run.summary
    against = ["", "", ""]
    if difference is not None:
        p_value = "-" if difference.no_p else f"{difference.p_holm:.4f}"
        against = [f"{difference.difference:+.2f}", difference.interval.text("+.1f"), p_value]
    return [
        run.backbone,
        f"{summary.miou:.2f}",
        intervals["miou"].text(),
        f"{summary.fb_iou:.2f}",
        intervals["fb_iou"].text(),
        *against,
        "-" if run.milliseconds is None else f"{run.milliseconds:.1f}",
        f"{run.parameters / 1e6:.1f}M",
        "-" if run.profile is None else f"{run.profile.peak_bytes / 2**30:.2f}",
    ]


def _notes(runs: Sequence[BackboneRun], comparison: Comparison | None) -> list[str]:
    record, profile = runs[0].results.run, runs[0].profile
    folds = ", ".join(str(fold.fold) for fold in record.folds)
    where = "" if profile is None else f"; {profile.device}, {profile.threads} threads"
    notes = [
        f"{record.method.name} on {record.dataset.name}, fold {folds}, {record.way}-way {record.shot}-shot, "
        f"{runs[0].summary.episodes} episodes, protocol {record.protocol.name}{where}",
        "difference: of mIoU to the first, on the same episodes; ms/image: time to encode an image; params: of the "
        "network; GiB: largest memory of the process, or of the graphics card",
    ]
    notes += _not_given(runs, comparison)
    return notes + list(() if comparison is None else comparison.notes)


def _not_given(runs: Sequence[BackboneRun], comparison: Comparison | None) -> list[str]:
    """Return why intervals and p-values in the table can't be given."""
    from fssbench.metrics.unknown import without_interval

    found = [(run.backbone, text) for run in runs for text in without_interval(run.summary, ("miou", "fb_iou"))]
    for run, difference in zip(runs, _differences(runs, comparison), strict=True):
        if difference is not None and difference.interval.reason:
            found.append((run.backbone, f"the interval of the difference can't be given: {difference.interval.reason}"))
        if difference is not None and difference.no_p:
            found.append((run.backbone, f"p can't be given: {difference.no_p}"))
    return [f"{name}: {text}" for name, text in found]


def _markdown(runs: Sequence[BackboneRun], comparison: Comparison | None) -> list[str]:
    from fssbench.escape import markdown_escaped

    rows = [_cells(run, difference) for run, difference in zip(runs, _differences(runs, comparison), strict=True)]
    rules = [":---", *["---:"] * (len(_HEADS) - 1)]
    lines = [_HEADS, rules, *([markdown_escaped(cell) for cell in row] for row in rows)]
    notes = [f"- {markdown_escaped(note)}" for note in _notes(runs, comparison)]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), "", *notes]


def _print(runs: Sequence[BackboneRun], comparison: Comparison | None, out: Path) -> None:
    output = console()
    output.print(_table(runs, comparison))
    for note in (*_notes(runs, comparison), f"runs: {out}; fssbench compare says more"):
        output.print(note, soft_wrap=True)


def _table(runs: Sequence[BackboneRun], comparison: Comparison | None) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in _HEADS:
        table.add_column(head, justify="left" if head == "backbone" else "right", overflow="fold")
    for run, difference in zip(runs, _differences(runs, comparison), strict=True):
        table.add_row(*_cells(run, difference))
    return table
