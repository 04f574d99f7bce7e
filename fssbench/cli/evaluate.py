"""`fssbench eval`: evaluate a method on the episodes of a protocol."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.cli.console import say
from fssbench.cli.eval_fetch import fetch_annotations, photos_arriving
from fssbench.cli.eval_options import EvalOptions
from fssbench.cli.eval_shard import check_scheduled, shard_of
from fssbench.cli.eval_until import check_until
from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.list_options import ListOptions
from fssbench.cli.options import DataOptions
from fssbench.cli.paths import check_folder
from fssbench.cli.replay import replay
from fssbench.cli.report import Evaluated, print_profile, report, report_together
from fssbench.cli.signals import resume_command
from fssbench.cli.tracking import TrackOptions
from fssbench.cli.values import existing_of, names_of, task_of, whole_number
from fssbench.errors import FSSBenchError, UsageError
from fssbench.escape import in_path
from fssbench.progress import Activity, silenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.engine.processes import Processes
    from fssbench.engine.profiling.profile import Profile
    from fssbench.planning.plan import Plan
    from fssbench.planning.request import Request
    from fssbench.results.run_reader import Results
    from fssbench.tracking.guarded import Guarded


@with_fields
def evaluate(options: EvalOptions, made: ListOptions, data: DataOptions, tracking: TrackOptions) -> None:
    """Evaluate methods: a row per episode in the run folder, and mIoU and FB-IoU (or exact ratio) per fold.

    Examples:
        fssbench eval --method hsnet --dataset shapes20i --fold 0
        fssbench eval --method hsnet,asnet --dataset coco20i --shots 1,5 --out runs/both

    Under torchrun the processes share the work: torchrun --nproc-per-node 2 -m fssbench eval ...
    """
    # Before the imports, which take seconds.
    check_folder("--out", options.out)
    check_folder("--save-predictions", options.save_predictions)
    from fssbench.engine.processes import processes_here

    processes = processes_here()
    with silenced(options.quiet or not processes.first):
        told = tracking.trackers() if processes.first else []
        _evaluate(options, made, data, processes, told)


def _evaluate(
    options: EvalOptions, made: ListOptions, data: DataOptions, processes: Processes, told: Sequence[Guarded]
) -> None:
    from fssbench.planning.request import Request
    from fssbench.planning.settings import Settings, parse_bytes

    existing = existing_of(resume=options.resume, overwrite=options.overwrite)
    memory = None if options.feature_cache is None else parse_bytes(options.feature_cache)
    shard, scheduled = shard_of(options, os.environ, told=processes.first)
    own: dict[str, Any] = {
        "task": task_of(options.task),
        "shots": None,  # each of them, where it is planned
        "existing": existing,
        "settings": Settings(**fields_for(Settings, options) | {"feature_cache": memory}),
        "shard": shard,
        "leads": processes.first,
    }
    if options.replay is not None:
        again = partial(run, processes=processes, quiet=options.quiet, told=told)
        replay(options, made, data, processes, own, lambda plans: again(plans)[0])
        return
    if missing := next((name for name in ("method", "dataset") if not getattr(options, name)), None):
        raise UsageError(f"missing option '--{missing}'", "fssbench eval --help")
    if options.fetch:
        fetch_annotations(options.dataset, data.root, processes)
    with Activity(f"reading {options.dataset} and drawing the episodes"):
        plans = _plans(Request(**fields_for(Request, options, made, data) | own), options.method, options.shots)
    if scheduled is not None:
        check_scheduled(scheduled, plans)
    check_until(plans, processes)
    save = options.save_predictions
    if save is not None and (len(plans) > 1 or shard is not None or processes.size > 1):
        raise UsageError(
            "--save-predictions goes with one run in one process", "leave it out, or evaluate the runs one by one"
        )
    with photos_arriving(plans) if options.fetch else nullcontext():
        resume = resume_command(processes.launcher, () if scheduled is None else ("--shard", str(scheduled.shard)))
        results, profile = run(plans, processes, save=save, quiet=options.quiet, again=resume, told=told)
    if not processes.first:
        return
    _report(plans, results)
    if profile is not None:
        from fssbench.engine.profiling.profile import write_profile

        write_profile(profile, plans[0].out)
        print_profile(profile)


def _plans(request: Request, methods: str, shots: str | None) -> list[Plan]:
    """Return a plan for each method and number of shots; those of several go to folders of their own."""
    from fssbench.planning.plan import plan

    names = names_of("--method", methods)
    shot_counts = [None] if shots is None else [whole_number("--shots", text) for text in names_of("--shots", shots)]
    if len(names) * len(shot_counts) == 1:
        return [plan(replace(request, method=names[0], shots=shot_counts[0]))]
    if request.label is not None and len(names) > 1:
        raise UsageError(
            "--label names one method", "evaluate the methods one by one, or fssbench table --label METHOD=NAME"
        )
    if request.checkpoint is not None and len(names) > 1:
        raise UsageError(
            "--checkpoint is of one method", "evaluate the methods one by one, or register the checkpoints"
        )
    plans: list[Plan] = []
    together = len(names) * len(shot_counts)
    for name in names:
        for shot in shot_counts:
            out = None if request.out is None else _own_folder(request, request.out, name, shot, len(shot_counts))
            known = plans[0].dataset if plans else None
            plans.append(plan(replace(request, method=name, shots=shot, out=out, together=together), known))
    return plans


def _own_folder(request: Request, out: Path, name: str, shot: int | None, shot_counts: int) -> Path:
    """Return the folder of one method and one number of shots in the folder of all.

    One shot is the default: where it is the only number its folder does not name it, typed or not. A run that was begun
    in a folder of the other name is continued there.
    """
    from fssbench.results.run_reader import RUN, Existing

    short = out / in_path(name).strip("-.")
    long = short.with_name(f"{short.name}-{shot or 1}shot")
    folder, other = (short, long) if shot_counts == 1 and shot in (None, 1) else (long, short)
    elsewhere = shot in (None, 1) and (other / RUN).exists() and not (folder / RUN).exists()
    return other if elsewhere and request.existing is Existing.RESUME else folder


def run(
    plans: Sequence[Plan],
    processes: Processes,
    *,
    save: Path | None = None,
    quiet: bool = False,
    again: str | None = None,
    told: Sequence[Guarded] = (),
) -> tuple[list[Results], Profile | None]:
    """Evaluate plans together, and show the progress; of an interrupted run, say what is kept and how it goes on.

    Args:
        plans: What is evaluated.
        processes: The processes that evaluate together.
        save: Folder for the label maps.
        quiet: Whether no progress is shown.
        again: The command that goes on with an interrupted run; default this one with --resume.
        told: Trackers that are told of it.

    Returns:
        The results, and where the time went if that was measured.
    """
    with Activity("loading torch"):
        from fssbench.engine.features.cache import CacheCounts
        from fssbench.engine.profiling.profile import make_profile
        from fssbench.engine.profiling.timers import StageTimers
        from fssbench.engine.runner import run_plans
        from fssbench.planning.plan import planned_run
        from fssbench.results.progress import Silent, progress_for
        from fssbench.tracking.guarded import watching

    folds = len({one.fold for planned in plans for one in planned.lists})
    progress = Silent() if quiet else progress_for(sys.stderr, _headline(plans), folds)
    timers, counts = StageTimers(), CacheCounts()
    try:
        with watching(progress, told, [(planned_run(one), one.out) for one in plans]) as (watched, finished):
            results = run_plans(
                plans,
                watched,
                ("fssbench", *sys.argv[1:]),
                save=save,
                timers=timers,
                cache_counts=counts,
                processes=processes,
            )
            finished(results)
    except (FSSBenchError, KeyboardInterrupt) as error:
        notes: list[str] = getattr(error, "__notes__", [])
        say(*notes, err=True)
        if notes and isinstance(error, KeyboardInterrupt) and processes.first:
            say(f"  try: {again or resume_command(processes.launcher)}", err=True)
        raise
    profiled = plans[0].request.settings.profiled and timers.episodes
    return results, make_profile(timers, counts) if profiled else None


def _report(plans: Sequence[Plan], results: Sequence[Results]) -> None:
    remarks = plans[0].dataset.remarks
    if len(plans) == 1:
        report(results[0], plans[0].lists, remarks)
    else:
        pairs = zip(plans, results, strict=True)
        report_together([Evaluated(one.info.name, result, one.lists) for one, result in pairs], remarks)


def _headline(plans: Sequence[Plan]) -> str:
    """Return a line that says what is evaluated, by which rules, and where the rows go."""
    first, request = plans[0], plans[0].request
    names = dict.fromkeys(" ".join(filter(None, (one.info.name, one.request.variant, one.backbone))) for one in plans)
    origin = f" (trained on {request.trained_on})" if request.trained_on != request.dataset else ""
    shots = ",".join(dict.fromkeys(str(one.shot) for one in plans))
    protocols = ", ".join(dict.fromkeys(one.protocol.name for one in plans))
    together = len(plans) > 1 and len({one.out.parent for one in plans}) == 1
    out = first.out.parent if together else ", ".join(str(one.out) for one in plans)
    rules = f"{first.way}-way {shots}-shot, protocol {protocols}"
    return f"{', '.join(names)} on {first.dataset.name}{origin}, {rules}; rows go to {out}"
