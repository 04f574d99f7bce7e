"""`fssbench bench`: time and memory of methods side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import console, say
from fssbench.cli.help import COMPUTING, EPISODES, OUTPUT, WEIGHTS, WHAT
from fssbench.cli.options import Backbone, BatchSize, DatasetName, Device, FeatureCache, MaybeProtocol, Root
from fssbench.cli.paths import check_file, given_path
from fssbench.errors import FSSBenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from fssbench.engine.profiling.bench import Measured


def bench(
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME,...",
            help="Several of `fssbench list methods`: hsnet,asnet.",
            rich_help_panel=WHAT,
        ),
    ],
    dataset: DatasetName = "shapes20i",
    fold: Annotated[str, typer.Option("--fold", metavar="N", help="A fold, or all.", rich_help_panel=WHAT)] = "0",
    shots: Annotated[
        str, typer.Option("--shots", metavar="K,...", help="Supports per class: 1,5.", rich_help_panel=WHAT)
    ] = "1",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME,...",
            help="float32,bfloat16,...; the first is compared with.",
            rich_help_panel=COMPUTING,
        ),
    ] = "float32",
    episodes: Annotated[int, typer.Option("--episodes", help="How many a fold.", rich_help_panel=EPISODES)] = 20,
    backbone: Backbone = None,
    protocol: MaybeProtocol = None,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights", help="Time and memory alone: no checkpoint is needed.", rich_help_panel=WEIGHTS
        ),
    ] = False,
    feature_cache: FeatureCache = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    root: Root = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            parser=given_path,
            help="CSV file for the numbers, written after each case.",
            show_default="they are only printed",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Compare what methods cost: episodes per second, time by stage, operations, memory, parameters.

    Examples:
        fssbench bench --method hsnet,asnet,prototype
        fssbench bench --method hsnet --shots 1,5 --precision float32,bfloat16 --out bench.csv

    Each is measured in a process of its own, one after the other. What is measured when it is interrupted is printed.
    """
    from fssbench.engine.profiling.bench import Case, measure
    from fssbench.files import write_text

    check_file("--out", out)
    parts = [[part.strip() for part in text.split(",")] for text in (method, shots, precision)]
    if not all(name for names in parts for name in names) or not all(part.isdecimal() for part in parts[1]):
        raise UsageError("--method, --shots and --precision take names with commas between them", "--shots 1,5")
    cases = [Case(name, int(shot), how) for name in parts[0] for shot in parts[1] for how in parts[2]]
    given = {
        "--dataset": dataset,
        "--fold": fold,
        "--episodes": str(episodes),
        "--backbone": backbone,
        "--protocol": protocol,
        "--feature-cache": feature_cache,
        "--batch-size": None if batch_size is None else str(batch_size),
        "--device": device,
        "--root": None if root is None else str(root),
    }
    options = [part for option, value in given.items() if value is not None for part in (option, value)]
    options += ["--random-weights"] if random_weights else []
    found: list[Measured] = []
    try:
        for one in measure(cases, options, _episodes(dataset, fold, episodes)):
            found.append(one)
            if len(cases) > 1:
                say(f"{one.case}: {one.rate:.2f} episodes/s", err=True)
            if out is not None:
                write_text(out, _csv(found))
    except (KeyboardInterrupt, FSSBenchError):
        if found:
            _print(found, dataset, fold)
            say(f"not measured: {'; '.join(map(str, cases[len(found) :]))}", err=True)
            say(*([] if out is None else [f"what was measured is kept in {out}"]), err=True)
        raise
    _print(found, dataset, fold)


def _episodes(dataset: str, fold: str, count: int) -> int | None:
    """Return how many episodes a case evaluates; None if only the data itself says how many folds it has."""
    from fssbench.datasets.catalogue import dataset_info

    return count if fold != "all" else count * dataset_info(dataset).folds or None


def _print(found: Sequence[Measured], dataset: str, fold: str) -> None:
    output = console()
    output.print(_table(found))
    first = found[0].profile
    output.print(
        f"{dataset}, fold {fold}, {first.episodes} episodes, {first.device} with {first.threads} threads of "
        f"{first.peak_flops / 1e9:.0f} GFLOP/s in matrix products",
        soft_wrap=True,
    )


def _csv(found: Sequence[Measured]) -> str:
    import csv
    from io import StringIO

    text = StringIO()
    rows = [one.record() for one in found]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _table(found: Sequence[Measured]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("method", "backbone"):
        table.add_column(title)
    for title in (
        "K",
        "precision",
        "ep/s",
        "encode",
        "cond.",
        "predict",
        "rest",
        "GFLOP",
        "of peak",
        "GiB",
        "params",
        "mIoU",
    ):
        table.add_column(title, justify="right")
    for one in found:
        per = {line.stage: f"{1000 * line.seconds / one.profile.episodes:.0f}" for line in one.profile.lines}
        rest = sum(line.seconds for line in one.profile.lines if line.stage in ("decode", "score"))
        record = one.record()
        table.add_row(
            one.case.method,
            one.backbone or "-",
            str(one.case.shots),
            one.case.precision,
            f"{one.rate:.2f}",
            *(per[stage] for stage in ("encode", "condition", "predict")),
            f"{1000 * rest / one.profile.episodes:.0f}",
            f"{record['gflop_per_episode']}",
            f"{float(record['share_of_matmul_peak'] or 0):.0%}",
            f"{one.profile.peak_bytes / 2**30:.1f}",
            "-" if one.learnable_parameters is None else f"{one.learnable_parameters / 1e6:.1f}M",
            _miou(one, found),
        )
    return table


def _miou(one: Measured, found: Sequence[Measured]) -> str:
    """Return the mIoU, with the change to the first precision of the same method and shots."""
    if one.random:
        return "-"
    first = next(other for other in found if (other.case.method, other.case.shots) == (one.case.method, one.case.shots))
    change = "" if first is one else f" ({one.miou - first.miou:+.2f})"
    return f"{one.miou:.2f}{change}"
