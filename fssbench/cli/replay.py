"""`fssbench eval --replay`: a run again, by its record, and what differs."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fssbench.cli.console import say
from fssbench.errors import UsageError
from fssbench.progress import Activity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fssbench.cli.eval_options import EvalOptions
    from fssbench.cli.list_options import ListOptions
    from fssbench.cli.options import DataOptions
    from fssbench.engine.processes import Processes
    from fssbench.planning.plan import Plan
    from fssbench.results.record import Run
    from fssbench.results.rows import Row
    from fssbench.results.run_reader import Results

    Evaluate = Callable[[Sequence[Plan]], list[Results]]

FREE = {
    *("replay", "out", "resume", "overwrite", "quiet", "profiled", "device"),
    *("feature_cache", "feature_store", "feature_store_size", "batch_size", "workers"),
    *("compiled", "compiled_heads", "deterministic", "channels_last"),
}
"""Options of an evaluation that do not decide what is evaluated."""


def replay(
    options: EvalOptions,
    made: ListOptions,
    data: DataOptions,
    processes: Processes,
    own: dict[str, Any],
    evaluate: Evaluate,
) -> None:
    """Evaluate a run again into a folder of its own, and say what differs; exit code 1 if a row does.

    Args:
        options: The options of the command; `replay` is set.
        made: Those of the list.
        data: Those of the data set.
        processes: The processes that evaluate together.
        own: What the options mean: settings, existing, leads.
        evaluate: Evaluates plans (`fssbench.cli.evaluate.run`).

    Raises:
        UsageError: If there is an option that the record of the run decides, or the run can't be replayed.
    """
    from fssbench.planning.plan import plan
    from fssbench.planning.replay import request_of
    from fssbench.results.rows import read_rows
    from fssbench.results.run_reader import ROWS, load_run, stored_rows

    folder = _folder(options.replay or Path())
    usual = type(options)()
    typed = [one.name for one in fields(options) if getattr(options, one.name) != getattr(usual, one.name)]
    typed += [one.name for one in fields(made) if getattr(made, one.name) is not None]
    typed += [one.name for one in fields(data) if one.name != "root" and getattr(data, one.name) is not None]
    if decided := [name for name in typed if name not in FREE]:
        raise UsageError(
            f"--replay evaluates as {folder} was evaluated, and --{decided[0].replace('_', '-')} would change that",
            "leave it out",
        )
    before = load_run(folder)
    whole = folder.parent if before.run.shard is not None and folder.name.startswith("shard-") else folder
    out = options.out or whole.with_name(f"{whole.name}-replay")
    request = request_of(before.run, folder, own["settings"], data.root)
    request = replace(request, device=options.device, out=out, existing=own["existing"], leads=processes.first)
    with Activity(f"reading {request.dataset} and the episodes"):
        planned = plan(request)
    results = evaluate([planned])
    if not processes.first:
        return
    now = results[0].run
    different = _report(stored_rows(folder, before.run), read_rows(planned.out / ROWS), before.run, now)
    say(f"replayed: {planned.out}")
    if different:
        raise typer.Exit(1)


def _folder(given: Path) -> Path:
    """Return the folder of a run that is named by its folder or its run.json."""
    from fssbench.results.run_reader import RUN

    folder = given.parent if given.name == RUN else given
    return folder.resolve() if folder == Path() else folder


def _report(before: Sequence[Row], now: Sequence[Row], first: Run, second: Run) -> bool:
    """Print what differs, and return whether a row does."""
    from fssbench.results.replayed import changed_images, record_differences, row_differences

    found = record_differences(first, second)
    if photos := changed_images(before, now, "photos"):
        found["data"].append(f"{len(photos)} photos are other files, the first {photos[0]}")
    if masks := changed_images(before, now, "masks"):
        found["data"].append(f"{len(masks)} masks are others, the first that of {masks[0]}")
    if any(row.masks for row in now) and (unknown := sum(row.masks is None for row in before)):
        found["data"].append(
            f"the masks of {unknown} of {len(before)} rows can't be compared: an earlier version kept no digests"
        )
    for topic, lines in found.items():
        if topic != "other" or lines:
            say(f"{topic:<9} {lines[0] if lines else 'the same'}", *(f"{'':<9} {line}" for line in lines[1:]))
    rows = row_differences(before, now)
    say(f"{'rows':<9} {rows.describe()}")
    return bool(rows)
