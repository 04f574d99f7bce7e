"""`fssbench eval`: evaluate a method on the episodes of a protocol."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.cli.console import say
from fssbench.cli.eval_fetch import fetch_annotations, photos_arriving
from fssbench.cli.eval_options import EvalOptions
from fssbench.cli.eval_shard import check_scheduled, shard_of
from fssbench.cli.eval_store import store_settings
from fssbench.cli.eval_until import check_until
from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.list_options import ListOptions
from fssbench.cli.options import DataOptions
from fssbench.cli.paths import check_folder
from fssbench.cli.replay import replay
from fssbench.cli.report import Evaluated, folder_of, print_profile, report, report_together
from fssbench.cli.signals import resume_command
from fssbench.cli.tracking import TrackOptions
from fssbench.cli.values import existing_of, names_of, task_of, whole_number
from fssbench.errors import FSSBenchError, UsageError
from fssbench.progress import Activity, silenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.engine.processes import Processes
    from fssbench.engine.profiling.profile import Profile
    from fssbench.planning.plan import Plan
    from fssbench.results.run_reader import Results
    from fssbench.tracking.guarded import Guarded


@with_fields
def evaluate(options: EvalOptions, made: ListOptions, data: DataOptions, tracking: TrackOptions) -> None:
    """Evaluate methods: a row per episode in the run folder, and mIoU and FB-IoU (or exact ratio) per fold.

    Examples:
        fssbench eval --method hsnet --dataset shapes20i --fold 0
        fssbench eval --method 'hsnet,as*' --dataset pascal5i,coco20i --shots 1,5 --out runs/table

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
        "settings": Settings(**fields_for(Settings, options) | {"feature_cache": memory} | store_settings(options)),
        "shard": shard,
        "leads": processes.first,
    }
    if options.replay is not None:
        again = partial(run, processes=processes, quiet=options.quiet, told=told)
        replay(options, made, data, processes, own, lambda plans: again(plans)[0])
        return
    if missing := next((name for name in ("method", "dataset") if not getattr(options, name)), None):
        raise UsageError(f"missing option '--{missing}'", "fssbench eval --help")
    from fssbench.planning.several import by_dataset, is_wild, left_out_lines, plan_several

    methods, sets = names_of("--method", options.method), names_of("--dataset", options.dataset)
    if options.fetch:
        if len(sets) > 1 or is_wild(options.dataset):
            raise UsageError("--fetch goes with one data set", "evaluate the data sets one by one")
        fetch_annotations(options.dataset, data.root, processes)
    with Activity(f"reading {', '.join(sets)} and drawing the episodes"):
        request = Request(**fields_for(Request, options, made, data) | own)
        several = plan_several(request, methods, sets, _shots(options.shots))
    plans = several.plans
    if processes.first and not options.quiet:
        say(*left_out_lines(several), err=True)
    if scheduled is not None:
        check_scheduled(scheduled, plans)
    for of_one in by_dataset(plans):
        check_until(of_one, processes)
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


def _shots(text: str | None) -> list[int | None]:
    return [None] if text is None else [whole_number("--shots", one) for one in names_of("--shots", text)]


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

    folds = len({(planned.request.dataset, one.fold) for planned in plans for one in planned.lists})
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
    remarks = list(dict.fromkeys(remark for one in plans for remark in one.dataset.remarks))
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
    sets = ", ".join(dict.fromkeys(one.dataset.name for one in plans))
    together = len(plans) > 1 and folder_of([one.out for one in plans])
    out = together or ", ".join(str(one.out) for one in plans)
    rules = f"{first.way}-way {shots}-shot, protocol {protocols}"
    return f"{', '.join(names)} on {sets}{origin}, {rules}; rows go to {out}"
