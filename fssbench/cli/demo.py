"""`fssbench demo`: the first table of a newcomer, within a minute and without any data."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import console, say
from fssbench.cli.options import Quiet
from fssbench.cli.paths import check_folder, given_path
from fssbench.errors import UsageError
from fssbench.progress import Activity, silenced

if TYPE_CHECKING:
    from fssbench.planning.plan import Plan

DATASET = "shapes20i"
METHODS = ("copy-mask", "pfenet", "asnet", "hsnet")
"""A floor and three trained methods, whose weights come with the program."""

EPISODES = 50
"""Of each fold: few enough for half a minute on one core, enough to tell a trained method from the floor."""

FOLDER = Path("runs/demo")

_NEXT = {
    "as a table of a paper": "fssbench table --dataset {dataset} --runs {runs}",
    "what papers print": "fssbench table --compare hsnet,asnet --dataset pascal5i",
    "a method of your own": "fssbench new method mynet",
}


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            parser=given_path,
            help="Folder of the runs.",
            show_default=f"{FOLDER}, or {FOLDER}-2 if that is something else",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare three trained methods with a floor, in half a minute: data is drawn on the fly, weights are shipped.

    Examples:
        fssbench demo
        fssbench demo --out runs/first

    The same command continues where it was interrupted, and a finished one prints its table again.
    """
    check_folder("--out", out)
    from fssbench.cli.evaluate import run
    from fssbench.cli.report import Evaluated, notes_of, tables_of
    from fssbench.engine.processes import ALONE

    with silenced(quiet):
        with Activity("drawing the episodes"):
            plans = _plans(out)
        with Activity("loading torch"):
            import torch
        # Small networks gain little from several threads, and lose all where other programs keep the cores busy.
        torch.set_num_threads(1)
        results, _ = run(plans, ALONE, quiet=quiet, again="fssbench demo" + (f" --out {out}" if out else ""))
    evaluated = [
        Evaluated(plan.info.name if plan.info.venue else f"{plan.info.name} (floor)", result, plan.lists)
        for plan, result in zip(plans, results, strict=True)
    ]
    folds, folder = len(plans[0].lists), plans[0].out.parent
    say(f"{DATASET}, 1-way 1-shot: the first {EPISODES} episodes of each of {folds} folds; the runs are in {folder}")
    summaries = [one.results.summary() for one in evaluated]
    say(*(note for note in notes_of(evaluated, summaries) if not note.startswith(("--limit", "episodes: drawn"))))
    for table in tables_of(evaluated, summaries):
        console().print(table)
    widest = max(map(len, _NEXT))
    lines = (f"  {what:<{widest}}  {command.format(dataset=DATASET, runs=folder)}" for what, command in _NEXT.items())
    say("", "What to try next:", *lines)


def _plans(out: Path | None) -> list[Plan]:
    """Return a plan for each method, in a folder that is new or has the runs of an earlier demonstration."""
    from fssbench.planning.plan import plan
    from fssbench.planning.request import Request
    from fssbench.results.run_reader import Existing

    def planned(folder: Path) -> list[Plan]:
        plans: list[Plan] = []
        for name in METHODS:
            request = Request(name, DATASET, shots=1, limit=EPISODES, out=folder / name, existing=Existing.RESUME)
            plans.append(plan(request, plans[0].dataset if plans else None))
        return plans

    if out is not None:
        return planned(out)
    for number in count(1):
        folder = FOLDER if number == 1 else FOLDER.with_name(f"{FOLDER.name}-{number}")
        if not folder.exists():
            return planned(folder)
        if any((folder / name / "run.json").is_file() for name in METHODS):
            try:
                return planned(folder)
            except UsageError:
                continue  # runs of another version, or with other options
    raise AssertionError("numbers end")  # pragma: no cover
