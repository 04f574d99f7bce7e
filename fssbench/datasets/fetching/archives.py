"""Fetching the parts of a data set: downloaded, checked, unpacked into the data folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fssbench.datasets.dataset import Split
from fssbench.datasets.fetching.places import work_folder
from fssbench.datasets.fetching.sources import Part, Source
from fssbench.downloads import drive
from fssbench.downloads.remote import difference, digest
from fssbench.downloads.responses import PageError
from fssbench.downloads.resumable import arrived, download
from fssbench.downloads.shown import Shown, size_text
from fssbench.downloads.space import check_space, full_disk_explained
from fssbench.downloads.unpacking import unpack
from fssbench.errors import BrokenFileError
from fssbench.escape import printable
from fssbench.files import locked

KEPT = "archives"
"""The folder in the data folder where archives are kept, if that is wanted."""


@dataclass(frozen=True)
class Wanted:
    """What is to be fetched.

    Attributes:
        source: Where the data set comes from.
        folder: The data folder.
        parts: The parts that are not there yet.
        split: The split that they are for; None for all.
        keep: Whether downloaded archives are kept.
        mirror: The address of a mirror; None for that of the environment variable, or the official hosts.
    """

    source: Source
    folder: Path
    parts: tuple[Part, ...]
    split: Split | None = None
    keep: bool = False
    mirror: str | None = None

    @property
    def downloads(self) -> tuple[Part, ...]:
        """The parts that are downloaded."""
        return tuple(part for part in self.parts if part.by_program and self.saved(part) is None)

    @property
    def by_hand(self) -> tuple[Part, ...]:
        """The parts that a person has to save from a page first."""
        return tuple(part for part in self.parts if part.page and not part.by_program and self.saved(part) is None)

    @property
    def made(self) -> tuple[Part, ...]:
        """The parts that another command makes."""
        return tuple(part for part in self.parts if part.command)

    def saved(self, part: Part) -> Path | None:
        """Return the archive of a part that is here already: kept, or saved by hand in or next to the data folder."""
        places = [
            folder / name for folder in (self.folder, self.folder / KEPT, self.folder.parent) for name in part.files
        ]
        return next((path for path in places if path.is_file()), None) if part.take else None

    @property
    def bytes(self) -> int:
        """About how many bytes are still to be downloaded."""
        return sum(max((part.bytes or 0) - self.arrived(part), 0) for part in self.downloads)

    @property
    def room(self) -> int:
        """About how many bytes the disk needs at most while this is fetched; what has arrived is not counted again."""
        kept = sum(part.bytes or 0 for part in self.downloads) if self.keep else 0
        largest = 0 if self.keep else max((part.bytes or 0 for part in self.downloads if part.take), default=0)
        unpacked = [part.bytes_unpacked for part in self.parts if self.saved(part) or part.by_program]
        return max(sum(unpacked) + kept + largest - sum(map(self.arrived, self.downloads)), 0)

    def arrived(self, part: Part) -> int:
        """Return how many bytes of a download are here."""
        target = work_folder(self.folder) / part.name
        return drive.arrived(target) if self.from_drive(part) else arrived(target)

    def from_drive(self, part: Part) -> bool:
        """Return whether a part comes from Google Drive itself, and not from a mirror."""
        return part.on_drive and part.remote(self.mirror).host == drive.HOST


def check_room(wanted: Wanted) -> None:
    """Refuse what the disk has no room for, before anything is downloaded.

    Raises:
        MissingError: If there is too little room.
    """
    check_space(wanted.folder, wanted.room, wanted.source.name)


def fetch_parts(wanted: Wanted, shown: Shown) -> None:
    """Fetch the parts that can be had without a person. Other processes that fetch the same part wait.

    Raises:
        MissingError: If a host does not send a file, or the disk is full. What has arrived is kept.
        BrokenFileError: If a file is not the recorded one, or not what it should be.
    """
    refused: list[PageError] = []
    for part in wanted.downloads:
        if wanted.from_drive(part):
            drive.require_gdown(f"{part.name} of {wanted.source.name}", _instead(wanted, part))
    for part in wanted.parts:
        if part.command or part in wanted.by_hand:
            continue
        work = work_folder(wanted.folder)
        busy = partial(shown.note, f"another process fetches the {part.what}; waiting for it")
        with locked(work / f"{part.name}.unpacked", busy):
            if wanted.source.missing(part, wanted.folder, wanted.split):
                try:
                    _fetch(wanted, part, work, shown)
                except PageError as error:
                    if not wanted.from_drive(part):
                        raise
                    refused.append(error)  # a quota: the other parts come all the same
    if refused:
        raise refused[0]


def _fetch(wanted: Wanted, part: Part, work: Path, shown: Shown) -> None:
    remote, saved = part.remote(wanted.mirror), wanted.saved(part)
    if saved is None:
        path = _downloaded(wanted, part, work / remote.name, shown)
        if not remote.hashed:
            shown.note(f"{remote.name}: nobody states its hash; its sha256 is {digest(path)}")
    else:
        path = saved
        if wrong := difference(path, remote):
            raise BrokenFileError(f"{path} is not the recorded file: {wrong}", "move it away and fetch again")
    try:
        _place(wanted, part, path, work, shown)
        _check_whole(wanted, part, path)
    except BrokenFileError:
        if saved is None:
            path.unlink(missing_ok=True)  # else the same file would be taken for whole the next time
        raise
    if saved is None and part.take:
        if wanted.keep:
            (wanted.folder / KEPT).mkdir(exist_ok=True)
            path.replace(wanted.folder / KEPT / path.name)
        else:
            path.unlink(missing_ok=True)


def _downloaded(wanted: Wanted, part: Part, target: Path, shown: Shown) -> Path:
    """Download a part, or the rest of it, from its host, a mirror, or Google Drive, and return its file.

    Raises:
        MissingError: If it can't be had; PageError if Google Drive shows a page in its place.
        BrokenFileError: If it is another file than the recorded one; it is not kept.
    """
    instead, remote = _instead(wanted, part), part.remote(wanted.mirror)
    if not wanted.from_drive(part):
        return download(remote, target, instead, shown)
    if not target.is_file():
        drive_id = drive.file_id(part.page) or _in_folder(part, instead)
        drive.download_file(drive_id, target, part.name, int(min(remote.limit, drive.MOST)), instead, shown)
    if wrong := difference(target, remote):
        target.unlink()
        raise BrokenFileError(f"{part.name} is not the recorded file: {wrong}", instead)
    return target


def _in_folder(part: Part, instead: str) -> str:
    """Return the id of the file of this name in a folder of Google Drive.

    Raises:
        PageError: If the folder is not shown, or has no such file or several.
    """
    files = drive.folder_files(part.page, instead)
    found = [one for path, one in files if Path(path).name == part.files[0]]
    if len(found) != 1:
        names = ", ".join(sorted(printable(path) for path, _ in files)[:6])
        raise PageError(f"{part.page} has {len(found) or 'no'} files {part.files[0]}; it shows {names}", instead)
    return found[0]


def _place(wanted: Wanted, part: Part, path: Path, work: Path, shown: Shown) -> None:
    """Unpack an archive, or move a plain file to its place."""
    folder = wanted.folder / part.into
    if not part.take:
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / part.files[0])
        return
    with full_disk_explained(wanted.folder, path.name):
        count = unpack(path, folder, part.take, work / f"{path.name}.unpacking", shown)
    shown.note(f"{path.name}: {count} files unpacked")


def _check_whole(wanted: Wanted, part: Part, path: Path) -> None:
    for pattern, (here, whole) in wanted.source.missing(part, wanted.folder).items():
        raise BrokenFileError(
            f"{path} does not have all of the {part.what}: there are {here} of {whole} files {pattern}",
            f"see {part.page or wanted.source.page}",
        )


def _instead(wanted: Wanted, part: Part) -> str:
    page = part.page or wanted.source.page
    return f"try again later, or save {part.files[0]} from {page} into {wanted.folder}, and fetch again"


def explained(wanted: Wanted, parts: Sequence[Part]) -> list[str]:
    """Return lines that say how a person gets parts whose host shows a page only, and the tree to make."""
    lines = []
    for part in parts:
        lines.append(
            f"the {part.what} of {wanted.source.name} can't be fetched by a program ({wanted.source.licence}):"
        )
        lines.append(f"  1. open {part.page} in a browser")
        lines.append(f"  2. save it as {wanted.folder / part.files[0]}; the same command then unpacks it")
    if wanted.source.tree:
        lines.append(f"  or make this tree yourself in {wanted.folder.parent}:")
        lines += [f"    {line}" for line in wanted.source.tree.strip().splitlines()]
    return lines


def summary(wanted: Wanted) -> list[str]:
    """Return lines that say what will be fetched, from where, and how much that is."""
    lines = []
    for part in (part for part in wanted.downloads if not part.lists):
        size = "size not stated" if part.bytes is None else f"{'' if part.size else 'about '}{size_text(part.bytes)}"
        done = wanted.arrived(part)
        rest = f", of which {size_text(done)} are here" if done else ""
        lines.append(f"{part.what}: {part.files[0]} from {part.remote(wanted.mirror).host}, {size}{rest}")
    if lists := [part for part in wanted.downloads if part.lists]:
        size, host = size_text(sum(part.bytes or 0 for part in lists)), lists[0].remote(wanted.mirror).host
        lines.append(f"{lists[0].what}: {len(lists)} files from {host}, {size}")
    saved = [(part.what, wanted.saved(part)) for part in wanted.parts]
    lines += [f"{what}: from {path}, which is here" for what, path in saved if path is not None]
    if wanted.downloads:
        unsized = sum(part.bytes is None for part in wanted.downloads)
        room = f"room needed in {wanted.folder}: {'at least ' if unsized else ''}{size_text(wanted.room)}"
        rest = f" and {unsized} file{'s' if unsized > 1 else ''} of unknown size" if unsized else ""
        known = size_text(wanted.bytes) if wanted.bytes or not unsized else ""
        lines.append(f"to download: {f'{known}{rest}' if known else rest.removeprefix(' and ')}; {room}")
    return lines
