"""`fssbench show`: episodes of runs as pictures, and contact sheets of a data set or an episode list."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.help import DATA, OUTPUT
from fssbench.cli.options import DataOptions, Device, with_fields, words
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.report_page import key_of
from fssbench.errors import UsageError
from fssbench.escape import in_path

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.reports.cases import Case
    from fssbench.reports.runs import Compared, Key

CHOSEN = "Which episodes of the runs"
SHEETS = "Contact sheets"

_DEFAULT_WORST = 3


@dataclass(frozen=True)
class ShowOptions:
    """The options of `fssbench show`, besides those of the data set."""

    runs: Annotated[
        list[Path] | None,
        typer.Argument(parser=given_path, help="Run folders of the same episodes.", metavar="[RUN...]"),
    ] = None
    episode: Annotated[
        list[str] | None,
        typer.Option(
            "--episode",
            help="An episode: 17, 2:17 or fold2-00017. Can be repeated.",
            show_default="the worst three",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    worst: Annotated[
        int | None,
        typer.Option(
            "--worst",
            help="So many episodes with the lowest IoU.",
            show_default="3 if nothing else is chosen",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    best: Annotated[
        int | None,
        typer.Option(
            "--best",
            help="So many with the highest IoU.",
            show_default="none",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    random: Annotated[
        int | None,
        typer.Option(
            "--random",
            help="So many at random, always the same.",
            show_default="none",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    disagree: Annotated[
        str | None,
        typer.Option(
            "--disagree",
            help="Those on which two methods differ most: the other run's folder, or two names: hsnet,asnet.",
            show_default="none",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Only episodes or images of this class.",
            metavar="NAME",
            show_default="all",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            help="Only this fold.",
            show_default="all",
            rich_help_panel=CHOSEN,
        ),
    ] = None
    count: Annotated[
        int,
        typer.Option(
            "--count",
            help="With --disagree, --dataset or --episodes: how many.",
            rich_help_panel=CHOSEN,
        ),
    ] = 24
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Contact sheets of a data set.",
            show_default="none",
            rich_help_panel=SHEETS,
        ),
    ] = None
    episodes: Annotated[
        Path | None,
        typer.Option(
            "--episodes",
            parser=given_path,
            help="Contact sheets of an episode list.",
            metavar="FILE",
            show_default="none",
            rich_help_panel=SHEETS,
        ),
    ] = None
    rim: Annotated[
        bool,
        typer.Option(
            "--rim",
            help="Outline the ignore region (255) in the contact sheets.",
            rich_help_panel=SHEETS,
        ),
    ] = False
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option(
            "--split",
            help="Split of the contact sheets.",
            show_default="the evaluated one",
            rich_help_panel=SHEETS,
        ),
    ] = None
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--predictions",
            parser=given_path,
            help="Folders of saved predictions, in the order of the runs.",
            metavar="FOLDER",
            show_default="predictions in the run folder, or where its command saved them",
            rich_help_panel=DATA,
        ),
    ] = None
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=given_path,
            help="Folder of the pictures.",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("pictures")
    preview: Annotated[
        Literal["auto", "kitty", "iterm2", "sixel", "none"],
        typer.Option(
            "--preview",
            help="How the terminal shows pictures, too.",
            rich_help_panel=OUTPUT,
        ),
    ] = "auto"
    device: Device = "auto"


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
    check_folder("--out", options.out)
    if options.runs and (options.dataset or options.episodes):
        raise UsageError("RUN shows a run; --dataset and --episodes show a data set", "leave one of them out")
    if options.count < 1:
        raise UsageError(f"--count is 1 or more, not {options.count}")
    if options.runs:
        _show_runs(options, data)
    elif options.dataset or options.episodes:
        _show_data(options, data)
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
    from fssbench.reports.predictions import saved
    from fssbench.reports.scene import open_scene

    scene = open_scene(runs.run, data.root)
    cases = plain_cases(runs)
    keys = _chosen(options, runs, _of_class(options, cases, scene.dataset), others)
    predicted = []
    for number, method in enumerate(runs.methods):
        given = (options.predictions or [])[number : number + 1]
        found = saved(method, scene, keys, given[0] if given else None)
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
        _write(panel(one, runs.names), options, f"{one.name}.png", text)


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


def _show_data(options: ShowOptions, data: DataOptions) -> None:
    from fssbench.datasets import open_dataset
    from fssbench.reports.sheets import class_of, episode_sheets, image_sheets, images_of

    if options.episodes is not None:
        from fssbench.episode import read_episodes
        from fssbench.episode.files import episode_id

        episodes = read_episodes(options.episodes)
        dataset = open_dataset(episodes.dataset, data.root, **data.given)
        wanted = None if options.class_name is None else class_of(dataset, options.class_name)
        chosen = [
            (episode_id(episodes.fold, number), episode)
            for number, episode in enumerate(episodes)
            if wanted is None or wanted in episode.classes
        ][: options.count]
        title = f"{episodes.dataset}, fold {episodes.fold}, {episodes.way}-way {episodes.shot}-shot"
        sheets, name = episode_sheets(dataset, chosen, title), in_path(options.episodes.stem)
    else:
        dataset = open_dataset(options.dataset or "", data.root, **data.given)
        wanted = None if options.class_name is None else class_of(dataset, options.class_name)
        images = images_of(dataset, options.fold, wanted, options.split or dataset.evaluated_split)
        parts = [dataset.name, "" if options.fold is None else f"fold {options.fold}"]
        parts += ["" if wanted is None else dataset.class_names[wanted], "ignore region (255)" if options.rim else ""]
        title = ", ".join(part for part in parts if part)
        shown = _spread(images, options.count)
        sheets = image_sheets(dataset, shown, f"{title}: {len(shown)} of {len(images)} images", rim=options.rim)
        name = in_path("-".join(part.replace(" ", "") for part in parts if part)).rstrip("-")
    for number, png in enumerate(sheets, 1):
        _write(png, options, f"{name}-{number}.png" if len(sheets) > 1 else f"{name}.png", title)


def _spread(images: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """Return so many images from the whole list, at even distances."""
    step = max(1.0, len(images) / count)
    return [images[int(place * step)] for place in range(min(count, len(images)))]


def _write(png: bytes, options: ShowOptions, name: str, text: str) -> None:
    from fssbench.files import write_bytes
    from fssbench.reports.preview import encoded, way_of

    path = options.out / name
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        write_bytes(path, png)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}", "give another --out") from error
    way = options.preview
    if way == "auto":
        way = way_of() if sys.stdout.isatty() else "none"
    if way != "none":
        typer.echo(encoded(png, way), nl=False)
    say(f"{path}: {text}")
