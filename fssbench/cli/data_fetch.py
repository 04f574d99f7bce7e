"""`fssbench data fetch`: a data set from its official hosts, whole, or only the photos of some episodes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fssbench.cli.console import say
from fssbench.cli.options import Root
from fssbench.cli.paths import check_folder
from fssbench.cli.signals import kept_on_stop
from fssbench.errors import MissingError, UsageError
from fssbench.progress import animated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fssbench.datasets.fetching.archives import Wanted
    from fssbench.datasets.fetching.photos import PhotoHost
    from fssbench.datasets.fetching.sources import Part, Source
    from fssbench.downloads.shown import Shown
    from fssbench.episode import Episode, EpisodeList


@dataclass(frozen=True)
class FetchOptions:
    """What is fetched of a data set."""

    name: Annotated[str, typer.Argument(help="Data set, e.g. pascal5i.")]
    root: Root = None
    episodes: Annotated[
        str | None,
        typer.Option(
            "--episodes",
            metavar="FILE",
            show_default="all photos",
            help="Only the photos of a list from `fssbench episodes export`, in whose name {fold} may stand.",
        ),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option("--fold", help="Only the photos that the lists of a fold have.", show_default="all folds"),
    ] = None
    split: Annotated[
        Literal["train", "val", "test"] | None,
        typer.Option("--split", help="Only what this split needs.", show_default="all splits"),
    ] = None
    without_photos: Annotated[
        bool, typer.Option("--without-photos", help="Only what it takes to draw episodes, where photos come apart.")
    ] = False
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep archives in the folder archives, instead of removing them.")
    ] = False
    mirror: Annotated[
        str | None,
        typer.Option(
            "--mirror",
            metavar="URL",
            help="Address of a copy of the hosts, with files under HOST/PATH; or FSSBENCH_MIRROR.",
            show_default="the hosts themselves",
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and how much it is.")] = False


def fetch(options: FetchOptions) -> None:
    """Fetch a data set from its official hosts: what is there is not fetched again, what was broken off goes on.

    Examples:
        fssbench data fetch pascal5i --root DIR
        fssbench data fetch coco20i --root DIR --fold 0 --dry-run

    With --episodes or --fold, photos that their host serves one by one are fetched alone, after the annotations.
    """
    from fssbench.datasets.fetching.archives import Wanted
    from fssbench.datasets.fetching.places import destination

    source = _source(options)
    folder = destination(options.name, options.root)
    check_folder("--root", None if options.dry_run else folder)
    lists = _lists(options)
    alone = options.episodes is not None or options.fold is not None
    split = options.split or (lists[0].split if lists else "val" if alone else None)
    photos = not (alone or options.without_photos)
    parts = source.needed(folder, split, photos=photos, lists=options.episodes is None)
    wanted = Wanted(source, folder, parts, split, options.keep_archives, options.mirror)
    with interruptible(folder):
        _fetch_parts(wanted, dry=options.dry_run)
        if not options.dry_run:
            _make(wanted)
        if alone and not options.without_photos and not (options.dry_run and wanted.parts):
            _fetch_photos(options, source, folder, lists)
    if options.dry_run:
        return
    _finish(wanted, whole=photos)


def _source(options: FetchOptions) -> Source:
    """Return where the data set comes from, and refuse options that do not fit it."""
    from fssbench.datasets.catalogue import dataset_info
    from fssbench.datasets.fetching.sources import fetched_names, source_of

    source = source_of(options.name)
    if source is None:
        info = dataset_info(options.name)
        why = "is rendered" if info.rendered else "is your own data" if info.own else "has no recorded source"
        raise UsageError(
            f"there is nothing to fetch for {options.name}: it {why}", f"fetched are {', '.join(fetched_names())}"
        )
    if (options.episodes is not None or options.fold is not None or options.without_photos) and not source.photo:
        raise UsageError(
            f"the photos of {options.name} come with the rest: --episodes, --fold and --without-photos do not fit",
            f"fssbench data fetch {options.name}",
        )
    splits = sorted({split for part in source.parts for split in (part.split, *part.command_for) if split})
    if options.split is not None and options.split not in splits:
        known = f"its splits are {', '.join(splits)}" if splits else "its files are not divided by split"
        raise UsageError(f"--split {options.split} does not fit {options.name}: {known}", "leave --split out")
    return source


def _fetch_parts(wanted: Wanted, *, dry: bool) -> None:
    """Say what is needed, and fetch it; what only a person can get is explained.

    Raises:
        MissingError: If a part has to be saved by hand.
    """
    from fssbench.datasets.fetching.archives import check_room, explained, fetch_parts, summary

    say(*summary(wanted))
    if wanted.by_hand:
        say(*explained(wanted, wanted.by_hand))
    if not dry:
        check_room(wanted)
        with shown() as progress:
            fetch_parts(wanted, progress)
        _import_lists(wanted)
    if wanted.by_hand and not dry:
        what = " and ".join(f"the {part.what}" for part in wanted.by_hand)
        raise MissingError(
            f"{what} of {wanted.source.name} have to be saved by hand: the host asks for a login, a licence or a click",
            f"open {wanted.by_hand[0].page} and do as described above",
        )


def _import_lists(wanted: Wanted) -> None:
    """Import the lists of a release that are in the data folder, unless others were imported before."""
    from fssbench.datasets.splits.importing import import_splits

    if any(part.lists for part in wanted.parts):
        for imported in import_splits(wanted.source.name, wanted.folder):
            say(f"imported: the {imported.split} lists of {imported.release}, {imported.summary}")


def _make(wanted: Wanted) -> None:
    """Build what is made of the fetched parts: the augmented masks of PASCAL-5i.

    Raises:
        CheckFailedError: If a mask is not that of the field's common copy.
        MissingError: If one can't be built.
    """
    from fssbench.cli.data_build import build

    for part in wanted.made:
        say(f"{part.what}: {_command(wanted, part)}")
        sbd = None if wanted.split == "val" else wanted.folder / "SBD"
        build(wanted.source.name, voc=wanted.folder, sbd=sbd)


def _command(wanted: Wanted, part: Part) -> str:
    command = part.command_for.get(wanted.split or "", part.command)
    return command.format(folder=shlex.quote(str(wanted.folder)))


def _fetch_photos(options: FetchOptions, source: Source, folder: Path, lists: Sequence[EpisodeList]) -> None:
    """Fetch the photos of episode lists, or of the lists of a fold, one by one."""
    from fssbench.datasets import open_dataset
    from fssbench.datasets.fetching.photos import PhotoHost, fetch_photos
    from fssbench.downloads.shown import size_text

    dataset = open_dataset(options.name, folder)
    host = PhotoHost(source, dataset, options.mirror)
    if lists:
        names = [name for one in lists for episode in one for name in photos_of(episode)]
    else:
        names = dataset.entries(options.fold or 0, options.split or "val")["name"].tolist()
    missing = host.missing(names)
    say(photo_line(host, missing, len(set(names))))
    if options.dry_run or not missing:
        return
    host.check_room(missing)
    with shown() as progress:
        count = fetch_photos(host, missing, progress)
    say(f"{len(missing)} photos fetched, {size_text(count)}")


def _lists(options: FetchOptions) -> list[EpisodeList]:
    """Return the lists that --episodes names; none without it."""
    from fssbench.planning.episode_lists import episode_lists

    if options.episodes is None:
        return []
    lists = episode_lists(options.episodes, None if options.fold is None else str(options.fold))
    if not lists:
        raise UsageError(f"--episodes names a list, not {options.episodes}", "fssbench episodes export")
    for one in lists:
        if one.dataset != options.name:
            raise UsageError(f"the list {options.episodes} is of {one.dataset}, not of {options.name}")
        if options.fold not in (None, one.fold) or options.split not in (None, one.split):
            raise UsageError(
                f"the list {options.episodes} is of fold {one.fold}, {one.split}", "leave --fold and --split out"
            )
    return lists


def photos_of(episode: Episode) -> Iterator[str]:
    """Yield the names of the photos of an episode: the query, then the supports."""
    yield episode.query
    for names in episode.supports:
        yield from names


def photo_line(host: PhotoHost, missing: Sequence[str], count: int) -> str:
    """Return a sentence that says how many photos will be fetched, and how much that is."""
    from fssbench.downloads.remote import host_of
    from fssbench.downloads.shown import size_text

    if not missing:
        return f"all {count} photos are here"
    where = host_of(host.source.photo_url("", host.mirror))
    return f"photos: {len(missing)} of {count} are fetched from {where}, some {size_text(host.bytes_of(missing))}"


def _finish(wanted: Wanted, *, whole: bool) -> None:
    """Say what is here now, and what comes next."""
    name, folder = wanted.source.name, wanted.folder
    say(f"{name}: {'what can be fetched' if whole else 'what was wanted'} is in {folder}")
    if whole:
        say(f"  fssbench data check {name} --root {shlex.quote(str(folder))} reads and counts it")


@contextmanager
def interruptible(folder: Path) -> Iterator[None]:
    """If the command is interrupted, say that what has arrived is kept, and how to continue."""
    with kept_on_stop(lambda: f"what has arrived is kept in {folder}"):
        yield


@contextmanager
def shown() -> Iterator[Shown]:
    """Yield where progress goes: a bar on a terminal, lines elsewhere."""
    from fssbench.downloads.shown import Bar, Lines

    if animated(sys.stderr):
        with Bar() as bar:
            yield bar
    else:
        yield Lines()
