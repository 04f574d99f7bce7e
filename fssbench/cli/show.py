"""`fssbench show`: episodes of runs as pictures, and contact sheets of a data set or an episode list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.cli.console import say
from fssbench.cli.fields import with_fields
from fssbench.cli.options import DataOptions
from fssbench.cli.report_page import key_of
from fssbench.cli.show_options import ShowOptions, check_out, write_picture
from fssbench.cli.values import words
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.reports.cases import Case
    from fssbench.reports.runs import Compared, Key


_DEFAULT_WORST = 3


@with_fields
def show(options: ShowOptions, data: DataOptions) -> None:
    """Show episodes of runs as pictures with every prediction and its errors, or what a data set looks like.

    Predictions that were not saved are computed again with the run's weights, and held against its counts.

    Examples:
        fssbench show runs/hsnet --worst 5 --class dog
        fssbench show runs/hsnet runs/asnet --disagree hsnet,asnet
        fssbench show --dataset pascal5i --fold 1 --class cat
        fssbench show --episodes runs/hsnet/episodes-fold0.json
    """
    check_out(options)
    if options.runs and (options.dataset or options.episodes):
        raise UsageError("RUN shows a run; --dataset and --episodes show a data set", "leave one of them out")
    if options.count < 1:
        raise UsageError(f"--count is 1 or more, not {options.count}")
    if options.runs:
        _show_runs(options, data)
    elif options.dataset or options.episodes:
        from fssbench.cli.show_data import show_data

        show_data(options, data)
    else:
        raise UsageError("name a run, --dataset or --episodes", "fssbench show RUN --worst 5")


def _show_runs(options: ShowOptions, data: DataOptions) -> None:
    from fssbench.reports import runs as of_runs

    folders = list(options.runs or [])
    others = words([options.disagree] if options.disagree else None)
    folders += [Path(word) for word in others if (Path(word) / "run.json").exists()]
    runs = of_runs.read(folders)
    from fssbench.reports.again import again
    from fssbench.reports.cases import plain_cases, with_masks
    from fssbench.reports.gallery import card
    from fssbench.reports.panels import panel
    from fssbench.reports.predictions import refused_path, saved
    from fssbench.reports.scene import open_scene

    scene = open_scene(runs.run, data.root)
    cases = plain_cases(runs)
    keys = _chosen(options, runs, _of_class(options, cases, scene.dataset), others)
    predicted = []
    for number, method in enumerate(runs.methods):
        given = (options.predictions or [])[number : number + 1]
        found = saved(method, scene, keys, given[0] if given else None)
        if refused := refused_path(method):
            say(f"note: {method.name}: run.json has a path to predictions that is not followed: {refused}", err=True)
        made, reason = again(method, scene, [key for key in keys if key not in found], options.device)
        if reason:
            say(f"note: {method.name} can't be computed again: {reason}", err=True)
        predicted.append(found | made)
    chosen = set(keys)
    cases = with_masks([case for case in cases if case.key in chosen], runs, scene, predicted)
    for key in keys:
        one = card(key, runs, scene, [case for case in cases if case.key == key], predicted)
        for name, shown in zip(runs.names, one.shown, strict=True):
            if shown.fault:
                say(f"warning: {one.name}, {name}: {shown.fault}", err=True)
        for note in one.notes:
            say(f"warning: {one.name}: {note}", err=True)
        text = ", ".join(f"{name} {shown.iou:.1f} %" for name, shown in zip(runs.names, one.shown, strict=True))
        write_picture(panel(one, runs.names), options, one.name, one.name if len(keys) > 1 else "", text)


def _of_class(options: ShowOptions, cases: list[Case], dataset: Dataset) -> list[Case]:
    from fssbench.reports.sheets import class_of

    wanted = None if options.class_name is None else class_of(dataset, options.class_name)
    kept = {
        case.key
        for case in cases
        if wanted in (None, case.class_id) and (options.fold is None or case.key[0] == options.fold)
    }
    if not kept:
        raise UsageError("no episode of the runs fits --class and --fold", "leave one of them out")
    return [case for case in cases if case.key in kept]


def _chosen(options: ShowOptions, runs: Compared, cases: list[Case], others: tuple[str, ...]) -> list[Key]:
    """Return the episodes that the options name, each once."""
    import numpy as np

    from fssbench.reports.gallery import episode_values

    for name, number in (("--worst", options.worst), ("--best", options.best), ("--random", options.random)):
        if number is not None and number < 1:
            raise UsageError(f"{name} is 1 or more, not {number}")
    values = {key: value for key, value in episode_values(cases).items() if not np.isnan(value).any()}
    mean = {key: float(np.mean(value)) for key, value in values.items()}
    worst = sorted(mean, key=lambda key: (mean[key], key))
    keys = [key_of(text, runs) for text in options.episode or []]
    keys += worst[: options.worst or 0]
    keys += worst[::-1][: options.best or 0]
    if options.random:
        places = np.random.default_rng(0).permutation(len(worst))[: options.random]
        keys += [sorted(worst)[place] for place in places]
    if options.disagree is not None:
        one, other = _two(runs, others)
        by_gap = sorted(values, key=lambda key: (-abs(values[key][one] - values[key][other]), key))
        keys += by_gap[: options.count if options.count != ShowOptions.count else _DEFAULT_WORST]
    if not (options.episode or options.worst or options.best or options.random or options.disagree):
        keys = worst[:_DEFAULT_WORST]
    return list(dict.fromkeys(keys))


def _two(runs: Compared, others: tuple[str, ...]) -> tuple[int, int]:
    """Return the places of the two methods whose difference is wanted."""
    if len(others) == 1:
        folder = Path(others[0]).resolve()
        found = [n for n, method in enumerate(runs.methods) if method.folder and method.folder.resolve() == folder]
        found = found or runs.numbers(others[0])
        if len(runs.methods) < 2 or found[0] == 0:
            raise UsageError("--disagree names another run than the first", "fssbench show RUN_A --disagree RUN_B")
        return 0, found[0]
    if len(others) != 2:
        raise UsageError("--disagree is the folder of the other run, or two names", "--disagree hsnet,asnet")
    one, other = (runs.numbers(name)[0] for name in others)
    if one == other:
        raise UsageError("--disagree names two different methods", "--disagree hsnet,asnet")
    return one, other
